import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import type { FromWorker } from "./outbox.ts";
import { PatientOutbox } from "./patient.ts";
import { StillQueue } from "./still.ts";
import { bytesMax, folder, path, start, stop } from "./testing.ts";

const pageBytes = 2048;
const writer = new EventWriter();

function event(value: number): { lane: 1; body: Buffer } {
  writer.begin("telemetry", 1, 1_795_000_000_000 + value, value, "synced");
  writer.count(1);
  writer.reading(1, value, 0);
  return { lane: 1, body: Buffer.from(writer.bytes()) };
}

/** A queue file with rows. */
function queueFile(): Buffer {
  const store = start();
  store.register([{ id: "meter-01", type: "meter", profile: "", points: [] }]);
  store.commit(Array.from({ length: 5 }, (_, i) => event(i)));
  stop(store);
  return readFileSync(path);
}

/** Why the gateway would not run on this file; undefined: it does, whatever it had to put aside. */
function refusal(file: Buffer): string | undefined {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  writeFileSync(path, file);
  const said: FromWorker[] = [];
  const options = { commitAfterMs: 10, commitEventsMax: 100, gateway: "gw-01", uplinks: [], path, bytesMax };
  try {
    const outbox = new PatientOutbox(options, (message) => said.push(message));
    outbox.receive({ type: "request", id: 1, name: "close", args: [] });
  } catch (error) {
    return (error as Error).message;
  }
  return said.find((message) => message.type === "failure")?.text;
}

function flipped(file: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(file);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

describe("one wrong bit in what describes the tables", () => {
  it("is healed, wherever it is in the texts of the schema", () => {
    const file = queueFile();
    const pages = Array.from({ length: file.length / pageBytes }, (_, page) => page * pageBytes);
    const described = pages.filter((head) => file.subarray(head, head + pageBytes).includes("CREATE "));
    expect(described.length).toBeGreaterThan(1);
    const names = described.flatMap((head) => {
      const found = file.subarray(head, head + pageBytes).indexOf("delivered");
      return found < 0 ? [] : [head + found];
    });
    expect(names.length).toBeGreaterThan(0);
    const places = described.flatMap((head) =>
      Array.from({ length: 12 }, (_, i) => head + ((i * 173) % pageBytes)),
    );
    const refusals = [...names, ...places].map((at, i) => refusal(flipped(file, at, i % 8)));
    expect(refusals.filter((text) => text !== undefined)).toEqual([]);
  });

  it.each([
    ["a name that another query gives", "AS delivered", 3, 3],
    ["a name in other letters", "state TEXT NOT NULL, PRIMARY KEY", 3, 5],
  ])("is found where SQLite does not mind: %s", (_what, text, offset, bit) => {
    const file = queueFile();
    const at = file.indexOf(text);
    expect(at).toBeGreaterThan(0);
    expect(refusal(flipped(file, at + offset, bit))).toBeUndefined();
    expect(readdirSync(folder).some((name) => /\.(damaged|salvaged)-/.test(name))).toBe(true);
  });

  it("is healed also in the count of schema steps, and not taken for a newer kerb", () => {
    const file = queueFile();
    // SQLite, "Database File Format", 1.3: user version at 60, application id at 68.
    expect(file.readUInt32BE(60)).toBeGreaterThan(0);
    expect(file.readUInt32BE(68)).toBe(file.readUInt32BE(60));
    const places = [60, 61, 62, 63, 68, 69, 70, 71];
    const refusals = places.flatMap((at) => [0, 2, 7].map((bit) => refusal(flipped(file, at, bit))));
    expect(refusals.filter((text) => text !== undefined)).toEqual([]);
  });

  it("costs no event where it counts a step too few, and a reader takes it for no newer kerb", () => {
    const file = queueFile();
    const fewer = flipped(file, 63, 0);
    expect(fewer.readUInt32BE(60)).toBe(file.readUInt32BE(60) - 1);
    expect(refusal(fewer)).toBeUndefined();
    const store = start();
    const work = store.salvage(["ioc"]);
    for (let i = 0; i < 100 && work?.step() === undefined; i++);
    stop(store);
    const queue = new StillQueue(path);
    expect(queue.figures().rows.live).toBe(5);
    queue.close();
    writeFileSync(path, flipped(file, 62, 0));
    expect(() => new StillQueue(path)).toThrow(expect.objectContaining({ code: "SQLITE_CORRUPT" }));
  });
});
