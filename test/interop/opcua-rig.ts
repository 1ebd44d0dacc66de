import { setTimeout as sleep } from "node:timers/promises";
import { afterEach } from "vitest";
import { driver } from "../../drivers/opcua/index.ts";
import { address, settings, type Address, type Settings } from "../../drivers/opcua/settings.ts";
import type {
  Answer,
  Connection,
  DriverContext,
  PointRequest,
  RecordPhase,
  RecordRequest,
  Sink,
} from "../../gateway/driver.ts";
import { start, type OpcuaSimulator } from "../../simulators/opcua/index.ts";
import { loadLibrary } from "../../simulators/opcua/library.ts";

/** What the tests of the OPC UA driver before a real server share. */

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** Closes it after the test, the newest first. */
export function kept<Thing extends { close(): unknown }>(thing: Thing): Thing {
  open.push(thing);
  return thing;
}

/** A node of the simulator's own namespace: `at("speed")`. */
const namespace = "urn:kerb:test";
export const at = (name: string): string => `nsu=${namespace};s=${name}`;

/** Starts a pretend server whose points are named as their nodes: `{ speed: "Double" }`. */
export async function startServer(
  types: Record<string, string>,
  own: Record<string, unknown> = {},
  records: NonNullable<Parameters<typeof start>[0]["records"]> = [],
): Promise<OpcuaSimulator> {
  const points = Object.entries(types).map(([name, type]) => ({
    name,
    address: { node: at(name), type },
    scale: 1,
    offset: 0,
  }));
  const identity = { vendor: "Kerb Works", model: "K-1", firmware: "2.1.8", serial: "A0042" };
  const simulator = await start({ profile: "", points, records, settings: { port: 0, ...own }, identity });
  return simulator as OpcuaSimulator;
}

/** What a test passes to `connect`. */
export function settingsOf(server: { address: string }, more: Record<string, unknown> = {}): Settings {
  const [host = "", port] = server.address.split(":");
  const quick = { timeout: 2000, publishing: 50, keepAlive: 500 };
  return settings.parse({ host, port: Number(port), security: "none", ...quick, ...more });
}

export function pointsOf(...addresses: Record<string, unknown>[]): PointRequest<Address>[] {
  return addresses.map((wanted, index) => ({ name: `point${index}`, address: address.parse(wanted) }));
}

export function contextOf(more: Partial<DriverContext> = {}, lines: string[] = []): DriverContext {
  return { deviceId: "device", log: (level, text) => lines.push(`${level} ${text}`), ...more };
}

/** A signal for calls that are not to be given up. */
export const patient = (): AbortSignal => new AbortController().signal;

export function connectTo(wanted: Settings, context = contextOf()): Promise<Connection<Address>> {
  return driver.connect(wanted, context, patient());
}

/** The code of the error that a promise rejects with, or "resolved". */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await errorOf(promise))?.code ?? "resolved";
}

/** The `DeviceError` that a promise rejects with. */
export async function errorOf(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string } | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof Error && error.name === "DeviceError") return error as Error & { code: string };
    return { code: `not a DeviceError: ${String(error)}`, message: String(error) };
  }
}

export async function until(what: string, isSo: () => boolean, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Keeps all that a subscription hands on. */
export class Heard implements Sink {
  readonly readings_: { index: number; answer: Answer }[] = [];
  readonly records: { index: number; answers: readonly (Answer | undefined)[]; phase: RecordPhase }[] = [];
  readonly polled: number[] = [];
  signs = 0;

  alive(): void {
    this.signs++;
  }
  readings(values: readonly { index: number; answer: Answer }[]): void {
    this.signs++;
    this.readings_.push(...values);
  }
  record(
    index: number,
    answers: readonly (Answer | undefined)[],
    { phase = "occurred" }: { phase?: RecordPhase } = {},
  ): void {
    this.signs++;
    this.records.push({ index, answers: [...answers], phase });
  }
  poll(index: number): void {
    this.polled.push(index);
  }
  /** Bare values of one point, in the order of arrival. */
  values(index: number): unknown[] {
    return this.readings_
      .filter((one) => one.index === index)
      .map(({ answer }) => (typeof answer === "object" ? answer.value : answer));
  }
}

interface Response {
  schema: { name: string };
  responseHeader: { requestHandle: number };
}
type SendResponse = (type: string, response: Response, message: unknown, done: () => void) => void;

/** Changes the answers of a pretend server on their way; of connections that are made from now on. */
export function altered(
  server: OpcuaSimulator,
  name: string,
  change: (response: never) => Response | void,
): void {
  server.server.on("newChannel", (channel) => {
    const own = channel as unknown as { send_response: SendResponse };
    const send = own.send_response.bind(channel);
    own.send_response = (type, response, message, done) => {
      const changed = response.schema.name === name ? change(response as never) : undefined;
      send(type, changed ?? response, message, done);
    };
  });
}

/** Refuses all requests of one kind: `refusing(server, "CreateSubscription", "BadServiceUnsupported")`. */
export async function refusing(server: OpcuaSimulator, service: string, code: string): Promise<void> {
  const { ServiceFault, StatusCodes } = await loadLibrary();
  const serviceResult = StatusCodes[code as "BadServiceUnsupported"];
  altered(server, `${service}Response`, ({ responseHeader: { requestHandle } }: Response) => {
    return new ServiceFault({ responseHeader: { requestHandle, serviceResult } });
  });
}

/** Listens until `stop` is aborted or the connection ends; `done` has the code of that. */
export function listen(
  connection: Connection<Address>,
  points: readonly PointRequest<Address>[],
  records: readonly RecordRequest<Address>[] = [],
) {
  const heard = new Heard();
  const stop = new AbortController();
  const done = codeOf(connection.subscribe!({ points, records, sink: heard, signal: stop.signal }));
  return { heard, stop, done };
}

/** A value without its quality. */
export const bare = (answer: unknown): unknown =>
  typeof answer === "object" && answer !== null ? (answer as { value: unknown }).value : answer;

const field = (name: string, type: string) => ({
  name,
  address: { node: at(name), type },
  scale: 1,
  offset: 0,
});
/** A record as the simulator tells it; its trigger is the ticket. */
export const weighing = {
  name: "weighing",
  address: { node: at("ticket"), type: "String", queue: 10, sampling: 50 },
  kind: "transaction" as const,
  fields: [field("ticket", "String"), field("gross", "Double"), field("tare", "Double")],
};
/** The same as a subscription asks for it. */
export function weighings(): RecordRequest<Address>[] {
  const [record] = pointsOf(weighing.address);
  const fields = pointsOf(...weighing.fields.map((one) => one.address));
  return [{ ...record!, name: "weighing", fields }];
}
