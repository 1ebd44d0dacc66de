import type { Simulator, StartSimulator } from "../simulator.ts";
import { Device } from "./device.ts";
import { Endpoint } from "./endpoint.ts";
import { Image } from "./image.ts";
import { localHost, serialMedium, tcpMedium, type SerialSettings } from "./media.ts";
import { Unit } from "./unit.ts";
import type { Order } from "./words.ts";

/** A device's settings as `drivers/modbus/settings.ts` parses them, as far as a pretend device needs them. */
interface Settings {
  transport?: {
    type?: "tcp" | "rtu-over-tcp" | "rtu";
    host?: string;
    port?: number | string;
    baud?: number;
  } & Partial<Omit<SerialSettings, "path" | "baudRate">>;
  unit?: number;
  order?: Order;
  functions?: number[];
  maxRegistersPerRead?: number;
  maxBitsPerRead?: number;
  evenCount?: boolean;
}

const defaultDelayMs = 2000;
const allFunctions = [1, 2, 3, 4, 5, 6, 15, 16, 43];

/** The listeners and lines of this process; several simulators share one when their settings name the same. */
const endpoints = new Map<string, Endpoint>();
let turn: Promise<unknown> = Promise.resolve();

/** Opening and closing take turns, so that two simulators that start at once find the same listener. */
function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

function makeEndpoint(transport: NonNullable<Settings["transport"]>, log: (text: string) => void): Endpoint {
  if (transport.type === "rtu") {
    const { port, baud = 9600, parity = "none", dataBits = 8, stopBits = 1 } = transport;
    const line = { path: String(port), baudRate: baud, parity, dataBits, stopBits };
    return new Endpoint("rtu", false, (endpoint) => serialMedium(line, endpoint, log), log);
  }
  const host = localHost(transport.host ?? "127.0.0.1");
  const framing = transport.type === "rtu-over-tcp" ? "rtu" : "mbap";
  return new Endpoint(
    framing,
    true,
    (endpoint) => tcpMedium(host, Number(transport.port ?? 0), endpoint),
    log,
  );
}

/** The shared endpoint of this transport with the unit on it, opened if this is its first unit. */
async function join(transport: NonNullable<Settings["transport"]>, unit: Unit, log: (text: string) => void) {
  const made = makeEndpoint(transport, log);
  const running = endpoints.get(made.medium.place);
  if (running !== undefined && running.framing !== made.framing) {
    throw new Error(`${made.medium.place} is simulated already, with other framing than ${transport.type}`);
  }
  const endpoint = running ?? made;
  if (running === undefined) await endpoint.open();
  endpoint.add(unit);
  endpoints.set(endpoint.medium.place, endpoint);
  return endpoint;
}

/**
 * Starts a pretend Modbus device where `settings.transport` says (TCP, RTU over TCP, serial RTU); port 0 takes a
 * free one. Units with the same transport share its listener or line. Rejects with an `Error` when the place or
 * the unit id is taken or a point has no place in the register image.
 */
export const start: StartSimulator = async (options) => {
  const settings = options.settings as Settings;
  const { transport = {}, unit: id = 1, order = "ABCD", functions = allFunctions } = settings;
  const { maxRegistersPerRead = 125, maxBitsPerRead = 2000, evenCount = false } = settings;
  const { seed = 1, log = () => {} } = options;
  const image = new Image(options.points, order, seed);
  const quirks = { functions: new Set(functions), maxRegistersPerRead, maxBitsPerRead, evenCount };
  const unit = new Unit(id, new Device(image, quirks, options.identity), seed);
  const endpoint = await inTurn(() => join(transport, unit, log));
  let closing: Promise<void> | undefined;
  const simulator: Simulator = {
    address: `${endpoint.medium.place} unit ${id}`,
    counts: unit.counts,
    set: (point, value) => image.set(point, value),
    fault(fault, delayMs = defaultDelayMs) {
      unit.raise(fault, delayMs, () => endpoint.reconcile());
      endpoint.reconcile();
    },
    close() {
      closing ??= inTurn(async () => {
        if (!endpoint.remove(unit)) return;
        endpoints.delete(endpoint.medium.place);
        await endpoint.close();
      });
      return closing;
    },
  };
  return simulator;
};
