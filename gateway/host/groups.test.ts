import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import type { Answer, Driver, Sink } from "../driver.ts";
import { EventReader, quality } from "../event.ts";
import { FrameSplitter } from "../outbox/frames.ts";
import { DeviceLoop } from "./device.ts";
import { phaseOf } from "./groups.ts";
import { openHandover } from "./test-handover.ts";
import { pointLike } from "./test-point.ts";

const hourAgoMs = Date.now() - 3_600_000;
const answer: Answer = { value: 7, status: "good", sourceTimeMs: hourAgoMs };

/** A device with a firmware that no profile covers, which does not push what it should. */
const driver: Driver<unknown, unknown> = {
  name: "acme",
  describe: () => "",
  connect: () => {
    let over: (() => void) | undefined;
    return Promise.resolve({
      identify: () => Promise.resolve({ firmware: "9.0.0" }),
      read: (points) => Promise.resolve({ answers: points.map(() => answer) }),
      subscribe: ({ sink }: { sink: Sink }) => {
        sink.poll(0);
        return new Promise<void>((resolve) => (over = resolve));
      },
      close: () => Promise.resolve(over?.()),
    });
  },
};

const point = pointLike({ name: "level", unit: "m", poll: "push" });

it("what has to be polled after all keeps the doubt about the firmware, and is as old as the device says", async () => {
  const stream = new PassThrough();
  const splitter = new FrameSplitter();
  const reader = new EventReader();
  const told: number[] = [];
  stream.on("data", (bytes: Buffer) => {
    for (const { body } of splitter.push(bytes)) {
      reader.open(body);
      if (reader.kind === "telemetry") while (reader.next()) told.push(reader.quality);
    }
  });
  const loop = new DeviceLoop({
    driver,
    line: undefined,
    phase: 0,
    handover: openHandover(stream),
    context: { deviceId: "acme-1", log: () => {} },
    changed: () => {},
    device: {
      id: "acme-1",
      index: 1,
      settings: {},
      identify: { standard: true, expect: [] },
      firmwareRange: "<2",
      records: [],
      silenceMs: 0,
      personalData: { how: "drop" },
      pollMs: { fast: 100, normal: 100, slow: 100 },
      points: [point],
    },
  });
  void loop.run();
  try {
    await expect.poll(() => told.length).toBeGreaterThan(1);
    expect(new Set(told)).toEqual(new Set([quality.uncertain]));
    expect(loop.latest()).toMatchObject([{ value: 7, status: "uncertain", timeMs: hourAgoMs }]);
    expect(await loop.readNow([], false)).toMatchObject([{ value: 7, timeMs: hourAgoMs }]);
  } finally {
    await loop.stop();
  }
});

it.each([
  [1, 1, 1],
  [20, 20, 1],
  [200, 25, 8],
  [2001, 251, 8],
])("of %i devices at %i moments of a period at most %i are polled together", (devices, moments, together) => {
  const phases = Array.from({ length: devices }, (_, i) => phaseOf(i, devices));
  const groups = [...Map.groupBy(phases, (phase) => phase).values()];
  expect(phases.every((phase) => phase >= 0 && phase < 1)).toBe(true);
  expect(groups).toHaveLength(moments);
  expect(Math.max(...groups.map((group) => group.length))).toBe(together);
});
