import Database from "better-sqlite3";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventReader, EventWriter, type ClockState } from "../event.ts";
import { keptOf } from "./accounts.ts";
import { OutboxCore } from "./core.ts";
import type { QueueOptions } from "./open.ts";
import type { FromWorker } from "./outbox.ts";
import { Senders } from "./senders.ts";
import { OutboxStore } from "./store.ts";

let folder = "";
let path = "";
let store: OutboxStore;
const open: OutboxStore[] = [];
const both = ["one", "two"];
const points = [{ name: "v", unit: "", kind: "text" as const, decimals: 0 }];
const device = { id: "meter-01", type: "meter", profile: "", points };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-mending-"));
  path = join(folder, "state", "outbox.db");
  start();
  store.register([device]);
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(more: Partial<QueueOptions> = {}): OutboxStore {
  store = new OutboxStore({ path, bytesMax: 1 << 24, ...more });
  open.push(store);
  return store;
}
function stop(): void {
  open.splice(open.indexOf(store), 1);
  store.close();
}
function commit(count: number, bytes = 10, clock: ClockState = "synced", of = 1): void {
  const writer = new EventWriter();
  writer.begin("telemetry", of, 1_795_000_000_000, 5, clock);
  writer.count(1);
  writer.reading(1, "x".repeat(bytes), 0);
  store.commit(
    Array.from({ length: count }, () => ({ lane: 1 as const, body: Buffer.from(writer.bytes()) })),
  );
}
const release = (uplink: string, to: number, uplinks = [uplink], epoch = store.epoch) => {
  while (store.release(uplink, epoch, to, uplinks));
};
function write(sql: string): void {
  const database = new Database(path);
  database.exec(sql);
  database.close();
}
function read(sql: string): unknown[] {
  const { resume } = store;
  stop();
  const database = new Database(path, { readonly: true });
  const rows = database.prepare(sql).all();
  database.close();
  start({ resume });
  return rows;
}
function salvage(uplinks = ["one"]): { rows: number; lost: number } {
  const sum = { rows: 0, lost: 0 };
  for (let work = store.salvage(uplinks); work !== undefined; work = store.salvage(uplinks)) {
    let result = work.step();
    while (result === undefined) result = work.step();
    sum.rows += result.rows;
    sum.lost += result.lost;
    store.lift();
  }
  return sum;
}
function seals(uplink: string): { from: number; to: number; tomb: unknown[] }[] {
  // A later epoch closes the open seal.
  stop();
  const { epoch } = store;
  start();
  release(uplink, store.lastId, [uplink, "other"], epoch);
  return store.seals.pending(uplink).map(({ body }) => JSON.parse(body) as never);
}
function balanced(): void {
  const { event, live } = store.books();
  expect(event.kept + live.kept).toBe(store.count().rows);
  for (const account of store.accounts.list()) expect(keptOf(account)).toBeGreaterThanOrEqual(0);
}

describe("what a receiver has", () => {
  it("is not lost because another uplink is new", () => {
    commit(1000);
    release("one", 1000);
    const { dropped } = store.books().live;
    expect(store.declareVanished(store.epoch, [[1, 1000]], both)).toBe(1000);
    expect(store.losses.unacknowledged(9)).toMatchObject([{ first: 1, last: 1000, reason: "released" }]);
    expect(store.books().live.dropped).toBe(dropped);
    balanced();
  });

  it("is delivered in the books when its row is destroyed before the other has it", () => {
    commit(20);
    release("one", 10, both);
    const { resume } = store;
    stop();
    write("DELETE FROM event WHERE id IN (5, 15)");
    start({ resume });
    expect(store.declareVanished(store.epoch, [[1, 20]], both)).toBe(2);
    expect(store.losses.unacknowledged(9).map(({ first, reason }) => [first, reason])).toEqual([
      [5, "released"],
      [15, "storage"],
    ]);
    expect(store.books().live).toMatchObject({ delivered: 1, dropped: 1, kept: 18 });
  });
});

function refuse(uplink: string, id: number): void {
  store.deadLetters.add(uplink, store.rows(1, id, id), "refused", 3);
}

describe("dead letters", () => {
  it("wait for the chain of the uplink that delivered the event", () => {
    commit(3);
    refuse("two", 2);
    // Acknowledged, but the chain is not there yet: as after a step that ran out of time.
    const { resume } = store;
    stop();
    write(`INSERT INTO released VALUES ('one', ${resume.epoch}, 3)`);
    start({ resume });
    store.deadLetters.settle(both);
    expect(store.count().rows).toBe(3);
    release("one", 3, both);
    store.deadLetters.settle(both);
    expect(store.count().rows).toBe(2);
    expect(seals("one").flatMap(({ tomb }) => tomb)).toEqual([]);
  });

  it("take a share of the budget at most, and make room before rows do", () => {
    commit(60, 60_000);
    for (let id = 1; id <= 30; id++) refuse("one", id);
    store.deadLetters.settle(["one"]);
    const copies = store.deadLetters.summary().counts["one"] ?? 0;
    expect(copies * 60_000).toBeLessThan(0.05 * (1 << 24));
    expect(copies).toBeGreaterThan(5);
    const { rows } = store.count();
    expect(store.evict()).toBe(copies);
    expect(store.count().rows).toBe(rows);
    expect(store.evict()).toBe(30);
  });

  it("that two uplinks refused are accepted once anew", () => {
    commit(3);
    for (const uplink of both) for (const id of [1, 3]) refuse(uplink, id);
    store.deadLetters.settle(both);
    const { events, remove } = store.deadLetters.takeCopies(1);
    expect(events).toHaveLength(1);
    remove();
    expect(store.deadLetters.takeCopies().events).toHaveLength(1);
  });

  it("of an earlier boot keep their times, whatever happens to this one's clock", () => {
    commit(1, 10, "unsynced");
    refuse("one", 1);
    store.deadLetters.settle(["one"]);
    stop();
    write("UPDATE epoch SET boot = 'another'");
    start();
    const { events, remove } = store.deadLetters.takeCopies();
    const [row] = store.commit(events, () => (remove(), []));
    stop();
    const { boot } = store.epochs.at(-1) ?? { boot: "" };
    write(`INSERT INTO clock_fix (boot, mono, wall, state) VALUES ('${boot}', 900000000000, 1, 'synced')`);
    start();
    const sent = store.corrected(store.rows(1, row?.id ?? 0, row?.id ?? 0)[0] as never, store.clock.latest);
    const reader = new EventReader();
    reader.open(sent.body);
    expect([reader.clock, reader.timeMs]).toEqual(["unsynced", 1_795_000_000_000]);
  });

  it("keep the times that were right when they left the queue", () => {
    commit(1, 10, "unsynced");
    refuse("one", 1);
    const { resume } = store;
    stop();
    const { boot } = resume.epochs.at(-1) ?? { boot: "" };
    write(`INSERT INTO clock_fix (boot, mono, wall, state) VALUES ('${boot}', 5, 1796000000000, 'synced')`);
    start({ resume });
    store.deadLetters.settle(["one"]);
    const reader = new EventReader();
    reader.open(store.deadLetters.takeCopies().events[0]?.body ?? Buffer.alloc(0));
    expect([reader.clock, reader.timeMs]).toEqual(["holdover", 1_796_000_000_000]);
  });
});

describe("evictions in chunks", () => {
  it("are counted by device at one number for each tombstone", () => {
    commit(2000);
    for (let i = 0; i < 4; i++) store.evict();
    expect(read("SELECT at, events FROM tombstone_device")).toEqual([{ at: 1, events: 2000 }]);
  });
});

/** The file is put aside as damaged, as if SQLite had called it corrupt. */
function damage(more: Partial<QueueOptions> = {}): void {
  const { resume } = store;
  stop();
  start({ resume, suspect: "condemned", ...more });
}

const none = () => {};

describe("a salvage", () => {
  it("does not let a chain pass rows that are not fetched yet", () => {
    commit(300);
    damage();
    release("one", 200);
    expect(store.seals.sealedTo("one", store.epoch)).toBe(0);
    expect(store.releasedBy("one", store.epoch)).toBe(200);
    release("one", 210);
    expect(salvage()).toEqual({ rows: 300, lost: 0 });
    release("one", 210);
    expect(store.books().live).toMatchObject({ delivered: 210, kept: 90 });
    expect(seals("one").map(({ from, tomb }) => [from, tomb])[0]).toEqual([1, []]);
  });

  it("is followed by the release of what was acknowledged during it", async () => {
    commit(300);
    damage();
    const uplink = { name: "one", city: "hcmc", gateway: "gw-01", encoding: "columnar" as const };
    const limits = { windowMax: 20, bytesMax: 32_768, resendAfterMs: 30_000 };
    const host = { store: () => store, emit: none, trouble: none, dropsDue: none };
    const senders = new Senders([{ ...uplink, ...limits }], store, host);
    while (store.release("one", store.epoch, 200, ["one"]));
    salvage();
    senders.renew(store);
    await expect.poll(() => store.seals.sealedTo("one", store.epoch)).toBe(200);
    expect(store.releasedBy("one", store.epoch)).toBe(200);
  });

  it("fetches what is acknowledged and not sealed yet", () => {
    commit(300);
    release("one", 100);
    damage();
    release("one", 200);
    expect(salvage()).toEqual({ rows: 200, lost: 0 });
    release("one", 200);
    expect(store.count().rows).toBe(100);
    expect(seals("one").flatMap(({ tomb }) => tomb)).toEqual([]);
    balanced();
  });

  it("that meets damage again fetches from both files", () => {
    commit(3000);
    damage();
    commit(500);
    store.salvage(["one"])?.step();
    damage();
    expect(salvage()).toEqual({ rows: 3500, lost: 0 });
    expect(store.count().rows).toBe(3500);
    balanced();
    expect(readdirSync(join(folder, "state")).some((name) => name.includes(".damaged-"))).toBe(false);
  });

  it("gives its result again without booking it again", () => {
    commit(300);
    release("one", 100);
    damage();
    // The renaming fails: a folder stands where the salvaged file should.
    const file = readdirSync(join(folder, "state")).find((name) => /damaged-\d+$/.test(name)) ?? "";
    const blocked = join(folder, "state", file.replace("damaged", "salvaged"));
    mkdirSync(blocked);
    const work = store.salvage(["one"]);
    let result: ReturnType<NonNullable<typeof work>["step"]>;
    const failures: unknown[] = [];
    const books: unknown[] = [];
    for (let i = 0; i < 20; i++) {
      try {
        result = work?.step();
        if (result !== undefined) books.push(store.books());
      } catch (error) {
        failures.push(error);
      }
    }
    expect(failures).toEqual([]);
    expect(result).toMatchObject({ rows: 200, lost: 0 });
    expect(books[0]).toEqual(books.at(-1));
    balanced();
  });

  it("leaves out a commit of unknown outcome, also in the books and the numbers", () => {
    commit(100);
    const { resume } = store;
    commit(7);
    stop();
    start({ resume, suspect: "condemned" });
    expect(store.lastId).toBe(100);
    salvage();
    commit(7);
    expect(store.lastId).toBe(107);
    expect(store.books().live).toMatchObject({ accepted: 107, delivered: 0, dropped: 0, kept: 107 });
    balanced();
  });
});

describe("a file that is gone", () => {
  it("lends its numbers to no older one that is brought back damaged", () => {
    const { epoch } = store;
    commit(40);
    stop();
    const older = readFileSync(path);
    const database = new Database(path, { readonly: true });
    const page = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'account'").pluck().get();
    database.close();
    for (const suffix of ["", "-wal"]) rmSync(path + suffix, { force: true });
    start();
    const between = store.epoch;
    commit(10);
    stop();
    older.fill(0x5a, (Number(page) - 1) * 2048, Number(page) * 2048);
    writeFileSync(path, older);
    start();
    expect(store.quarantined).toBeDefined();
    expect(salvage()).toEqual({ rows: 40, lost: 0 });
    expect(store.rows(1, 1, 99).filter(({ id }) => store.epochOf(id).epoch !== epoch)).toEqual([]);
    expect(store.epoch).toBeGreaterThan(between);
  });

  it("during an outage without a trace is declared from the receivers' watermarks on", () => {
    commit(100);
    release("one", 40);
    const { resume } = store;
    stop();
    for (const suffix of ["", "-wal"]) rmSync(path + suffix, { force: true });
    start({ resume });
    expect(store.lost).toBe(60);
    expect(store.lastId).toBe(100);
    expect(store.losses.unacknowledged(9)).toMatchObject([{ first: 41, last: 100, reason: "storage" }]);
    expect(store.books().live).toMatchObject({ accepted: 60, dropped: 60 });
    expect(store.releasedBy("one", store.epoch)).toBe(40);
    balanced();
  });

  it("with its folder comes back with all that the open handle reaches", async () => {
    stop();
    const said: FromWorker[] = [];
    const options = { commitAfterMs: 10, commitEventsMax: 100, gateway: "gw-01", uplinks: [] };
    const core = new OutboxCore({ ...options, path, bytesMax: 1 << 24 }, (message) => said.push(message));
    const stats = (): Record<string, unknown> => {
      core.receive({ type: "request", id: 7, name: "stats", args: [] });
      return (said.findLast(({ type }) => type === "answer") as never as { result: never }).result;
    };
    for (let i = 0; i < 50; i++) core.receive({ type: "event", kind: "state", device: 1, data: { i } });
    await expect.poll(() => Number(stats()["rows"])).toBeGreaterThanOrEqual(50);
    const { epoch } = stats();
    rmSync(join(folder, "state"), { recursive: true });
    await expect.poll(() => existsSync(path), { timeout: 8000 }).toBe(true);
    await expect.poll(() => Number(stats()["rows"]), { timeout: 8000 }).toBeGreaterThanOrEqual(50);
    expect(stats()["epoch"]).toBe(epoch);
    expect(said.some((one) => one.type === "problem" && one.text.includes("not in the outbox"))).toBe(false);
    expect(readFileSync(join(folder, "state", "epoch"), "utf8")).toMatch(new RegExp(`^${String(epoch)}\n`));
    core.receive({ type: "request", id: 9, name: "close", args: [] });
  });
});

describe("the lock on the file", () => {
  it("keeps another process out, also once all pages have been read", async () => {
    stop();
    const options = { path, bytesMax: 1 << 24, commitAfterMs: 10, commitEventsMax: 100 };
    const core = new OutboxCore({ ...options, gateway: "gw-01", uplinks: [] }, () => {});
    const script = `
      import Database from "better-sqlite3";
      new Database(${JSON.stringify(path)}, { timeout: 0 }).exec("DELETE FROM uplink");
    `;
    const intrude = () =>
      spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }).stderr;
    // The pages are read half a second after the start; a POSIX lock goes with any descriptor that is closed.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(intrude()).toContain("SQLITE_BUSY");
    core.receive({ type: "request", id: 9, name: "close", args: [] });
    expect(intrude()).toBe("");
  });
});

describe("an epoch without rows", () => {
  it("is kept while it has losses to declare or a chain to end", () => {
    commit(5);
    const first = store.epoch;
    store.drop(store.rows(1, 1, 5), "too-large");
    const restart = () => {
      for (let i = 0; i < 10; i++) {
        stop();
        start();
        commit(1);
        release("one", 1);
      }
    };
    restart();
    expect(store.epochs[0]?.epoch).toBe(first);
    const drops = store.dropReport(1);
    drops?.mark();
    release("one", 4, ["one"], first);
    restart();
    expect(store.epochs[0]?.epoch).toBe(first);
    for (const { epoch } of store.epochs.slice(0, -1)) release("one", 9, ["one"], epoch);
    restart();
    expect(store.epochs.some(({ epoch }) => epoch === first)).toBe(false);
  });

  it("stays as the border of an older one that has something to declare", () => {
    commit(5);
    const { epoch, base } = store;
    store.drop(store.rows(1, 1, 5), "too-large");
    for (let i = 0; i < 12; i++) {
      stop();
      start();
      commit(3);
      for (const later of store.epochs.slice(1)) release("one", 3, ["one"], later.epoch);
    }
    expect(store.epochs[0]?.epoch).toBe(epoch);
    expect(store.lastIdOf(store.epochs[0] as never) - base).toBe(5);
    expect(store.declareVanished(epoch, [[1, 20]], ["one"])).toBe(0);
  });
});
