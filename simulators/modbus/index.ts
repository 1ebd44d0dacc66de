import { WriteLog, type Simulator, type StartSimulator } from "../simulator.ts";
import { Endpoints } from "../media.ts";
import { Device } from "./device.ts";
import { Endpoint, type ModbusTransport } from "./endpoint.ts";
import { Image } from "./image.ts";
import { chainEnd } from "./sunspec.ts";
import { Unit } from "./unit.ts";
import type { Order } from "./words.ts";

/** A device's settings as `drivers/modbus/settings.ts` parses them, as far as a pretend device needs them. */
interface Settings {
  transport?: ModbusTransport;
  unit?: number;
  order?: Order;
  functions?: number[];
  maxRegistersPerRead?: number;
  maxBitsPerRead?: number;
  evenCount?: boolean;
}

const defaultDelayMs = 2000;
const allFunctions = [1, 2, 3, 4, 5, 6, 15, 16, 43];

const endpoints = new Endpoints<Unit, Endpoint>();

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
  const image = new Image([...options.points, ...chainEnd(options.points)], order, seed);
  const quirks = { functions: new Set(functions), maxRegistersPerRead, maxBitsPerRead, evenCount };
  const counts = { requests: 0, errors: 0 };
  const writes = new WriteLog(counts);
  const device = new Device(image, quirks, options.identity, (what, isTaken) => writes.add(what, isTaken));
  const unit = new Unit(id, device, seed, counts);
  const made = new Endpoint(transport, log);
  const endpoint = await endpoints.join(made, unit, ({ framing, place }) => {
    if (framing === made.framing) return;
    throw new Error(`${place} is simulated already, with other framing than ${transport.type}`);
  });
  let closing: Promise<void> | undefined;
  const simulator: Simulator = {
    address: `${endpoint.place} unit ${id}`,
    counts,
    writes,
    set: (point, value) => image.set(point, value),
    fault(fault, delayMs = defaultDelayMs) {
      unit.raise(fault, delayMs, () => endpoint.reconcile());
      endpoint.reconcile();
    },
    close() {
      closing ??= endpoints.leave(endpoint, unit);
      return closing;
    },
  };
  return simulator;
};
