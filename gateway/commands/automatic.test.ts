import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { CommandDesk } from "./desk.ts";
import { take } from "./test-attacks-rights.ts";
import { Site } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-automatic-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => new Site(join(root, String(++folders)));
const level = ({ field }: Site) => field.values.get("light-01/level");
const leased = { args: { level: 40 }, lease: 10_000 };

async function over(site: Site, desk: CommandDesk): Promise<void> {
  site.pass(10_000);
  desk.deviceChanged("light-01");
  await expect.poll(() => desk.pending.leases).toEqual([]);
}

describe("an automatic value", () => {
  it("is where a lease goes back to, whatever stood there before", async () => {
    const site = fresh();
    site.field.values.set("light-01/level", 70);
    const desk = await site.open();
    await take(desk, site.content(leased));
    await take(desk, site.content({ ...leased, args: { level: 60 } }));
    await over(site, desk);
    expect(level(site)).toBe(255);
    await desk.close();
  });

  it.each(["boot-1", "boot-2"])("holds after a crash of the gateway too: %s", async (boot) => {
    const site = fresh();
    const desk = await site.open();
    await take(desk, site.content(leased));
    // Nobody closes it, as at a crash: what it had is on the disk.
    site.now = { ...site.now, boot };
    const again = await site.open({ retryFirstMs: 1 });
    await over(site, again);
    expect(level(site)).toBe(255);
    await again.close();
  });

  it("holds where the host died over the write", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      obey();
      throw new Error("the host has ended");
    };
    expect(await take(desk, site.content(leased))).toMatchObject({ state: "unknown" });
    await expect.poll(() => desk.pending.unknown).toEqual([]);
    await over(site, desk);
    expect(level(site)).toBe(255);
    await desk.close();
  });

  it("may always be ordered, is not leased itself, and ends the lease", async () => {
    const site = fresh();
    const desk = await site.open();
    expect(await take(desk, site.content({ args: { level: 254 } }))).toMatchObject({
      code: "KERB-CMD-LIMIT",
    });
    await take(desk, site.content(leased));
    const given = await take(desk, site.content({ args: { level: 255 }, lease: 5000 }));
    expect(given).toMatchObject({ state: "done" });
    expect(given.leaseMs).toBeUndefined();
    expect(desk.pending.leases).toEqual([]);
    await desk.close();
  });
});
