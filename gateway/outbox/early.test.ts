import { expect, it } from "vitest";
import { doubtClock } from "../clock.ts";
import { EventReader, EventWriter, quality, type DictionaryDevice } from "../event.ts";
import { Early } from "./early.ts";
import { frameHeadBytes, FrameSplitter, writeFrame } from "./frames.ts";
import type { ToWorker } from "./outbox.ts";

const point = (name: string) => ({ name, unit: "V", kind: "number" as const, decimals: 1 });
const sites = [
  { id: "gw-01", type: "gateway", profile: "", points: [] },
  { id: "meter-01", type: "meter", profile: "", points: [point("u1"), point("u2")] },
  { id: "meter-02", type: "meter", profile: "", points: [point("u1"), point("u2")] },
];
/** As a file gives them that has seen other devices before, in another order of points. */
const registered: DictionaryDevice[] = [
  { ...sites[0]!, index: 0, points: [] },
  {
    ...sites[1]!,
    index: 7,
    points: [
      { ...point("u2"), index: 40 },
      { ...point("u1"), index: 41 },
    ],
  },
  {
    ...sites[2]!,
    index: 1e14,
    points: [point("u1"), point("u2")].map((one, i) => ({ ...one, index: 1e14 + i })),
  },
];

const writer = new EventWriter();

function framed(lane: 0 | 1): Uint8Array {
  const body = writer.bytes();
  const bytes = Buffer.alloc(body.length + frameHeadBytes);
  writeFrame(bytes, 0, lane, body);
  return bytes;
}

function read(messages: Iterable<ToWorker>): unknown[] {
  const reader = new EventReader();
  return [...messages].map((message) => {
    if (message.type !== "frames") return message;
    const [frame] = new FrameSplitter().push(message.bytes);
    const { body, lane } = frame!;
    reader.open(body);
    const head = [lane, reader.kind, reader.device, reader.timeMs, reader.monoMs, reader.clock];
    if (reader.kind !== "telemetry") return [...head, reader.object()];
    const readings: unknown[] = [];
    while (reader.next()) {
      const { point: index, quality: bits, detail, timeOffsetMs } = reader;
      readings.push([index, reader.value(), bits, detail, timeOffsetMs]);
    }
    return [...head, readings];
  });
}

it("keeps what comes before the file is open, and gives it on under the indexes of the file", () => {
  const early = new Early();
  const [gateway, first, second] = early.register(sites);
  writer.begin("telemetry", first!.index, 1000, 10, "unsynced");
  writer.count(2);
  writer.reading(first!.points[0]!.index, 230.5, 1);
  writer.reading(first!.points[1]!.index, null, 0, quality.bad, { code: "modbus-2" }, -7);
  const whole = framed(1);
  // A frame in two pieces.
  for (const part of [whole.subarray(0, 9), whole.subarray(9)])
    expect(early.takes({ type: "frames", stream: 3, source: "modbus", bytes: part })).toBe(true);
  writer.begin("telemetry", second!.index, 2000, 20, "holdover");
  writer.count(2);
  writer.reading(second!.points[0]!.index, "on", 0);
  writer.reading(second!.points[1]!.index, 1e300, 1);
  early.takes({ type: "frames", stream: 3, source: "modbus", bytes: framed(1) });
  writer.begin("device-status", second!.index, 3000, 30, "synced");
  writer.object({ state: "lost" });
  early.takes({ type: "frames", stream: 3, source: "modbus", bytes: framed(0) });
  const own = {
    type: "event",
    kind: "gap",
    device: gateway!.index,
    data: { cause: "driver_error" },
  } as const;
  expect(early.takes(own)).toBe(true);
  expect(early.takes({ type: "tail", on: true })).toBe(false);
  expect(early.count).toBe(4);
  expect(read(early.adopt(registered))).toEqual([
    [
      1,
      "telemetry",
      7,
      1000,
      10,
      "unsynced",
      [
        [41, 230.5, 0, undefined, 0],
        [40, null, quality.bad, { code: "modbus-2" }, -7],
      ],
    ],
    [
      1,
      "telemetry",
      1e14,
      2000,
      20,
      "holdover",
      [
        [1e14, "on", 0, undefined, 0],
        [1e14 + 1, 1e300, 0, undefined, 0],
      ],
    ],
    [0, "device-status", 1e14, 3000, 30, "synced", { state: "lost" }],
    [0, "gap", 0, expect.any(Number), expect.any(Number), expect.any(String), own.data],
  ]);
  // From here on the file takes it.
  expect(early.takes({ type: "frames", stream: 3, source: "modbus", bytes: framed(0) })).toBe(false);
});

it("takes back that a clock was plausible, when the file knows that it is wrong", () => {
  const early = new Early();
  const [gateway] = early.register(sites);
  for (const clock of ["synced", "holdover"] as const) {
    writer.begin("state", gateway!.index, 0, 0, clock);
    writer.object({});
    early.takes({ type: "frames", stream: 1, bytes: framed(1) });
  }
  doubtClock({ isWrong: true });
  const told = read(early.adopt(registered)) as unknown[][];
  doubtClock({ isWrong: false });
  expect(told.map(([, , , , , clock]) => clock)).toEqual(["synced", "unsynced"]);
});

it("is bounded for what the gateway tells, too", () => {
  const early = new Early();
  const [gateway] = early.register(sites);
  const data = { reason: "x".repeat(100_000) };
  for (let i = 0; i < 400; i++) early.takes({ type: "event", kind: "gap", device: gateway!.index, data });
  const kept = early.count;
  expect(kept).toBeLessThan(260);
  const told = read(early.adopt(registered));
  expect(told.at(-1)).toMatchObject({ data: { cause: "handover_overflow", lostCount: 400 - kept } });
});

it("is bounded, and tells how much it could not keep", () => {
  const early = new Early();
  const [gateway] = early.register(sites);
  writer.begin("state", gateway!.index, 0, 0, "synced");
  writer.object({ text: "x".repeat(100_000) });
  const bytes = framed(1);
  const count = 400;
  for (let i = 0; i < count; i++) early.takes({ type: "frames", stream: 1, source: "a", bytes });
  const kept = early.count;
  expect(kept * bytes.length).toBeLessThan(25 * 1024 * 1024);
  const told = read(early.adopt(registered));
  expect(told).toHaveLength(kept + 1);
  expect(told.at(-1)).toMatchObject({
    kind: "gap",
    device: 0,
    data: { cause: "handover_overflow", lostCount: count - kept },
  });
});
