import { DeviceError, type Connection, type Driver, type ReadResult } from "../../gateway/driver.ts";
import { EventWriter } from "../../gateway/event.ts";
import type { HostDevice, HostPoint } from "../../gateway/host/messages.ts";
import type { RegisterDevice } from "../../gateway/outbox/store.ts";

/** A pretend device: what it is, and what is wrong with it now. */
export interface SimulatedDevice {
  id: string;
  pollMs: number;
  profile: string;
  /** Points beside the counter; one more after a change of the configuration. */
  extras: number;
  line: number | undefined;
  /** Grows with each answer: a value that no other event has. */
  count: number;
  fault: "silent" | "refused" | "slow" | undefined;
}

const points = (device: SimulatedDevice): Omit<HostPoint, "index">[] =>
  Array.from({ length: 1 + device.extras }, (_, i) => ({
    name: i === 0 ? "count" : `extra.${i}`,
    address: i,
    unit: i === 0 ? "1" : "V",
    kind: i % 4 === 3 ? "text" : "number",
    poll: "normal",
    scale: i % 4 === 2 ? 0.1 : 1,
    offset: 0,
    sentinels: [],
    publish: true,
    heartbeat: 60_000,
  })) as unknown as Omit<HostPoint, "index">[];

export function registration(device: SimulatedDevice): RegisterDevice {
  return {
    id: device.id,
    type: "meter",
    profile: device.profile,
    points: points(device).map(({ name, unit, kind, scale }) => ({
      name,
      unit,
      kind,
      decimals: scale === 1 ? 0 : 1,
    })),
  };
}

export function hostDevice(
  device: SimulatedDevice,
  registered: { index: number; points: { name: string; index: number }[] },
): HostDevice {
  const indexes = new Map(registered.points.map((point) => [point.name, point.index]));
  const { pollMs } = device;
  return {
    id: device.id,
    index: registered.index,
    settings: { id: device.id },
    identify: undefined,
    firmwareRange: "*",
    pollMs: { fast: pollMs, normal: pollMs, slow: pollMs },
    points: points(device).map((point) => ({
      ...point,
      index: indexes.get(point.name) ?? -1,
    })),
    records: [],
    silenceMs: 0,
    personalData: { how: "drop" },
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DeviceError("aborted", "given up"));
    });
  });

/** The driver of these devices: answers after a while, or does what their fault says. */
export function simulatedDriver(
  devices: readonly SimulatedDevice[],
  random: () => number,
): Driver<unknown, unknown> {
  const answer = async (device: SimulatedDevice, signal: AbortSignal): Promise<void> => {
    if (device.fault === "refused") throw new DeviceError("refused", `${device.id} refuses`);
    await pause(
      device.fault === "silent" ? 3_600_000 : device.fault === "slow" ? 2000 : 5 + random() * 30,
      signal,
    );
  };
  return {
    name: "simulated",
    describe: String,
    connect: async (settings, _context, signal): Promise<Connection<unknown>> => {
      const device = devices.find(({ id }) => id === (settings as { id: string }).id);
      if (device === undefined) throw new DeviceError("refused", "no such device");
      await answer(device, signal);
      return {
        identify: () => Promise.reject(new DeviceError("unsupported", "does not say")),
        read: async (wanted, options): Promise<ReadResult> => {
          await answer(device, options.signal);
          device.count++;
          const { count } = device;
          return {
            answers: wanted.map(({ address }) =>
              address === 0
                ? count
                : (address as number) % 4 === 3
                  ? `text ${count % 7}`
                  : count * 3 + (address as number),
            ),
          };
        },
        close: () => Promise.resolve(),
      };
    },
  };
}

/** An alarm with a number of its own; `filler` makes it large. */
export function alarm(writer: EventWriter, device: number, number: number, filler: string): Buffer {
  writer.begin("alarm", device, Date.now(), performance.now(), "holdover");
  writer.object({ state: number % 2 === 0 ? "active" : "cleared", number, filler });
  return writer.bytes();
}
