import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { ScheduleEntry } from "../schedules/levels.ts";
import type { DeskOptions } from "./bench.ts";
import type { CommandDesk } from "./desk.ts";
import type { Entry, Happening } from "./journal-lines.ts";
import { Memory } from "./memory.ts";
import { Policy } from "./policy.ts";
import { take } from "./test-attacks-rights.ts";
import { recordsOf, Site } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-scheduling-"));
let folders = 0;
const open: CommandDesk[] = [];
afterEach(async () => {
  for (const desk of open.splice(0)) await desk.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const minuteMs = 60_000;
const hourMs = 3_600_000;
/** Saigon, a Monday. */
const at = (time: string) => Date.parse(`2026-11-23T${time}:00+07:00`);
const night: ScheduleEntry[] = [
  { at: "17:45", value: 100 },
  { at: "23:00", value: 50 },
  { at: "05:30", value: 10 },
];
const there = { state: "online", writable: true };

class Evening {
  readonly site: Site;
  desk!: CommandDesk;
  readonly notes: [string | undefined, Record<string, unknown>][] = [];

  constructor(site: Site, time = "20:00") {
    this.site = site;
    this.set(time);
  }

  static async open(time = "20:00", more: Partial<DeskOptions> = {}): Promise<Evening> {
    const evening = new Evening(new Site(join(root, String(++folders))), time);
    await evening.start(more);
    return evening;
  }

  /** The clock is set. */
  set(time: string): void {
    this.site.now = { ...this.site.now, wallMs: at(time) };
  }

  async start(more: Partial<DeskOptions> = {}): Promise<void> {
    const schedules = [
      {
        device: "light-01",
        point: "dim",
        shownAt: "dim",
        entries: night,
        site: { timeZone: "Asia/Ho_Chi_Minh" },
      },
    ];
    const note: DeskOptions["note"] = (dev, data) => void this.notes.push([dev, data]);
    this.desk = await this.site.open({
      schedules,
      scheduleTickMs: hourMs,
      scheduleCheckMs: 0,
      note,
      ...more,
    });
    open.push(this.desk);
  }

  get dim() {
    return this.site.field.values.get("light-01/dim");
  }

  set dim(value: number | string | boolean | undefined) {
    this.site.field.values.set("light-01/dim", value!);
  }

  get written() {
    return this.site.field.writes.map(({ value }) => value);
  }

  get state() {
    return this.desk.schedules.reportsOf("light-01")[0]?.state;
  }

  get problem() {
    return this.desk.schedules.reportsOf("light-01")[0]?.problem;
  }

  /** All that is due now is done. */
  async look(): Promise<void> {
    // The first of the two may have found something under way, of a time before.
    for (let n = 0; n < 2; n++) await this.desk.schedules.look();
  }

  async becomes(value: unknown): Promise<void> {
    await this.look();
    expect([this.dim, this.state]).toEqual([value, "kept"]);
  }

  /** So much time passes, and it is looked at. */
  async pass(ms: number): Promise<void> {
    this.site.pass(ms);
    await this.look();
  }
}

describe("a schedule", () => {
  it("brings the point to what holds now, tells only that, and then writes nothing more", async () => {
    const evening = await Evening.open();
    await evening.becomes(100);
    await evening.pass(hourMs);
    await evening.pass(hourMs);
    expect(evening.written).toEqual([100]);
    expect(evening.site.told).toMatchObject([
      { state: "done", by: "schedule@local", source: "schedule", args: { dim: 100 }, readBack: { dim: 100 } },
    ]);
    expect(evening.notes).toEqual([]);
    await evening.desk.close();
    const records = (await recordsOf(evening.site.folder)).map(({ ev }) => ev);
    expect(records).toEqual(["opened", "accepted", "executing", "wrote", "result", "told"]);
  });

  it("writes nothing where it is right already", async () => {
    const site = new Site(join(root, String(++folders)));
    site.field.values.set("light-01/dim", 100);
    const evening = new Evening(site);
    await evening.start();
    await evening.becomes(100);
    expect(evening.written).toEqual([]);
  });

  it("changes at its times, and over several of them goes to the last", async () => {
    const evening = await Evening.open();
    await evening.becomes(100);
    await evening.pass(3 * hourMs);
    await evening.becomes(50);
    await evening.pass(4 * 24 * hourMs + 7 * hourMs);
    await evening.becomes(10);
    expect(evening.written).toEqual([100, 50, 10]);
  });

  it("follows a clock that is set, both ways", async () => {
    const evening = await Evening.open();
    await evening.becomes(100);
    evening.set("23:30");
    await evening.becomes(50);
    evening.set("18:00");
    await evening.becomes(100);
  });

  it("says it again to a device that forgot, at once and then ever more seldom, and says that it lets go", async () => {
    const evening = await Evening.open();
    await evening.becomes(100);
    evening.dim = 20;
    await evening.becomes(100);
    evening.dim = 20;
    await evening.pass(59_000);
    expect([evening.dim, evening.written.length]).toEqual([20, 2]);
    await evening.pass(1000);
    await evening.becomes(100);
    evening.dim = 20;
    await evening.pass(119_000);
    expect(evening.dim).toBe(20);
    await evening.pass(1000);
    await evening.becomes(100);
    expect(evening.problem).toBe("KERB-SCH-LET-GO");
    expect(evening.notes).toMatchObject([["light-01", { code: "KERB-SCH-LET-GO", point: "dim" }]]);
    evening.set("23:00");
    await evening.becomes(50);
    expect(evening.problem).toBeUndefined();
    expect(evening.notes.at(-1)?.[1]).toEqual({
      report: "schedule",
      point: "dim",
      value: 50,
      schedule: "kept",
    });
  });

  it("tries again at most once a minute what fails, and says so once", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    let refused = 0;
    evening.site.field.next = async function refuse(this: void) {
      refused++;
      evening.site.field.next = refuse;
      return { state: "failed", code: "interlock", reason: "door is true" };
    };
    await evening.pass(hourMs);
    expect(evening.problem).toBe("KERB-SCH-NOT-KEPT");
    evening.desk.deviceChanged("light-01");
    await evening.pass(59_000);
    evening.desk.deviceChanged("light-01");
    expect(refused).toBe(1);
    await evening.pass(1000);
    expect(refused).toBe(2);
    await evening.pass(minuteMs);
    expect(refused).toBe(2);
    evening.site.field.next = undefined;
    await evening.pass(minuteMs);
    await evening.becomes(50);
    expect(evening.notes.map(([, data]) => data["schedule"])).toEqual(["held", "kept"]);
  });

  it("waits for a device that is not there, and looks when it is back", async () => {
    const site = new Site(join(root, String(++folders)));
    site.facts.set("light-01", { state: "lost", writable: true });
    const evening = new Evening(site);
    await evening.start();
    await evening.pass(hourMs);
    expect([evening.written, evening.state, evening.problem]).toEqual([[], "held", undefined]);
    site.facts.set("light-01", there);
    evening.desk.deviceChanged("light-01");
    await evening.becomes(100);
  });

  it("looks at once when something has changed about the device, and else now and then", async () => {
    const evening = await Evening.open("20:00", { scheduleCheckMs: 10_000 });
    await evening.becomes(100);
    evening.dim = 20;
    await evening.pass(9000);
    expect(evening.dim).toBe(20);
    await evening.pass(1000);
    await evening.becomes(100);
    await evening.pass(hourMs);
    evening.dim = 20;
    await evening.pass(1000);
    expect(evening.dim).toBe(20);
    evening.desk.deviceChanged("light-01");
    await evening.becomes(100);
    evening.set("23:00");
    await evening.becomes(50);
  });

  it("does nothing by a clock that is wrong, says so once, and goes on when it is right", async () => {
    const site = new Site(join(root, String(++folders)));
    const evening = new Evening(site);
    site.now = { ...site.now, clock: "unsynced" };
    await evening.start();
    await evening.pass(4 * hourMs);
    expect([evening.written, evening.state, evening.problem]).toEqual([[], "held", "KERB-SCH-CLOCK"]);
    expect(evening.notes).toMatchObject([[undefined, { code: "KERB-SCH-CLOCK", schedule: "held" }]]);
    site.now = { ...site.now, clock: "holdover" };
    await evening.becomes(50);
    expect(evening.notes).toHaveLength(2);
  });

  it("is renewed while it runs, and ends", async () => {
    const evening = await Evening.open();
    await evening.becomes(100);
    const entries: ScheduleEntry[] = [{ at: "12:00", value: 70 }];
    const site = { timeZone: "Asia/Ho_Chi_Minh" };
    evening.desk.schedules.renew([{ device: "light-01", point: "dim", shownAt: "dim", entries, site }]);
    await evening.becomes(70);
    evening.desk.schedules.renew([]);
    evening.dim = 20;
    await evening.pass(hourMs);
    expect(evening.dim).toBe(20);
  });
});

it("writes few at one moment, for they may share a line, and all in the end", async () => {
  const site = new Site(join(root, String(++folders)));
  const ids = Array.from({ length: 30 }, (_, n) => `lamp-${n + 10}`);
  const points = [{ name: "dim", kind: "number", write: { interlock: [], safety: false } }] as const;
  const devices = ids.map((id) => ({ id, points: points as never, write: { allow: ["dim"] } }));
  site.policy = new Policy({ issuers: [], roles: {}, ratePerMinute: 1, clock: "synced" }, devices);
  for (const id of ids) {
    site.facts.set(id, there);
    site.field.values.set(`${id}/dim`, 0);
  }
  const evening = new Evening(site);
  let [now, most] = [0, 0];
  const { field } = site;
  const execute: typeof field.execute = async (order) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return field.execute(order);
  };
  const where = { shownAt: "dim", entries: night, site: { timeZone: "Asia/Ho_Chi_Minh" } };
  const schedules = ids.map((device) => ({ device, point: "dim", ...where }));
  const { latest, read } = field;
  await evening.start({ schedules, field: { execute, latest, read } });
  await evening.look();
  expect(ids.map((id) => field.values.get(`${id}/dim`))).toEqual(ids.map(() => 100));
  expect(most).toBe(8);
});

describe("who goes before a schedule", () => {
  it("a lease, until it ends: then the point goes to what the schedule says by then", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    const issued = { args: { dim: 30 }, lease: 2 * hourMs };
    expect(await take(evening.desk, evening.site.content(issued))).toMatchObject({ state: "done" });
    await evening.pass(hourMs + minuteMs);
    expect([evening.dim, evening.state]).toEqual([30, "leased"]);
    await evening.pass(hourMs);
    evening.desk.deviceChanged("light-01");
    await expect.poll(() => evening.desk.pending.leases).toEqual([]);
    await evening.becomes(50);
    // By the return itself, and not by the old value first.
    expect(evening.written).toEqual([100, 30, 50]);
  });

  it("an order for good, until the schedule says something else; also after a restart", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    await take(evening.desk, evening.site.content({ args: { dim: 30 } }));
    await evening.pass(30 * minuteMs);
    expect([evening.dim, evening.state]).toEqual([30, "ordered"]);
    await evening.desk.close();
    evening.site.now = { ...evening.site.now, boot: "boot-2", monoMs: 1000 };
    await evening.start();
    await evening.pass(20 * minuteMs);
    expect([evening.dim, evening.state]).toEqual([30, "ordered"]);
    await evening.pass(10 * minuteMs);
    await evening.becomes(50);
  });

  it("an order of whose end the gateway does not know, until it has been read", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    evening.site.field.next = async (_, obey) => {
      obey();
      throw new Error("the host has ended");
    };
    await take(evening.desk, evening.site.content({ args: { dim: 30 } }));
    await evening.pass(minuteMs);
    await expect.poll(() => [evening.dim, evening.state]).toEqual([30, "ordered"]);
    expect(evening.written).toEqual([100, 30]);
  });

  it("an order that a crash has cut through, where it has come to the device", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    evening.site.field.next = (_, obey) => {
      obey();
      return new Promise(() => {});
    };
    void take(evening.desk, evening.site.content({ args: { dim: 30 } }));
    await expect.poll(() => evening.dim).toBe(30);
    // Nobody closes the desk, as at a crash.
    for (const desk of open.splice(0)) desk.schedules.stop();
    evening.site.now = { ...evening.site.now, boot: "boot-2" };
    await evening.start({ retryFirstMs: hourMs });
    await evening.look();
    expect([evening.dim, evening.state]).toEqual([30, "ordered"]);
  });

  it("not one that has failed", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    evening.site.field.next = async () => ({ state: "failed", code: "rejected" });
    await take(evening.desk, evening.site.content({ args: { dim: 30 } }));
    evening.dim = 20;
    await evening.becomes(100);
  });

  it("the end of a lease that nobody has asked for is the next change", async () => {
    const site = new Site(join(root, String(++folders)));
    site.field.values.set("light-01/boost", false);
    const evening = new Evening(site, "22:59");
    const entries: ScheduleEntry[] = [
      { at: "05:00", value: false },
      { at: "22:59:20", value: true },
    ];
    const schedule = { device: "light-01", point: "boost", shownAt: "boost", entries };
    await evening.start({ schedules: [{ ...schedule, site: { timeZone: "Asia/Ho_Chi_Minh" } }] });
    const state = await take(evening.desk, site.content({ args: { boost: true } }));
    expect(state).toMatchObject({ state: "done", leaseMs: 20_000 });
  });

  it("a person at the device: it stops, says so, and goes on when he has gone", async () => {
    const evening = await Evening.open("22:00");
    await evening.becomes(100);
    evening.site.facts.set("light-01", { ...there, override: "the switch is on local" });
    await evening.pass(2 * hourMs);
    expect([evening.dim, evening.problem]).toEqual([100, "KERB-SCH-OVERRIDE"]);
    expect(evening.notes).toMatchObject([
      ["light-01", { code: "KERB-SCH-OVERRIDE", reason: "the switch is on local" }],
    ]);
    evening.site.facts.set("light-01", there);
    await evening.becomes(50);
    expect(evening.notes).toHaveLength(2);
  });
});

it("what a crash has cut through is kept after it", async () => {
  const evening = await Evening.open();
  const { promise, resolve } = Promise.withResolvers<void>();
  evening.site.field.next = () => promise.then(() => ({ state: "unknown" }));
  await expect.poll(() => evening.written).toEqual([100]);
  // Nobody closes the desk, as at a crash.
  const before = evening.desk;
  open.splice(0);
  evening.site.now = { ...evening.site.now, boot: "boot-2" };
  await evening.start({ retryFirstMs: 1 });
  await evening.becomes(100);
  resolve();
  await expect.poll(() => evening.desk.pending.unknown).toEqual([]);
  before.schedules.stop();
});

/** A record of eight in the evening. */
const entry = (happening: Happening): Entry => ({
  n: 1,
  at: at("20:00"),
  mono: 1000,
  clock: "synced",
  ...happening,
});

const records = (id: string, source: string): Entry[] => {
  const state = { v: 1, id, gw: "gw-01", dev: "light-01", state: "accepted", at: 0, source };
  const about = { id, dev: "light-01", point: "dim" };
  return [
    { ev: "accepted", digest: id, state },
    { ev: "executing", ...about, value: 30 },
    { ev: "wrote", ...about, state: "done" },
    { ev: "result", state: { ...state, state: "done" } },
  ].map(entry);
};
const remembering = (...entries: Entry[]): Memory => {
  const memory = new Memory();
  for (const one of [entry({ ev: "opened", boot: "boot-1" }), ...entries]) memory.take(one);
  return memory;
};

describe("the memory", () => {
  it("keeps no schedule's writes, of which there are many and which nobody sends again", () => {
    const memory = remembering(...records("A", "ioc"), ...records("B", "schedule"));
    expect([memory.known("A")?.state.state, memory.known("B")]).toEqual(["done", undefined]);
  });

  it("knows an order for good from the beginning of the next segment, and for no longer than a week", () => {
    const before = remembering(...records("A", "ioc"));
    const after = remembering(entry({ ev: "standing", boot: "boot-1", ...before.standing() }));
    expect(after.order("light-01", "dim")).toMatchObject({ id: "A", atMs: at("20:00"), mono: 1000 });
    for (const one of records("C", "ioc"))
      after.take({ ...one, point: "lamp", at: one.at + 9 * 24 * hourMs });
    expect(after.order("light-01", "dim")).toBeUndefined();
    expect(remembering(...records("A", "ioc"), ...records("B", "schedule")).order("light-01", "dim")).toBe(
      undefined,
    );
  });
});
