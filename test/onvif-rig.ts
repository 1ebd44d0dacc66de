import { setTimeout as sleep } from "node:timers/promises";
import { afterEach } from "vitest";
import { driver } from "../drivers/onvif/index.ts";
import { address, settings, type Address } from "../drivers/onvif/settings.ts";
import { DeviceError, type Answer, type Connection, type RecordPhase, type Sink } from "../gateway/driver.ts";
import { start, type CameraSimulator } from "../simulators/onvif/index.ts";

/** What the tests of the ONVIF driver share: its pretend camera, a connection, and somebody who listens. */

export const login = { user: "kerb", password: "Trial-7-only" };
export const identity = { vendor: "Kerb Works", model: "K-1", firmware: "2.1.8", serial: "A0042" };
const motion = { topic: "RuleEngine/CellMotionDetector/Motion" };
const isMotion = { item: "IsMotion", part: "data", type: "boolean" };
const plateItem = { item: "LicensePlateInfo/PlateNumber", part: "data" };

export const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const simulated = (name: string, given: object, typical?: [number, number]) => ({
  name,
  address: address.parse(given),
  scale: 1,
  offset: 0,
  ...(typical === undefined ? {} : { typical }),
});

export async function camera(more: Record<string, unknown> = {}, seed = 1): Promise<CameraSimulator> {
  const running = await start({
    profile: "test/camera",
    identity,
    seed,
    settings: { port: 0, ...login, ...more },
    points: [
      simulated("skew", { reading: "clock-skew" }),
      simulated("rate", { reading: "video", item: "framerate" }, [25, 25]),
    ],
    records: [
      {
        name: "motion",
        address: motion,
        kind: "alarm",
        active: "moving",
        fields: [simulated("moving", isMotion)],
      },
      {
        name: "plate",
        address: { topic: "RuleEngine/Recognition/LicensePlate" },
        kind: "transaction",
        fields: [simulated("plate", plateItem)],
      },
    ],
  });
  cleanups.push(() => running.close());
  return running;
}

export async function connect({ port }: { port: number }, more: Record<string, unknown> = {}) {
  const parsed = settings.parse({
    host: "127.0.0.1",
    port,
    rtspPort: port,
    timeout: "500ms",
    pull: "1s",
    ...login,
    ...more,
  });
  const context = { deviceId: "camera-1", log: () => {} };
  const connection = await driver.connect(parsed, context, new AbortController().signal);
  cleanups.push(() => connection.close());
  return connection;
}

export const patient = () => new AbortController().signal;
export const codeOf = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "resolved",
    (error: unknown) => (error instanceof DeviceError ? error.code : `no DeviceError: ${String(error)}`),
  );
export const point = (given: object) => ({ name: "p", address: address.parse(given) });
export const read = (connection: Connection<Address>, ...given: object[]) =>
  connection.read(given.map(point), { signal: patient() });

interface Told {
  answers: readonly (Answer | undefined)[];
  phase: RecordPhase | undefined;
  sourceTimeMs: number | undefined;
}

export function listen(connection: Connection<Address>) {
  const told: Told[] = [];
  const stop = new AbortController();
  let signs = 0;
  const sink: Sink = {
    alive: () => void signs++,
    readings: () => {},
    poll: () => {},
    record: (_index, answers, { phase, sourceTimeMs } = {}) => told.push({ answers, phase, sourceTimeMs }),
  };
  const done = connection.subscribe!({
    points: [],
    records: [
      { ...point(motion), fields: [point(isMotion)] },
      { ...point({ topic: "RuleEngine/Recognition/LicensePlate" }), fields: [point(plateItem)] },
    ],
    sink,
    signal: stop.signal,
  });
  done.catch(() => {});
  return { told, stop, done, signs: () => signs };
}

export async function until(what: string, isSo: () => boolean, withinMs = 8000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}
