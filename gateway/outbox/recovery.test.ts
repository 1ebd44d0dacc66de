import Database from "better-sqlite3";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import { OutboxCore } from "./core.ts";
import type { FromWorker } from "./outbox.ts";
import { PatientOutbox } from "./patient.ts";
import { PendingEvents } from "./pending.ts";
import type { SalvageResult } from "./salvage.ts";
import { OutboxStore, type RowLane, type StoredRow } from "./store.ts";
import { bytesMax, folder, path, start, stop } from "./testing.ts";
import { FileWatch } from "./watch.ts";

/** Of the files that kerb makes. */
const pageBytes = 2048;

const writer = new EventWriter();
function event(value: number, lane: RowLane = 1, size = 0): { lane: RowLane; body: Buffer } {
  writer.begin("telemetry", 1, 1_795_000_000_000 + value, value, "synced");
  writer.count(2);
  writer.reading(1, value, 0);
  writer.reading(2, "x".repeat(size), 0);
  return { lane, body: Buffer.from(writer.bytes()) };
}
const many = (count: number, size = 60) => Array.from({ length: count }, (_, i) => event(i, 1, size));
const device = { id: "meter-01", type: "meter", profile: "", points: [] };

function salvage(store: OutboxStore): SalvageResult {
  const work = store.salvage(["ioc"]);
  for (let steps = 0; steps < 10_000; steps++) {
    const result = work?.step();
    if (result === undefined) continue;
    store.lift();
    return result;
  }
  throw new Error("the salvage does not end");
}

function allRows(store: OutboxStore): StoredRow[] {
  return [0, 1].flatMap((lane) => store.rows(lane as RowLane, 0, store.lastId, 1_000_000));
}
function balanced(store: OutboxStore): void {
  const { event: urgent, live } = store.books();
  expect(urgent.kept + live.kept).toBe(store.count().rows);
}
function destroy(page: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes);
  writeFileSync(path, bytes);
}
/** One bit in the body of a row. */
function alter(at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}
/** The pages of the rows' leaves that hold at least `cells` rows. */
function leaves(cells: number): number[] {
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / pageBytes }, (_, i) => i).filter(
    (i) => i > 0 && bytes[i * pageBytes] === 0x0d && bytes.readUInt16BE(i * pageBytes + 3) >= cells,
  );
}

/** Where an event row has the type of its last column: SQLite, "Database File Format", 1.6 and 2.1. */
function typeOfBody(bytes: Buffer): number {
  const isOfEvents = (page: number) =>
    bytes.subarray(page * pageBytes, (page + 1) * pageBytes).includes("x".repeat(60));
  const head = (leaves(10).findLast(isOfEvents) ?? 0) * pageBytes;
  const cells = bytes.readUInt16BE(head + 3);
  const afterNumber = (at: number): number => ((bytes[at] ?? 0) > 0x7f ? afterNumber(at + 1) : at + 1);
  const cell = head + bytes.readUInt16BE(head + 8 + 2 * (cells - 1));
  const header = afterNumber(afterNumber(cell));
  const types = [header + 1];
  // Five columns: id, lane, recorded, crc, body.
  for (let column = 1; column < 5; column++) types.push(afterNumber(types.at(-1) ?? 0));
  return types[4] ?? 0;
}

describe("a damaged file", () => {
  it("is salvaged under the old ids, and what a destroyed page held is declared", () => {
    let store = start();
    store.register([device]);
    const before = store.commit([...many(3000), event(1, 0), event(7, 1, 9000), event(8, 1, 300_000)]);
    const { epoch } = store;
    while (store.release("ioc", epoch, 500, ["ioc"]));
    stop(store);
    destroy(leaves(10)[30] ?? 0);
    alter((leaves(10)[50] ?? 0) * pageBytes + (pageBytes - 26));
    store = start({ suspect: "check" });
    expect(store.quarantined).toMatch(/damaged-\d+$/);
    expect(store.epoch).toBeGreaterThan(epoch);
    // Nothing of it is delivered before all of it is there.
    store.commit(many(5));
    for (let i = 0; i < 2; i++) store.salvage(["ioc"])?.step();
    expect(store.count().rows).toBeGreaterThan(5);
    expect(store.rows(1, 0, store.lastId)).toHaveLength(5);
    const { lost } = salvage(store);
    const rows = before.length - 500 - lost;
    expect(lost).toBeGreaterThan(10);
    expect(lost).toBeLessThan(60);
    const old = new Map(before.map((row) => [row.id, Buffer.from(row.body)]));
    const found = allRows(store).filter((row) => row.id <= before.length);
    expect(found).toHaveLength(rows);
    for (const { id, body } of found) expect(Buffer.compare(body, old.get(id) ?? Buffer.alloc(0))).toBe(0);
    expect(store.epochOf(before.length).epoch).toBe(epoch);
    balanced(store);
    expect(store.dropReport(1)?.body.toString("latin1")).toContain('"cause":"storage"');
    expect(readdirSync(folder).some((name) => name.includes(".salvaged-"))).toBe(true);
  });

  it("that has lost its first page is salvaged with what stands beside it", () => {
    let store = start();
    const [registered] = store.register([
      { ...device, points: [{ name: "v", unit: "V", kind: "number", decimals: 1 }] },
    ]);
    const { epoch, base } = store;
    const before = store.commit(many(2000));
    stop(store);
    destroy(0);
    store = start();
    expect(store.quarantined).toBeDefined();
    expect(store.epochs.find((record) => record.epoch === epoch)?.base).toBe(base);
    expect(
      store.register([{ ...device, points: [{ name: "v", unit: "V", kind: "number", decimals: 1 }] }]),
    ).toEqual([registered]);
    expect(salvage(store)).toMatchObject({ rows: before.length, lost: 0 });
    balanced(store);
  });

  it("closes its books when only what was dropped can still be read of them", () => {
    const store = start();
    store.drop(store.commit(many(200)).slice(0, 28), "overflow");
    balanced(store);
    expect(store.books().live.dropped).toBe(28);
    stop(store);
    const database = new Database(path, { readonly: true });
    const page = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'account'").pluck().get();
    database.close();
    destroy((page as number) - 1);
    const second = start();
    salvage(second);
    balanced(second);
  });

  it("goes on where the running gateway was, and a kill in the middle of the salvage repeats it", () => {
    let store = start();
    store.register([device]);
    const before = store.commit(many(3000));
    const { resume } = store;
    stop(store);
    destroy(leaves(10)[10] ?? 0);
    store = start({ resume, suspect: "check" });
    expect([store.epoch, store.base, store.lastId]).toEqual([resume.epoch, resume.base, resume.lastId]);
    expect(store.commit(many(1))[0]?.id).toBe(before.length + 1);
    store.salvage(["ioc"])?.step();
    stop(store);
    store = start();
    const { lost } = salvage(store);
    expect(allRows(store)).toHaveLength(before.length + 1 - lost);
    balanced(store);
  });

  it("gives also the row to which a pointer with a wrong bit leads", () => {
    const store = start();
    store.register([device]);
    store.commit(many(60));
    stop(store);
    const bytes = readFileSync(path);
    const head = (leaves(10).at(-1) ?? 0) * pageBytes;
    bytes.writeUInt16BE(bytes.readUInt16BE(head + 16) | 0x8000, head + 16);
    writeFileSync(path, bytes);
    expect(salvage(start({ suspect: "condemned" }))).toMatchObject({ rows: 60, lost: 0 });
  });

  it("is kept twice at most", () => {
    for (let round = 0; round < 4; round++) {
      writeFileSync(path, "no database at all".repeat(1000));
      const store = start();
      salvage(store);
      stop(store);
    }
    expect(readdirSync(folder).filter((name) => /(salvaged|damaged)-\d+$/.test(name))).toHaveLength(2);
  });
});

describe("a file opened again", () => {
  it("that holds the last commit gives its rows, so that they are not stored twice", () => {
    let store = start();
    store.commit(many(10));
    const { resume } = store;
    store.commit(many(3));
    stop(store);
    store = start({ resume });
    expect(store.newer(resume.lastId).map(({ id }) => id)).toEqual([11, 12, 13]);
    expect(store.commit(many(1))[0]?.id).toBe(14);
  });

  it("that is an older copy declares what is missing, and uses no number again", () => {
    let store = start();
    store.register([device]);
    store.commit(many(10));
    stop(store);
    copyFileSync(path, `${path}.copy`);
    store = start();
    store.commit(many(7));
    const { resume } = store;
    stop(store);
    renameSync(`${path}.copy`, path);
    store = start({ resume });
    expect(store.lost).toBe(7);
    expect(store.epochOf(17)).toMatchObject({ epoch: resume.epoch, base: 10 });
    expect(store.commit(many(1))[0]?.id).toBe(18);
    expect(store.books().live).toMatchObject({ accepted: 18, dropped: 7, kept: 11 });
  });

  it("that somebody else wrote is put aside, and nothing of it is delivered", () => {
    let store = start();
    store.commit(many(10));
    const { resume } = store;
    stop(store);
    unlinkSync(path);
    writeFileSync(join(folder, "epoch"), `${resume.epoch + 100}\n`);
    const foreign = start();
    foreign.commit(many(50));
    stop(foreign);
    store = start({ resume });
    expect(store.quarantined).toMatch(/replaced-\d+$/);
    expect([store.epoch, store.lastId, store.count().rows]).toEqual([resume.epoch, 10, 0]);
  });

  it("with a root that reads as an empty leaf, or a row without a body, is salvaged after a clean stop", async () => {
    const wounds: [string, (bytes: Buffer) => number][] = [
      // The root of all rows: an interior page becomes a leaf whose cells are none.
      ["root", (bytes) => bytes.findIndex((byte, at) => at > 0 && at % pageBytes === 0 && byte === 5)],
      // The type of a row's last column, far behind what is fetched first: a BLOB becomes NULL or a text.
      ["type", (bytes) => typeOfBody(bytes)],
    ];
    for (const [what, where] of wounds) {
      const first = start();
      first.register([device]);
      const before = first.commit(many(3000)).length;
      stop(first);
      const bytes = readFileSync(path);
      const at = where(bytes);
      bytes[at] = what === "root" ? 0x0d : 0;
      writeFileSync(path, bytes);
      const said: FromWorker[] = [];
      const core = new OutboxCore({ ...options, path, bytesMax }, (message) => said.push(message));
      await expect
        .poll(() => readdirSync(folder).some((name) => name.includes(".salvaged-")), { timeout: 10_000 })
        .toBe(true);
      core.receive({ type: "request", id: 7, name: "stats", args: [] });
      const { result } = said.findLast(({ type }) => type === "answer") as unknown as {
        result: { books: { live: { kept: number; dropped: number } } };
      };
      const { kept, dropped } = result.books.live;
      expect(kept + dropped).toBe(before);
      expect(dropped).toBeLessThan(2);
      core.receive({ type: "request", id: 9, name: "close", args: [] });
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
    }
  });

  it("whose devices read other than they were written is not believed", () => {
    const points = [{ name: "v", unit: "", kind: "number" as const, decimals: 0 }];
    const id = `meter-01${"x".repeat(30)}`;
    const store = start();
    store.register([{ ...device, id: id, points }]);
    stop(store);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf(id)] = 0x4d;
    writeFileSync(path, bytes);
    const { quarantined, dictionary } = start();
    expect(quarantined).toBeDefined();
    expect(dictionary.devices).toMatchObject([{ id: id, index: 1, points: [{ index: 1 }] }]);
  });

  it("with a row without a body counts as damaged, however it is read", () => {
    let store = start();
    store.register([device]);
    store.commit(many(300));
    const { resume } = store;
    stop(store);
    const bytes = readFileSync(path);
    bytes[typeOfBody(bytes)] = 0;
    writeFileSync(path, bytes);
    store = start({ resume });
    expect(() => store.rows(1, 0, 300)).toThrow("a row of the wrong shape");
    const { epoch } = store;
    expect(() => {
      while (store.release("ioc", epoch, 300, ["ioc"]));
    }).toThrow("a row of the wrong shape");
  });

  it("is not made anew while its folder is away", () => {
    const store = start();
    const { resume } = store;
    stop(store);
    rmSync(folder, { recursive: true });
    expect(() => start({ resume })).toThrow();
    expect(existsSync(folder)).toBe(false);
    expect(() => start({ resume: { ...resume, device: -1 } })).toThrow();
  });
});

describe("numbers that have vanished", () => {
  it("are not booked twice when a row is found by one way and not by another", () => {
    let store = start();
    store.commit(many(3000));
    const { resume, epoch } = store;
    stop(store);
    const bytes = readFileSync(path);
    const root = bytes.findIndex((byte, at) => at > 0 && at % pageBytes === 0 && byte === 5);
    // A cell of an inner page: the child's number in 4 bytes, then its highest key in 7-bit groups.
    const cell = root + bytes.readUInt16BE(root + 12 + 2 * 20);
    bytes[cell + 4] = (bytes[cell + 4] ?? 0) - 1;
    writeFileSync(path, bytes);
    store = start({ resume });
    expect(() => {
      while (store.release("ioc", epoch, 3000, ["ioc"]));
    }).toThrow("rows that cannot be reached");
    const { accepted, delivered } = store.books().live;
    expect(delivered).toBeLessThanOrEqual(accepted);
  });

  it("are not declared while damage hides their rows", () => {
    let store = start();
    store.commit(many(3000));
    const { resume } = store;
    stop(store);
    const bytes = readFileSync(path);
    const root = bytes.findIndex((byte, at) => at > 0 && at % pageBytes === 0 && byte === 5);
    bytes[root] = 0x0d;
    writeFileSync(path, bytes);
    store = start({ resume });
    expect(() => store.declareVanished(store.epoch, [[1, 3000]], ["ioc"])).toThrow("out of order");
    expect(store.losses.unacknowledged(9)).toEqual([]);
  });

  it("are declared when the receiver lacks them, and nothing else is", () => {
    let store = start();
    store.commit(many(20));
    const { resume } = store;
    stop(store);
    const database = new Database(path);
    database.exec("DELETE FROM event WHERE id IN (5, 6, 12)");
    database.close();
    store = start({ resume });
    expect(store.declareVanished(store.epoch, [[4, 8]], ["ioc"])).toBe(2);
    expect(store.declareVanished(store.epoch, [[4, 20]], ["ioc"])).toBe(1);
    expect(store.declareVanished(store.epoch, [[1, 20]], ["ioc"])).toBe(0);
    balanced(store);
  });
});

describe("the watch over the file", () => {
  it("sees a deleted log, and the open handle saves what is in it", () => {
    let store = start();
    store.commit(many(30));
    const watch = new FileWatch(path);
    expect(watch.check()).toBeUndefined();
    unlinkSync(`${path}-wal`);
    store.commit(many(5));
    expect(watch.check()).toBe("log-gone");
    store.secure();
    const { resume } = store;
    stop(store);
    store = start({ resume });
    expect([store.lost, store.count().rows]).toEqual([0, 35]);
  });

  it("sees a deleted or replaced file, and gives what the handle reaches its name again", () => {
    for (const replaced of [false, true]) {
      let store = start();
      const { rows } = store.count();
      store.commit(many(30));
      const watch = new FileWatch(path);
      unlinkSync(path);
      if (replaced) writeFileSync(path, "something else");
      store.commit(many(5));
      expect(watch.check()).toBe("file-gone");
      store.secure();
      watch.rescue();
      const { resume } = store;
      stop(store);
      store = start({ resume });
      expect([store.lost, store.count().rows]).toEqual([0, rows + 35]);
      stop(store);
    }
  });
});

describe("events that wait for the disk", () => {
  it("are bounded: the oldest telemetry goes first, urgent ones stay, and the loss is counted", () => {
    const pending = new PendingEvents(50_000);
    const body = Buffer.alloc(1000);
    let dropped = 0;
    for (let i = 0; i < 200; i++) {
      const lane = i % 10 === 0 ? 0 : 1;
      dropped += pending.push({ lane, body, size: 1005, stream: i, source: String(i) }).length;
    }
    expect(pending.length).toBeLessThan(50);
    expect(pending.next(1000, Infinity).filter(({ lane }) => lane === 0)).toHaveLength(20);
    expect(pending.takeOverflow()?.events).toBe(dropped);
    expect(pending.length + dropped).toBe(200);
    expect(pending.takeOverflow()).toBeUndefined();
    pending.done(pending.next(1000, Infinity));
    expect(pending.push({ lane: 1, body, size: 1005, stream: 1, source: "1" })).toEqual([]);
  });
});

const options = { commitAfterMs: 10, commitEventsMax: 100, gateway: "gw-01", uplinks: [] };

describe("the core", () => {
  it("ends an eviction that frees nothing, because the dictionary fills the file", async () => {
    const said: FromWorker[] = [];
    const core = new OutboxCore({ ...options, path, bytesMax: 1024 * 1024 }, (message) => said.push(message));
    const points = Array.from({ length: 5000 }, (_, i) => ({
      name: `a.rather.long.name.of.a.point.${i}`,
      unit: "V",
      kind: "number" as const,
      decimals: 1,
    }));
    core.receive({ type: "request", id: 1, name: "register", args: [[{ ...device, points }]] });
    core.receive({ type: "event", kind: "state", device: 1, data: {} });
    await expect
      .poll(() => said.some(({ type }) => type === "failure" || type === "problem"), { timeout: 3000 })
      .toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 100));
    core.receive({ type: "request", id: 2, name: "stats", args: [] });
    core.receive({ type: "request", id: 3, name: "close", args: [] });
    expect(said.filter(({ type }) => type === "answer")).toHaveLength(3);
  });

  it("lets go of a file that turns corrupt under it, salvages it and goes on in the same epoch", async () => {
    const said: FromWorker[] = [];
    const core = new OutboxCore({ ...options, path, bytesMax }, (message) => said.push(message));
    const stats = (): Record<string, unknown> => {
      core.receive({ type: "request", id: 7, name: "stats", args: [] });
      const answer = said.findLast((message) => message.type === "answer");
      return (answer as { result: Record<string, unknown> }).result;
    };
    const text = "x".repeat(500);
    for (let i = 0; i < 3000; i++)
      core.receive({ type: "event", kind: "state", device: 1, data: { i, text } });
    await expect.poll(() => stats()["rows"], { timeout: 10_000 }).toBe(3000);
    const { epoch } = stats();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    // Shorter than it was a moment ago: the pages behind are gone for the open handle, too.
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / (2 * pageBytes)) * pageBytes));
    core.receive({ type: "event", kind: "state", device: 1, data: { after: true } });
    await expect
      .poll(() => readdirSync(folder).some((name) => name.includes(".salvaged-")), { timeout: 15_000 })
      .toBe(true);
    await expect.poll(() => stats()["failure"], { timeout: 5000 }).toBeUndefined();
    expect(stats()["epoch"]).toBe(epoch);
    expect(stats()["lastSeq"]).toBeGreaterThan(3000);
    core.receive({ type: "request", id: 9, name: "close", args: [] });
  });
});

describe("a start that cannot work", () => {
  it("ends with a sentence when the path is wrong, and waits when the disk may come back", () => {
    writeFileSync(join(folder, "file"), "");
    const wrong = { ...options, path: join(folder, "file", "outbox.db"), bytesMax };
    expect(() => new PatientOutbox(wrong, () => {})).toThrow(/cannot use the state folder/);
  });
});
