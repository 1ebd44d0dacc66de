import { PassThrough } from "node:stream";
import { driver } from "../drivers/mqtt/index.ts";
import * as schemas from "../drivers/mqtt/settings.ts";
import type { Driver } from "../gateway/driver.ts";
import { EventReader, type EventKind } from "../gateway/event.ts";
import { DeviceLoop } from "../gateway/host/device.ts";
import { openHandover } from "../gateway/host/test-handover.ts";
import type { HostPoint } from "../gateway/host/messages.ts";
import { FrameSplitter } from "../gateway/outbox/frames.ts";

/** A device behind an MQTT broker as its host runs it, with the events that leave. */

export interface Running {
  readonly loop: DeviceLoop;
  readonly states: string[];
  readonly events: { kind: EventKind; data: Record<string, unknown> }[];
  /** Values as they left, with their own times. */
  readonly values: { value: unknown; timeMs: number }[];
  /** How often it has been opened. */
  readonly opens: () => number;
}

let devices = 0;

export function point(name: string, address: Record<string, unknown>): HostPoint {
  return {
    name,
    index: 1,
    address: schemas.address.parse(address),
    unit: "1",
    kind: "number",
    scale: 1,
    offset: 0,
    sentinels: [],
    heartbeat: 0,
    poll: "push",
    publish: true,
  };
}

export function runDevice(settings: Record<string, unknown>, points: HostPoint[], silenceMs = 0): Running {
  const states: string[] = [];
  const events: Running["events"] = [];
  const values: Running["values"] = [];
  const splitter = new FrameSplitter();
  const reader = new EventReader();
  const stream = new PassThrough().on("data", (bytes: Buffer) => {
    for (const { body } of splitter.push(bytes)) {
      reader.open(body);
      while (reader.kind === "telemetry" && reader.next())
        values.push({ value: reader.value(), timeMs: reader.timeMs + reader.timeOffsetMs });
      events.push({ kind: reader.kind, data: reader.kind === "telemetry" ? {} : reader.object() });
    }
  });
  let opens = 0;
  const counting = {
    ...driver,
    connect: (...given: Parameters<typeof driver.connect>) => {
      opens++;
      return driver.connect(...given);
    },
  } as unknown as Driver<unknown, unknown>;
  const id = `running ${devices++}`;
  const loop = new DeviceLoop({
    driver: counting,
    line: undefined,
    phase: 0,
    handover: openHandover(stream),
    context: { deviceId: id, log: () => {} },
    changed: ({ state, code }) => states.push(code === undefined ? state : `${state} ${code}`),
    device: {
      id,
      index: 1,
      settings: schemas.settings.parse({ host: "127.0.0.1", ...settings }),
      identify: undefined,
      firmwareRange: "*",
      records: [],
      silenceMs,
      personalData: { how: "drop" },
      pollMs: { fast: 200, normal: 200, slow: 200 },
      points,
    },
  });
  void loop.run();
  return { loop, states, events, values, opens: () => opens };
}
