import { PassThrough } from "node:stream";
import { afterEach, expect } from "vitest";
import { DeviceError, type Answer, type Connection, type Driver, type Subscription } from "../driver.ts";
import { EventReader, EventWriter, type EventKind } from "../event.ts";
import { FrameSplitter } from "../outbox/frames.ts";
import { DeviceLoop } from "./device.ts";
import { Handover } from "./handover.ts";
import type { HostDevice, HostPoint, HostRecord } from "./messages.ts";
import { pointLike } from "./test-point.ts";

/** A device that pushes; the test is its other end. */

export interface Told {
  kind: EventKind;
  timeMs: number;
  values: Record<number, unknown>;
  times: Record<number, number>;
  data: Record<string, unknown>;
}

export const point = (name: string, index: number, more: Partial<HostPoint> = {}): HostPoint =>
  pointLike({ name, index, address: name, poll: "push", ...more });
const field = (name: string, more: Partial<HostRecord["fields"][number]> = {}) => ({
  name,
  address: name,
  unit: "1",
  kind: "number" as const,
  scale: 1,
  offset: 0,
  sentinels: [],
  certainty: "seen" as const,
  privacy: "none" as const,
  instance: false,
  ...more,
});
export const weighing: HostRecord = {
  name: "weighing",
  address: "weighing",
  kind: "transaction",
  certainty: "seen",
  fields: [
    field("gross", { unit: "kg", scale: 10 }),
    field("plate", { kind: "text", privacy: "token" }),
    field("driver", { kind: "text", privacy: "drop" }),
  ],
};
export const tamper: HostRecord = {
  name: "tamper",
  address: "tamper",
  kind: "alarm",
  category: "tamper",
  severity: "high",
  active: "moved",
  certainty: "seen",
  fields: [field("channel", { instance: true }), field("moved", { kind: "boolean" })],
};

const loops: DeviceLoop[] = [];
afterEach(async () => {
  for (const loop of loops.splice(0)) await loop.stop();
});

/** A device that pushes: the test is its other end. */
export function run(points: HostPoint[], records: HostRecord[], silenceMs = 0, reads?: () => Answer) {
  const subscriptions: Subscription<unknown>[] = [];
  const losses: ((error: Error) => void)[] = [];
  const driver: Driver<unknown, unknown> = {
    name: "pushing",
    describe: String,
    connect: () => {
      const connection: Connection<unknown> = {
        identify: () => Promise.reject(new DeviceError("unsupported", "it cannot say")),
        read: (asked) => Promise.resolve({ answers: asked.map(() => reads?.() ?? 0) }),
        close: () => Promise.resolve(),
        subscribe: (subscription) => {
          subscriptions.push(subscription);
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          losses.push(reject);
          subscription.signal.addEventListener("abort", () => resolve());
          return promise;
        },
      };
      return Promise.resolve(connection);
    },
  };
  const told: Told[] = [];
  const splitter = new FrameSplitter();
  const reader = new EventReader();
  const stream = new PassThrough().on("data", (bytes: Buffer) => {
    for (const { body } of splitter.push(bytes)) {
      reader.open(body);
      const { kind, timeMs } = reader;
      const values: Record<number, unknown> = {};
      const times: Record<number, number> = {};
      const data = kind === "telemetry" ? {} : reader.object();
      if (kind === "telemetry")
        while (reader.next()) {
          values[reader.point] = reader.value();
          times[reader.point] = timeMs + reader.timeOffsetMs;
        }
      told.push({ kind, timeMs, values, times, data });
    }
  });
  const device: HostDevice = {
    id: "d1",
    index: 1,
    settings: {},
    identify: undefined,
    firmwareRange: "*",
    pollMs: { fast: 100, normal: 100, slow: 100 },
    points,
    records,
    silenceMs,
    personalData: { how: "token", key: "k".repeat(16) },
  };
  const handover = new Handover(stream, {
    creditBytes: 1 << 20,
    ringBytesMax: 1 << 20,
    gapEvent: (loss) => {
      const writer = new EventWriter();
      writer.begin("gap", 0, 1, 1, "synced");
      writer.object({ ...loss });
      return writer.bytes();
    },
  });
  const loop = new DeviceLoop({
    driver,
    device,
    line: undefined,
    phase: 0,
    handover,
    context: { deviceId: "d1", log: () => {} },
    changed: () => {},
  });
  loops.push(loop);
  void loop.run();
  const sink = async (nth = 0) => {
    await expect.poll(() => subscriptions[nth], { timeout: 5000 }).toBeDefined();
    return (subscriptions[nth] as Subscription<unknown>).sink;
  };
  const of = (kind: EventKind) => told.filter((event) => event.kind === kind);
  return { loop, sink, losses, subscriptions, told, of, handover };
}
