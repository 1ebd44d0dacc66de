import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import type { CommandDesk } from "./desk.ts";
import { checkJournal } from "./journal-check.ts";
import { type Happening, segmentFile, segmentsOf } from "./journal-lines.ts";
import { Memory } from "./memory.ts";
import type { WriteOutcome } from "./order.ts";
import { take } from "./test-attacks-rights.ts";
import { recordsOf, Site } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-leases-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => new Site(join(root, String(++folders)));
const dim = ({ field }: Site) => field.values.get("light-01/dim");
const returned = (desk: CommandDesk) => expect.poll(() => desk.pending.leases).toEqual([]);
const lease = { args: { dim: 40 }, lease: 10_000 };

/** A disk that takes nothing more from the moment on at which the journal has been read: nobody asks for the time before. */
async function blockedOnceRead(site: Site) {
  const path = join(site.folder, segmentFile((await segmentsOf(site.folder)).at(-1)! + 1));
  let isBlocked = false;
  const now = () => {
    if (!isBlocked) mkdirSync(path);
    isBlocked = true;
    return site.now;
  };
  return { path, now };
}

describe("a lease", () => {
  it("ends by itself: the point goes back to what it was", async () => {
    const site = fresh();
    const desk = await site.open();
    const state = await take(desk, site.content(lease));
    expect(state).toMatchObject({ state: "done", leaseMs: 10_000 });
    expect(desk.pending.leases).toEqual([
      { dev: "light-01", point: "dim", command: state.id, leftMs: 10_000 },
    ]);
    site.pass(9999);
    desk.deviceChanged("light-01");
    expect(dim(site)).toBe(40);
    site.pass(1);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await expect
      .poll(() => site.told.at(-1))
      .toMatchObject({ state: "done", returns: state.id, readBack: { dim: 50 } });
    await desk.close();
  });

  it("ends by its own timer", async () => {
    const site = fresh();
    const start = performance.now();
    const desk = await site.open({
      now: () => ({ ...site.now, monoMs: site.now.monoMs + performance.now() - start }),
    });
    await take(desk, site.content({ ...lease, lease: 40 }));
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("is the profile's own where the command asks for none", async () => {
    const site = fresh();
    const desk = await site.open();
    expect(await take(desk, site.content({ args: { boost: true } }))).toMatchObject({ leaseMs: 30_000 });
    site.pass(30_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(site.field.values.get("light-01/boost")).toBe(false);
    await desk.close();
  });

  it("is renewed by another one, and goes back to what was before the first", async () => {
    const site = fresh();
    const desk = await site.open();
    await take(desk, site.content(lease));
    site.pass(5000);
    await take(desk, site.content({ ...lease, args: { dim: 60 } }));
    site.pass(9000);
    desk.deviceChanged("light-01");
    expect(desk.pending.leases).toMatchObject([{ leftMs: 1000 }]);
    site.pass(1000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("ends where somebody orders for good, and stays where that fails", async () => {
    const site = fresh();
    const desk = await site.open();
    await take(desk, site.content(lease));
    site.field.next = async () => ({ state: "failed", code: "rejected" });
    await take(desk, site.content({ args: { dim: 70 } }));
    expect(desk.pending.leases).toHaveLength(1);
    site.field.next = async () => ({ state: "failed", code: "rejected" });
    await take(desk, site.content({ args: { dim: 75 }, lease: 5000 }));
    expect(desk.pending.leases).toMatchObject([{ leftMs: 10_000 }]);
    await take(desk, site.content({ args: { dim: 80 } }));
    expect(desk.pending.leases).toEqual([]);
    site.pass(60_000);
    desk.deviceChanged("light-01");
    expect(dim(site)).toBe(80);
    await desk.close();
  });

  it("stays where nobody knew of another order, which has not come to the device", async () => {
    const site = fresh();
    const desk = await site.open();
    await take(desk, site.content(lease));
    site.field.next = () => Promise.reject(new Error("the host has ended"));
    expect(await take(desk, site.content({ args: { dim: 70 } }))).toMatchObject({ state: "unknown" });
    await expect.poll(() => desk.pending.unknown).toEqual([]);
    expect(desk.pending.leases).toHaveLength(1);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("is none where the earlier value cannot be read: nothing is written", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.canRead = false;
    const state = await take(desk, site.content(lease));
    expect(state).toMatchObject({
      state: "failed",
      code: "KERB-CMD-BEFORE",
      reason: "dim: it does not answer",
    });
    expect(site.field.writes).toEqual([]);
    await desk.close();
  });

  it("is returned again and again until the point is back, and said so once for each reason", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 1 });
    const { id } = await take(desk, site.content(lease));
    site.facts.set("light-01", { state: "lost", writable: true });
    site.pass(10_000);
    desk.deviceChanged("light-01");
    const told = () => site.told.filter(({ returns }) => returns === id);
    await expect.poll(told).toMatchObject([{ state: "running", code: "KERB-CMD-OFFLINE" }]);
    const refuse = async (): Promise<WriteOutcome> => {
      site.field.next = site.field.writes.length < 4 ? refuse : undefined;
      return { state: "failed", code: "rejected" };
    };
    site.field.next = refuse;
    site.facts.set("light-01", { state: "online", writable: true });
    for (let i = 0; i < 200 && desk.pending.leases.length > 0; i++) {
      site.pass(60_000);
      desk.deviceChanged("light-01");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await expect
      .poll(told)
      .toMatchObject([{ code: "KERB-CMD-OFFLINE" }, { code: "KERB-DEV-REJECTED" }, { state: "done" }]);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("runs on over a restart of the gateway, and is over after one of the box", async () => {
    for (const boot of ["boot-1", "boot-2"]) {
      const site = fresh();
      const desk = await site.open();
      await take(desk, site.content(lease));
      await desk.close();
      site.pass(4000);
      site.now = { ...site.now, boot, monoMs: boot === "boot-1" ? site.now.monoMs : 10 };
      const again = await site.open({ retryFirstMs: 1 });
      if (boot === "boot-1") {
        expect(again.pending.leases).toMatchObject([{ leftMs: 6000 }]);
        site.pass(6000);
        again.deviceChanged("light-01");
      }
      await returned(again);
      expect(dim(site)).toBe(50);
      await again.close();
      expect((await recordsOf(site.folder)).filter(({ ev }) => ev === "returned")).toHaveLength(1);
      const third = await site.open();
      expect(third.pending.leases).toEqual([]);
      await third.close();
    }
  });

  it("is kept where its write is unknown: the point goes back all the same", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      obey();
      throw new Error("the host has ended");
    };
    expect(await take(desk, site.content(lease))).toMatchObject({ state: "unknown" });
    await expect.poll(() => desk.pending.unknown).toEqual([]);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("stays where the device had taken the value and shows it too late", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      const { writtenMs } = obey();
      return { state: "failed", code: "not-as-commanded", readBack: 45, writtenMs: writtenMs! };
    };
    expect(await take(desk, site.content(lease))).toMatchObject({ state: "failed" });
    expect(desk.pending.leases).toMatchObject([{ point: "dim", leftMs: 10_000 }]);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("stays where nobody knew of its write, whatever one look has found: it may come late", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = () => Promise.reject(new Error("the host has ended"));
    const { id } = await take(desk, site.content(lease));
    await expect.poll(() => site.told.findLast((one) => one.id === id)?.resolved).toBe(true);
    expect(site.told.findLast((one) => one.id === id)).toMatchObject({ state: "failed" });
    site.field.values.set("light-01/dim", 40);
    expect(desk.pending.leases).toMatchObject([{ command: id, leftMs: 10_000 }]);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    expect(dim(site)).toBe(50);
    await desk.close();
  });

  it("stays where the gateway ended in the middle of its write", () => {
    const memory = new Memory();
    const happened = (happening: Happening) =>
      memory.take({ n: 1, at: 1, mono: 1, clock: "synced", ...happening });
    const of = { id: "A", dev: "light-01", point: "dim" };
    happened({ ev: "opened", boot: "boot-1" });
    happened({ ev: "executing", ...of, value: 40, lease: { ms: 10_000, returnTo: 50 } });
    happened({ ev: "wrote", ...of, state: "failed", resolved: true });
    expect(memory.lease("light-01", "dim")).toMatchObject({ returnTo: 50 });
    happened({ ev: "wrote", ...of, state: "failed" });
    expect(memory.lease("light-01", "dim")).toBeUndefined();
  });

  it("is on the record before it is returned, also where it was put off first", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 1 });
    await take(desk, site.content(lease));
    site.facts.set("light-01", { state: "starting", writable: false });
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await expect.poll(() => site.told.at(-1)).toMatchObject({ code: "KERB-CMD-OFFLINE" });
    site.facts.set("light-01", { state: "online", writable: true });
    site.pass(60_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    await desk.close();
    const kinds = (await recordsOf(site.folder)).map(({ ev }) => ev);
    expect(kinds.filter((ev) => String(ev).startsWith("return"))).toEqual(["returning", "returned"]);
  });

  it("is returned once where the journal cannot be written, and on the record as soon as it can", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 1, segmentBytesMax: 1 });
    const { id } = await take(desk, site.content(lease));
    const next = join(site.folder, segmentFile((await segmentsOf(site.folder)).at(-1)! + 1));
    mkdirSync(next);
    site.pass(10_000);
    desk.deviceChanged("light-01");
    await expect.poll(() => dim(site)).toBe(50);
    await expect.poll(() => site.told.at(-1)).toMatchObject({ state: "done", returns: id, unrecorded: true });
    for (let i = 0; i < 5; i++) {
      site.pass(60_000);
      desk.deviceChanged("light-01");
      await sleep(5);
    }
    expect(site.field.writes).toHaveLength(2);
    expect(site.told.filter(({ returns }) => returns === id)).toHaveLength(1);
    rmdirSync(next);
    site.pass(60_000);
    desk.deviceChanged("light-01");
    await returned(desk);
    await desk.close();
    expect((await recordsOf(site.folder)).filter(({ ev }) => ev === "returned")).toMatchObject([
      { of: id, value: 50, late: true },
    ]);
    expect(site.field.writes).toHaveLength(2);
  });

  it("is returned where the gateway starts on a disk that takes nothing, and no command is executed", async () => {
    const site = fresh();
    const small = { retryFirstMs: 1, segmentBytesMax: 1 };
    const first = await site.open(small);
    await take(first, site.content(lease));
    await first.close();
    const next = await blockedOnceRead(site);
    site.now = { ...site.now, boot: "boot-2", monoMs: 10 };
    const desk = await site.open({ ...small, now: next.now });
    await expect.poll(() => dim(site)).toBe(50);
    expect(await take(desk, site.content({ args: { dim: 60 } }))).toMatchObject({
      state: "rejected",
      code: "KERB-CMD-JOURNAL",
    });
    expect(dim(site)).toBe(50);
    rmdirSync(next.path);
    expect(await take(desk, site.content({ args: { dim: 65 } }))).toMatchObject({ state: "done" });
    await desk.close();
    const kinds = (await recordsOf(site.folder)).map(({ ev }) => String(ev));
    // It begins anew before anything else is on the record.
    expect(kinds.slice(kinds.lastIndexOf("opened")).filter((ev) => ev !== "standing")[0]).toBe("opened");
    expect(kinds.filter((ev) => ev === "opened")).toHaveLength(2);
    expect(kinds.lastIndexOf("opened")).toBeLessThan(kinds.lastIndexOf("accepted"));
    expect((await checkJournal(site.folder)).break).toBeUndefined();
  });

  it("is none, and the desk does not open on such a disk", async () => {
    const site = fresh();
    const first = await site.open({ segmentBytesMax: 1 });
    await first.close();
    const { now } = await blockedOnceRead(site);
    await expect(site.open({ segmentBytesMax: 1, now })).rejects.toThrow("EISDIR");
  });
});
