import Database from "better-sqlite3";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EventWriter, type KerbEvent } from "../event.ts";
import { StillQueue } from "./still.ts";
import type { Unread } from "./still-events.ts";
import { path, start, stop } from "./testing.ts";

const pageBytes = 2048;
const device = { id: "meter-01", type: "meter", profile: "", points: [] };
const count = 2000;

const writer = new EventWriter();
function event(value: number): { lane: 1; body: Buffer } {
  writer.begin("telemetry", 1, 1_795_000_000_000 + value, value, "synced");
  writer.count(2);
  writer.reading(1, value, 0);
  writer.reading(2, "x".repeat(60), 0);
  return { lane: 1, body: Buffer.from(writer.bytes()) };
}

/** A file with 2,000 events of one epoch; gives the epoch. */
function written(): number {
  const store = start();
  store.register([
    {
      ...device,
      points: ["a", "b"].map((name) => ({ name, unit: "", kind: "number" as const, decimals: 0 })),
    },
  ]);
  store.commit(Array.from({ length: count }, (_, i) => event(i)));
  const { epoch } = store;
  stop(store);
  return epoch;
}

function exported(): { seqs: number[]; events: KerbEvent[]; unread: Unread[] | undefined } {
  const queue = new StillQueue(path);
  try {
    const steps = [...queue.events("gw-1")];
    const events = steps.flatMap((step) => step.events);
    expect(steps.filter(({ isLast }) => isLast === true)).toHaveLength(1);
    return { events, seqs: events.map(({ seq }) => seq), unread: steps.at(-1)?.unread };
  } finally {
    queue.close();
  }
}

const from1 = Array.from({ length: count }, (_, i) => i + 1);
const inRanges = (ranges: readonly Unread[] = []) =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i));

/** The leaves of the rows, by page. */
function leaves(): number[] {
  const bytes = readFileSync(path);
  return Array.from({ length: bytes.length / pageBytes }, (_, i) => i).filter(
    (i) => i > 0 && bytes[i * pageBytes] === 0x0d && bytes.readUInt16BE(i * pageBytes + 3) >= 10,
  );
}
function change(edit: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  edit(bytes);
  writeFileSync(path, bytes);
}

/** Destroys the root page of a table. */
function destroyWayTo(table: string): void {
  const database = new Database(path);
  const root = database
    .prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?")
    .pluck()
    .get(table) as number;
  database.close();
  change((bytes) => bytes.fill(0xa5, (root - 1) * pageBytes, root * pageBytes));
}

describe("what is read of a queue that stands still", () => {
  it("is everything in order, and nothing unread", () => {
    written();
    const { seqs, unread } = exported();
    expect(seqs).toEqual(from1);
    expect(unread).toEqual([]);
  });

  it("goes on behind a destroyed page, each event once, and names what the page held", () => {
    const epoch = written();
    const page = leaves()[30] ?? 0;
    change((bytes) => bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes));
    const { seqs, unread } = exported();
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(seqs.length).toBeGreaterThan(count - 40);
    expect(Math.max(...seqs)).toBe(count);
    expect(unread).toEqual([{ epoch, from: expect.any(Number), to: expect.any(Number), reason: "page" }]);
    expect([...seqs, ...inRanges(unread)].toSorted((a, b) => a - b)).toEqual(from1);
  });

  it("goes on where the way to all rows is destroyed", () => {
    written();
    destroyWayTo("event");
    const { seqs, unread } = exported();
    expect(seqs.toSorted((a, b) => a - b)).toEqual(from1);
    expect(unread).toEqual([]);
  });

  it("leaves out a row that was altered, and names it", () => {
    const epoch = written();
    change((bytes) => {
      const at = bytes.indexOf("x".repeat(60), (leaves()[40] ?? 0) * pageBytes);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
    });
    const { seqs, unread } = exported();
    expect(seqs).toHaveLength(count - 1);
    expect(unread).toHaveLength(1);
    expect(unread?.[0]).toMatchObject({ epoch, reason: "checksum" });
    expect([...seqs, ...inRanges(unread)].toSorted((a, b) => a - b)).toEqual(from1);
  });

  it("tells apart what was delivered from what is missing", () => {
    const epoch = written();
    const store = start();
    while (store.release("ioc", epoch, 500, ["ioc"]));
    stop(store);
    const page = leaves()[30] ?? 0;
    change((bytes) => bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes));
    const { events, unread } = exported();
    const of = events.filter((one) => one.epoch === epoch && one.kind === "telemetry").map(({ seq }) => seq);
    const missing = inRanges(unread?.filter((one) => one.epoch === epoch));
    expect([...of, ...missing].filter((seq) => seq > 500).toSorted((a, b) => a - b)).toEqual(
      from1.slice(500),
    );
    expect(missing.every((seq) => seq > 500)).toBe(true);
  });

  it("says that nobody can say what is missing where the account is destroyed", () => {
    written();
    destroyWayTo("released");
    const { seqs, unread } = exported();
    expect(seqs).toEqual(from1);
    expect(unread).toBeUndefined();
  });
});
