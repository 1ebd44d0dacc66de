import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { take } from "./test-attacks-rights.ts";
import { recordsOf, Site } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-override-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => new Site(join(root, String(++folders)));
const lease = { args: { dim: 40 }, lease: 10_000 };
const there = { state: "online", writable: true };
const taken = { ...there, override: "the switch is on local" };
const dim = ({ field }: Site) => field.values.get("light-01/dim");
const order = { dev: "light-01", args: { dim: 40 }, by: "an", leaseMs: 10_000 };

describe("a local override", () => {
  it("ends a lease at once: nothing is written, it is on the record, and the IOC is told", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 1 });
    const { id } = await take(desk, site.content(lease));
    site.facts.set("light-01", taken);
    desk.deviceChanged("light-01");
    await expect.poll(() => desk.pending.leases).toEqual([]);
    await expect
      .poll(() => site.told.at(-1))
      .toMatchObject({ state: "failed", code: "KERB-CMD-OVERRIDE", reason: taken.override, returns: id });
    site.facts.set("light-01", there);
    site.pass(60_000);
    desk.deviceChanged("light-01");
    await desk.close();
    expect([dim(site), site.field.writes.length]).toEqual([40, 1]);
    const ends = (await recordsOf(site.folder)).filter(({ ev }) => ev === "lease-end");
    expect(ends).toMatchObject([{ of: id, point: "dim", code: "KERB-CMD-OVERRIDE" }]);
  });

  it("that began while the gateway was away ends it as well", async () => {
    const site = fresh();
    await take(await site.open(), site.content(lease));
    site.facts.set("light-01", taken);
    const again = await site.open({ retryFirstMs: 1 });
    await expect.poll(() => again.pending.leases).toEqual([]);
    await again.close();
    expect(dim(site)).toBe(40);
  });

  it("ends it too where only the host sees it, when the point is to go back or is refreshed", async () => {
    for (const [args, afterMs] of [
      [{ dim: 40 }, 10_000],
      [{ watch: 3 }, 1000],
    ] as const) {
      const site = fresh();
      site.field.values.set("light-01/watch", 1);
      const desk = await site.open({ retryFirstMs: 1 });
      await take(desk, site.content({ args, lease: 10_000 }));
      site.field.next = async () => ({ state: "failed", code: "override", reason: "door is true" });
      site.pass(afterMs);
      desk.deviceChanged("light-01");
      await expect.poll(() => desk.pending.leases).toEqual([]);
      await expect.poll(() => site.told.at(-1)).toMatchObject({ code: "KERB-CMD-OVERRIDE" });
      await desk.close();
      expect(site.field.writes).toHaveLength(2);
    }
  });

  it("does not end the lease of whoever has taken over, which goes back in his name", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 1 });
    site.facts.set("light-01", taken);
    expect(await desk.local(order)).toMatchObject({ state: "done" });
    desk.deviceChanged("light-01");
    expect(desk.pending.leases).toHaveLength(1);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await expect.poll(() => desk.pending.leases).toEqual([]);
    expect(dim(site)).toBe(50);
    expect(site.field.writes.map(({ isLocal }) => isLocal)).toEqual([true, true]);
    await desk.close();
  });
});
