import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { EventReader, EventWriter, type DictionaryDevice } from "../event.ts";
import { frameHeadBytes, writeFrame } from "./frames.ts";
import type { FromWorker } from "./outbox.ts";
import { PatientOutbox } from "./patient.ts";
import { bytesMax, folder, start } from "./testing.ts";

/** A folder where the file should be: SQLite cannot open it, and it goes when the test says so. */

const options = { bytesMax, commitAfterMs: 100, commitEventsMax: 100, gateway: "gw-01", uplinks: [] };
const sites = [
  { id: "gw-01", type: "gateway", profile: "", points: [] },
  {
    id: "meter-01",
    type: "meter",
    profile: "",
    points: [{ name: "u", unit: "V", kind: "number", decimals: 1 }],
  },
];

function waiting(path: string): { outbox: PatientOutbox; said: FromWorker[]; meter: DictionaryDevice } {
  mkdirSync(path, { recursive: true });
  const said: FromWorker[] = [];
  const outbox = new PatientOutbox({ ...options, path }, (message) => void said.push(message));
  outbox.receive({ type: "request", id: 5, name: "early", args: [sites] });
  const answer = said.find((message) => message.type === "answer") as { result: DictionaryDevice[] };
  return { outbox, said, meter: answer.result[1] as DictionaryDevice };
}

const writer = new EventWriter();
function reading({ index, points: [point] }: DictionaryDevice, value: number): Uint8Array {
  writer.begin("telemetry", index, 1_795_000_000_000, 7, "synced");
  writer.count(1);
  writer.reading(point?.index ?? 0, value, 1);
  const body = writer.bytes();
  const bytes = Buffer.alloc(body.length + frameHeadBytes);
  writeFrame(bytes, 0, 1, body);
  return bytes;
}

const failures = (said: FromWorker[]) =>
  said.flatMap((message) => (message.type === "failure" ? [message.text] : []));
const problems = (said: FromWorker[]) =>
  said.flatMap((message) => (message.type === "problem" ? [message.text] : []));

it("stores what was read early also when the gateway stops before the site's names have come", async () => {
  const path = join(folder, "outbox.db");
  const { outbox, said, meter } = waiting(path);
  outbox.receive({ type: "frames", stream: 1, source: "modbus", bytes: reading(meter, 230.5) });
  rmdirSync(path);
  await expect.poll(() => failures(said).at(-1), { timeout: 10_000 }).toBeUndefined();
  outbox.receive({ type: "frames", stream: 1, source: "modbus", bytes: reading(meter, 231.5) });
  outbox.receive({ type: "request", id: 6, name: "close", args: [] });
  expect(said.at(-1)).toMatchObject({ type: "answer", id: 6 });
  expect(problems(said)).toEqual([]);
  const store = start({ path });
  const [, found] = store.register(sites as never);
  const reader = new EventReader();
  const values = store.rows(1, 0, store.lastId, 100).map(({ body }) => {
    reader.open(body);
    reader.next();
    return [reader.device, reader.point, reader.value()];
  });
  const [point] = found?.points ?? [];
  expect(values).toEqual([230.5, 231.5].map((value) => [found?.index, point?.index, value]));
});

it("tells of bytes that are no frames, and takes the next ones", () => {
  const { outbox, said, meter } = waiting(join(folder, "outbox.db"));
  const bytes = Buffer.alloc(100);
  bytes.writeUInt32LE(2 * 1024 * 1024);
  for (let i = 0; i < 3; i++) outbox.receive({ type: "frames", stream: 1, source: "modbus", bytes });
  expect(problems(said)).toEqual(["a frame of 2097152 bytes from a host"]);
  outbox.receive({ type: "frames", stream: 2, source: "modbus", bytes: reading(meter, 1) });
  outbox.receive({ type: "request", id: 6, name: "close", args: [] });
  expect(problems(said).at(-1)).toBe("1 events of this run could not be stored and are lost");
});

it("goes on waiting when the folder comes back as something that it cannot use", async () => {
  const path = join(folder, "state", "outbox.db");
  const { outbox, said } = waiting(path);
  rmSync(dirname(path), { recursive: true });
  writeFileSync(dirname(path), "");
  await expect
    .poll(() => failures(said).at(-1), { timeout: 10_000 })
    .toContain("cannot use the state folder");
  outbox.receive({ type: "request", id: 6, name: "close", args: [] });
  expect(said.at(-1)).toMatchObject({ type: "answer", id: 6 });
});
