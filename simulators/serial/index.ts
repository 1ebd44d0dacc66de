import type { Room, Simulator, StartSimulator } from "../simulator.ts";
import { Endpoints } from "../media.ts";
import { bamCsv, bamEscape, bayernHessenFramed, bayernHessenLine } from "./analysers.ts";
import type { MakeDialect } from "./dialect.ts";
import { Endpoint, type SerialTransport } from "./endpoint.ts";
import { sdi12 } from "./sdi12.ts";
import { nmeaWeather, weighIndicator, wimJson } from "./streams.ts";
import { Unit } from "./unit.ts";
import { Values } from "./values.ts";

/** A device's settings as `drivers/serial/settings.ts` parses them, as far as a pretend device needs them. */
interface Settings {
  transport?: SerialTransport;
  station?: string;
  zone?: string;
  grammar?: { dialect?: string };
}

/** Each encodes with its own code: nothing of the grammar but the dialect's name is used here. */
const dialects: Record<string, MakeDialect> = {
  "bayern-hessen-line": bayernHessenLine,
  "bayern-hessen-framed": bayernHessenFramed,
  "bam-escape": bamEscape,
  "bam-csv": bamCsv,
  "weigh-indicator": weighIndicator,
  "nmea-weather": nmeaWeather,
  "wim-json": wimJson,
  sdi12,
};

/** What has columns has no room for more: a sign and seven digits (SDI-12 1.4, 4.4.8.1; TI-02-P), or four and an exponent. */
const sevenDigits = { low: -9_999_999, high: 9_999_999 };
const rooms: Record<string, Room> = {
  "bayern-hessen-line": { low: -9999e99, high: 9999e99 },
  "bayern-hessen-framed": { low: -9999e99, high: 9999e99 },
  "bam-escape": sevenDigits,
  "bam-csv": sevenDigits,
  "weigh-indicator": sevenDigits,
  "nmea-weather": sevenDigits,
  sdi12: sevenDigits,
};

const defaultDelayMs = 2000;
const wrongClockMs = 7 * 3_600_000;

const endpoints = new Endpoints<Unit, Endpoint>();

/** "+07:00" as minutes east of UTC. */
function minutesOf(zone: string): number {
  const [hours = 0, minutes = 0] = zone.slice(1).split(":").map(Number);
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes);
}

/**
 * Starts a pretend instrument where `settings.transport` says (TCP or a serial port); port 0 takes a free one.
 * Stations with the same transport share its listener or line. Rejects with an `Error` when the place or the
 * station is taken, or there is no simulator of the dialect.
 */
export const start: StartSimulator = async (options) => {
  const { transport = {}, station = "", zone = "+07:00", grammar } = options.settings as Settings;
  const { seed = 1, log = () => {}, recordEveryMs = 0, records = [] } = options;
  const make = dialects[grammar?.dialect ?? ""];
  if (make === undefined) throw new Error(`there is no simulator of the dialect "${grammar?.dialect}"`);
  const values = new Values(options.points, seed, rooms[grammar?.dialect ?? ""]);
  const clock = { isWrong: false };
  const dialect = make({
    values,
    station,
    identity: options.identity,
    now: () => Date.now() + (clock.isWrong ? wrongClockMs : 0),
    zoneMinutes: minutesOf(zone),
  });
  const made = new Endpoint(transport, log);
  const unit = new Unit(station, dialect, made.hasListener, seed, () => values.walk());
  const endpoint = await endpoints.join(made, unit);
  unit.begin(endpoint);
  const telling =
    recordEveryMs > 0 && records.length > 0
      ? setInterval(() => unit.tell(records[0]!.name, {}, endpoint), recordEveryMs)
      : undefined;
  telling?.unref();
  let closing: Promise<void> | undefined;
  const simulator: Simulator = {
    address: `${endpoint.place}${station === "" ? "" : ` station ${station}`}`,
    counts: unit.counts,
    set: (point, value) => values.set(point, value),
    tell: (record, told = {}) => unit.tell(record, told, endpoint),
    fault(fault, delayMs = defaultDelayMs) {
      clock.isWrong = fault === "clockWrong";
      unit.raise(fault, delayMs, () => endpoint.reconcile());
      endpoint.reconcile();
    },
    close() {
      clearInterval(telling);
      closing ??= endpoints.leave(endpoint, unit);
      return closing;
    },
  };
  return simulator;
};
