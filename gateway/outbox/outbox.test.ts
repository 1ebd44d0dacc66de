import Database from "better-sqlite3";
import fc from "fast-check";
import { spawn } from "node:child_process";
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { deviceOf, EventWriter } from "../event.ts";
import { openDatabase } from "./schema.ts";
import { OutboxStore, type RowLane } from "./store.ts";
import { folder, path, start, stop } from "./testing.ts";

const writer = new EventWriter();
function telemetry(value: number): Buffer {
  writer.begin("telemetry", 1, 1_795_000_000_000 + value, value, "synced");
  writer.count(1);
  writer.reading(1, value, 0);
  return Buffer.from(writer.bytes());
}
const body = (value: number) => Buffer.concat([telemetry(value), Buffer.alloc(400)]);
const live = (value: number) => ({ lane: 1 as RowLane, body: telemetry(value) });
const urgent = (value: number) => ({ lane: 0 as RowLane, body: telemetry(value) });

function check(store: OutboxStore): void {
  const { event, live: telemetryBooks } = store.books();
  expect(event.kept + telemetryBooks.kept).toBe(store.count().rows);
}

describe("the device of an event", () => {
  it("is read from its head, however large its index is", () => {
    for (const device of [0, 1, 127, 128, 300_000, 2 ** 31 + 5, 117_657_756_958_721]) {
      writer.begin("telemetry", device, 0, 0, "synced");
      writer.count(0);
      expect(deviceOf(Buffer.from(writer.bytes()))).toBe(device);
    }
  });
});

describe("the outbox file", () => {
  it("runs with synchronous=FULL after every open, and flushes each commit", () => {
    for (let round = 0; round < 3; round++) {
      const database = openDatabase(path, 1 << 24);
      database.prepare("SELECT count(*) FROM event").get();
      expect(database.pragma("synchronous", { simple: true })).toBe(2);
      expect(database.pragma("locking_mode", { simple: true })).toBe("exclusive");
      expect(database.pragma("page_size", { simple: true })).toBe(2048);
      expect(database.pragma("max_page_count", { simple: true })).toBe(8192);
      database.close();
    }
  });

  it("gives numbers without a hole, from 1 in each epoch, and never one twice after it has run empty", () => {
    let store = start();
    const first = store.epoch;
    expect(store.commit([live(1), urgent(2), live(3)]).map((row) => row.id - store.base)).toEqual([1, 2, 3]);
    while (store.release("ioc", first, 3, ["ioc"]));
    expect(store.count().rows).toBe(0);
    stop(store);
    store = start();
    expect(store.epoch).toBeGreaterThan(first);
    expect(store.commit([live(4)]).map((row) => row.id)).toEqual([4]);
    expect(store.lastId - store.base).toBe(1);
    expect(store.epochs.slice(-2).map((record) => store.lastIdOf(record) - record.base)).toEqual([3, 1]);
  });

  it("never reuses an epoch when the whole folder is set back to a backup", async () => {
    stop(start());
    const backup = `${folder}-backup`;
    cpSync(folder, backup, { recursive: true });
    const used = start();
    const { epoch } = used;
    stop(used);
    rmSync(folder, { recursive: true });
    renameSync(backup, folder);
    // A backup is not put back within a second or two.
    await new Promise((resolve) => setTimeout(resolve, 2200));
    expect(start().epoch).toBeGreaterThan(epoch);
  });

  it("never reuses an epoch when the file is lost, nor when clock and file are", () => {
    const store = start();
    const before = store.epoch;
    stop(store);
    for (const file of readdirSync(folder)) if (file.startsWith("outbox.db")) rmSync(join(folder, file));
    writeFileSync(join(folder, "epoch"), `${before + 5000}\n`);
    expect(start().epoch).toBe(before + 5001);
  });

  it("puts a file that is no database aside and goes on with a fresh one", () => {
    writeFileSync(path, "this is not a database, whatever its name says".repeat(200));
    const store = start();
    expect(store.quarantined).toMatch(/outbox\.db\.damaged-\d+$/);
    expect(readFileSync(store.quarantined ?? "", "utf8")).toContain("not a database");
    expect(store.commit([live(1)])).toHaveLength(1);
  });

  it("refuses a file of a newer kerb instead of guessing", () => {
    stop(start());
    const database = new Database(path);
    database.pragma("user_version = 99");
    database.pragma("application_id = 99");
    database.close();
    expect(() => start()).toThrow(/newer kerb/);
  });

  it("keeps point indexes for ever and gives a changed point a new one", () => {
    const store = start();
    const point = { name: "voltage.L1", unit: "V", kind: "number" as const, decimals: 1 };
    const device = { id: "meter-01", type: "energy-meter", profile: "eastron/sdm630", points: [point] };
    const [before] = store.register([device]);
    const hash = store.dictionary.hash;
    const [again] = store.register([device]);
    expect(again).toEqual(before);
    expect(store.dictionary.hash).toBe(hash);
    const [changed] = store.register([{ ...device, points: [{ ...point, unit: "mV" }] }]);
    expect(changed?.points[0]?.index).not.toBe(before?.points[0]?.index);
    expect(store.dictionary.hash).not.toBe(hash);
    expect(store.dictionaryOf(hash).point(before?.points[0]?.index ?? -1)?.point.unit).toBe("V");
  });
});

describe("what the outbox delivers", () => {
  it("never an altered row: the CRC covers id, class, time and body", () => {
    for (const [column, value] of [
      ["body", telemetry(77)],
      ["recorded", 5],
      ["lane", 0],
    ] as const) {
      let store = start();
      const rows = store.commit([live(1), live(2), live(3)]);
      const victim = rows[1]?.id ?? 0;
      stop(store);
      const database = new Database(path);
      database.prepare(`UPDATE event SET ${column} = ? WHERE id = ?`).run(value, victim);
      database.close();
      store = start();
      const dropped = store.books().live.dropped + store.books().event.dropped;
      const seen = [...store.rows(1, 0, store.lastId), ...store.rows(0, 0, store.lastId)].map(
        (row) => row.id,
      );
      expect(seen).not.toContain(victim);
      expect(seen).toContain(victim - 1);
      expect(seen).toContain(victim + 1);
      expect(store.books().live.dropped + store.books().event.dropped).toBe(dropped + 1);
      check(store);
      stop(store);
    }
  });

  it("only to the watermark that every uplink has released, over epochs", () => {
    let store = start();
    const old = store.epoch;
    store.commit(Array.from({ length: 10 }, (_, i) => live(i)));
    stop(store);
    store = start();
    store.commit(Array.from({ length: 5 }, (_, i) => live(i)));
    const both = ["ioc", "city"];
    while (store.release("ioc", old, 10, both));
    expect(store.count().rows).toBe(15);
    while (store.release("city", old, 4, both));
    expect(store.count().rows).toBe(11);
    while (store.release("city", old, 999_999, both));
    expect(store.count().rows).toBe(5);
    while (store.release("city", store.epoch, 999_999, both));
    while (store.release("ioc", store.epoch, 2, both));
    expect(store.count().rows).toBe(3);
    while (store.release("ioc", 12_345, 2, both));
    expect(store.books().live).toEqual({ accepted: 15, delivered: 12, dropped: 0, kept: 3 });
  });

  it("closes its books at every step: accepted = delivered + kept + dropped", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("commit" as const), live: fc.nat(30), urgent: fc.nat(3) }),
      fc.record({ do: fc.constant("release" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ do: fc.constant("evict" as const) }),
      fc.record({ do: fc.constant("restart" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        rmSync(folder, { recursive: true, force: true });
        let store = start();
        let accepted = 0;
        for (const one of steps) {
          if (one.do === "commit") {
            const rows = [...Array(one.live).keys()].map((i) => live(i));
            store.commit([...rows, ...[...Array(one.urgent).keys()].map((i) => urgent(i))]);
            accepted += one.live + one.urgent;
          } else if (one.do === "release") {
            for (const record of store.epochs) {
              const last = store.lastIdOf(record) - record.base;
              while (store.release("ioc", record.epoch, Math.floor(last * one.share), ["ioc"]));
            }
          } else if (one.do === "evict") store.evict();
          else {
            stop(store);
            store = start();
          }
          const { event, live: telemetryBooks } = store.books();
          expect(event.accepted + telemetryBooks.accepted).toBe(accepted);
          check(store);
        }
        stop(store);
      }),
      { numRuns: 25 },
    );
  });

  it("evicts the oldest telemetry when its budget is used, and declares it in a gap event", () => {
    const store = start({ bytesMax: 1024 * 1024 });
    store.commit([{ lane: 0, body: body(0) }]);
    for (let round = 0; round < 60; round++) {
      while (store.fill() > 0.9 && store.evict() > 0);
      store.commit(Array.from({ length: 100 }, (_, i) => ({ lane: 1 as RowLane, body: body(i) })));
    }
    const { event, live: telemetryBooks } = store.books();
    expect(telemetryBooks.accepted).toBe(6000);
    expect(telemetryBooks.dropped).toBeGreaterThan(1000);
    expect(event).toEqual({ accepted: 1, delivered: 0, dropped: 0, kept: 1 });
    check(store);
    const report = store.dropReport(1);
    const text = report?.body.toString("latin1") ?? "";
    const gap = JSON.parse(text.slice(text.indexOf('{"'))) as {
      lostCount: number;
      cause: string;
      dropped: { from: number; to: number }[];
    };
    expect(gap.cause).toBe("buffer_overflow");
    expect(gap.lostCount).toBe(telemetryBooks.dropped);
    expect(gap.dropped.reduce((sum, range) => sum + range.to - range.from + 1, 0)).toBe(
      telemetryBooks.dropped,
    );
    store.commit([{ lane: 0, body: report?.body ?? Buffer.alloc(0) }], () => {
      report?.mark();
      return [];
    });
    expect(store.dropReport(1)).toBeUndefined();
  });
});

describe("drop reports", () => {
  it("declare every dropped number, also one that is evicted while a report is on its way, or is a report itself", () => {
    const store = start({ bytesMax: 1024 * 1024 });
    const declared = new Set<number>();
    const report = (alter: () => void) => {
      const drops = store.dropReport(1);
      if (drops === undefined) return;
      const text = drops.body.toString("latin1");
      const gap = JSON.parse(text.slice(text.indexOf('{"'))) as { dropped: { from: number; to: number }[] };
      alter();
      store.commit([{ lane: 0, body: drops.body }], () => {
        drops.mark();
        return [];
      });
      for (const { from, to } of gap.dropped) for (let seq = from; seq <= to; seq++) declared.add(seq);
    };
    store.commit(Array.from({ length: 3000 }, (_, i) => live(i)));
    store.evict();
    report(() => store.evict());
    report(() => {});
    expect(declared.size).toBe(1000);
    declared.clear();
    store.drop(store.rows(0, 0, store.lastId), "too-large");
    for (let i = 0; i < 5; i++) report(() => {});
    expect([...declared].filter((seq) => seq <= 1000)).toHaveLength(1000);
    const { event, live: telemetryBooks } = store.books();
    expect(event.dropped + telemetryBooks.dropped).toBe(declared.size);
  });
});

describe("kill -9", () => {
  it(
    "loses nothing that was accepted, and leaves no hole, in 12 kills under load",
    { timeout: 120_000 },
    async () => {
      const writerFile = fileURLToPath(
        new URL("../../test/reliability/acknowledging-writer.ts", import.meta.url),
      );
      const acknowledgedPath = join(folder, "acknowledged");
      writeFileSync(acknowledgedPath, Buffer.alloc(16));
      for (let trial = 0; trial < 12; trial++) {
        const before = readFileSync(acknowledgedPath).readDoubleLE(0);
        const child = spawn(process.execPath, [writerFile, path, acknowledgedPath], { stdio: "inherit" });
        await expect
          .poll(() => readFileSync(acknowledgedPath).readDoubleLE(0), { timeout: 20_000 })
          .toBeGreaterThan(before);
        await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 120));
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("close", resolve));
        const acknowledged = readFileSync(acknowledgedPath);
        const store = start();
        const from = acknowledged.readDoubleLE(8) + 1;
        const ids = ([0, 1] as const).flatMap((lane) => store.rows(lane, from, store.lastId, 1_000_000));
        expect(store.lastId).toBeGreaterThanOrEqual(acknowledged.readDoubleLE(0));
        expect(ids.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(
          Array.from({ length: store.lastId - from + 1 }, (_, i) => from + i),
        );
        check(store);
        stop(store);
      }
    },
  );
});
