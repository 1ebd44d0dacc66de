import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { CommandDesk } from "./desk.ts";
import { take } from "./test-attacks-rights.ts";
import { recordsOf, Site } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-refreshing-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const leased = { args: { watch: 3 }, lease: 10_000 };

async function opened(): Promise<{ site: Site; desk: CommandDesk; writes: () => unknown[] }> {
  const site = new Site(join(root, String(++folders)));
  site.field.values.set("light-01/watch", 1);
  const desk = await site.open({ retryFirstMs: 1 });
  const writes = () => site.field.writes.map(({ value, isRefresh }) => [value, isRefresh]);
  return { site, desk, writes };
}

/** Time passes, and whoever waits for it looks; resolves when what was due is done. */
async function pass(site: Site, desk: CommandDesk, ms: number): Promise<void> {
  site.pass(ms);
  desk.deviceChanged("light-01");
  await new Promise((resolve) => setTimeout(resolve, 15));
}

const endOf = async (site: Site) => (await recordsOf(site.folder)).filter(({ ev }) => ev === "lease-end");

describe("a lease that is refreshed", () => {
  it("is written again as often as the profile says, and not after its end", async () => {
    const { site, desk, writes } = await opened();
    await take(desk, site.content(leased));
    await pass(site, desk, 999);
    expect(writes()).toEqual([[3, undefined]]);
    for (let second = 1; second <= 9; second++) {
      await pass(site, desk, 1000);
      await expect.poll(() => writes().length).toBe(second + 1);
    }
    expect(writes().at(-1)).toEqual([3, true]);
    await pass(site, desk, 1);
    await expect.poll(() => desk.pending.leases).toEqual([]);
    for (let second = 0; second < 3; second++) await pass(site, desk, 1000);
    expect(writes().slice(10)).toEqual([[1, undefined]]);
    await desk.close();
  });

  it("is refreshed by its own timer, and not once the desk is closed", async () => {
    const site = new Site(join(root, String(++folders)));
    site.field.values.set("light-01/pulse", 1);
    const begun = performance.now();
    const now = () => ({ ...site.now, monoMs: site.now.monoMs + performance.now() - begun });
    const desk = await site.open({ now });
    const writes = () => site.field.writes;
    await take(desk, site.content({ args: { pulse: 3 } }));
    await expect.poll(() => writes().length).toBeGreaterThan(3);
    await desk.close();
    const count = writes().length;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(writes()).toHaveLength(count);
  });

  it("ends where the device has let go of the value: nothing more is written, and the IOC is told", async () => {
    const { site, desk, writes } = await opened();
    const { id } = await take(desk, site.content(leased));
    site.field.values.set("light-01/watch", 2);
    await pass(site, desk, 1000);
    await expect.poll(() => desk.pending.leases).toEqual([]);
    await expect
      .poll(() => site.told.at(-1))
      .toMatchObject({ state: "failed", code: "KERB-CMD-LAPSED", returns: id });
    await pass(site, desk, 20_000);
    expect(writes()).toHaveLength(2);
    expect(site.field.values.get("light-01/watch")).toBe(2);
    await desk.close();
    expect(await endOf(site)).toMatchObject([{ of: id, code: "KERB-CMD-LAPSED" }]);
  });

  it.each([
    ["goes on where the device has held the value", 3, 1],
    ["is over where it has fallen back meanwhile", 1, 0],
  ])("after a crash of the gateway %s", async (_, value, leases) => {
    const { site, desk } = await opened();
    await take(desk, site.content(leased));
    // As at a crash: nobody closes it, and nothing of it is heard any more.
    site.field.next = undefined;
    site.field.values.set("light-01/watch", value);
    const again = await site.open({ retryFirstMs: 1 });
    await pass(site, again, 3000);
    await expect.poll(() => again.pending.leases.length).toBe(leases);
    expect(site.field.values.get("light-01/watch")).toBe(value);
    await again.close();
  });

  it("that cannot be refreshed goes on, is on the record once, and is not made up for", async () => {
    const { site, desk, writes } = await opened();
    await take(desk, site.content(leased));
    site.facts.set("light-01", { state: "lost", writable: true });
    for (let second = 0; second < 5; second++) await pass(site, desk, 1000);
    expect(writes()).toHaveLength(1);
    site.facts.set("light-01", { state: "online", writable: true });
    await pass(site, desk, 1000);
    await expect.poll(() => writes().length).toBe(2);
    await pass(site, desk, 1);
    expect(writes()).toHaveLength(2);
    await desk.close();
    const noted = (await recordsOf(site.folder)).filter(({ ev }) => ev === "not-refreshed");
    expect(noted).toMatchObject([{ code: "KERB-CMD-OFFLINE" }]);
  });
});
