import { DeviceError, type Identity } from "../../gateway/driver.ts";
import { Batch, Request } from "./batch.ts";
import { exceptionName, readPdu } from "./codec.ts";
import { printable } from "./decode.ts";
import { lost, type Link } from "./link.ts";
import type { Settings } from "./settings.ts";

/**
 * Who a SunSpec device is (SunSpec Device Information Model 1.1): the marker "SunS" at one of three places, then one
 * model behind the other, each with its id and its length, until the id 0xFFFF. Model 1 says who the device is.
 */

const bases = [40_000, 0, 50_000];
const marker = 0x5375_6e53;
const endId = 0xffff;
const registersEnd = 0x10000;
/** More than any device has: a map of zeros is a chain of empty models. */
const modelsMax = 64;

/** Offsets and lengths in the common model, from its id. */
const common = {
  vendor: [2, 16],
  model: [18, 16],
  options: [34, 8],
  firmware: [42, 8],
  serial: [50, 16],
} as const;
const commonRegisters = 66;

const names: Readonly<Record<number, string>> = {
  1: "common",
  101: "inverter, one phase",
  102: "inverter, split phase",
  103: "inverter, three phases",
  111: "inverter, one phase, float",
  112: "inverter, split phase, float",
  113: "inverter, three phases, float",
  120: "nameplate",
  121: "basic settings",
  122: "measurements and status",
  123: "immediate controls",
  124: "storage",
  160: "MPPT",
  201: "meter, one phase",
  202: "meter, split phase",
  203: "meter, wye",
  204: "meter, delta",
  211: "meter, one phase, float",
  212: "meter, split phase, float",
  213: "meter, wye, float",
  214: "meter, delta, float",
  307: "base meteorology",
  701: "DER AC measurement",
  702: "DER capacity",
  802: "battery",
};

type Asks = Pick<Settings, "unit" | "maxRegistersPerRead" | "evenCount">;

/** Reads holding registers of one device; what the device refuses is undefined. */
class Registers {
  readonly #link: Link;
  readonly #asks: Asks;
  readonly #place: string;
  readonly #signal: AbortSignal;
  /** By which exception the last read was refused. */
  exception = 0;

  constructor(link: Link, asks: Asks, place: string, signal: AbortSignal) {
    this.#link = link;
    this.#asks = asks;
    this.#place = place;
    this.#signal = signal;
  }

  /** `count` registers as bytes, in as many requests as the device wants. Rejects when it is lost. */
  async read(start: number, count: number): Promise<Uint8Array | undefined> {
    const { evenCount, maxRegistersPerRead } = this.#asks;
    const isOdd = evenCount && start % 2 !== 0;
    const from = isOdd ? start - 1 : start;
    const end = evenCount ? Math.ceil((start + count) / 2) * 2 : start + count;
    if (end > registersEnd) return undefined;
    const most = evenCount ? Math.max(2, maxRegistersPerRead & ~1) : maxRegistersPerRead;
    const bytes = new Uint8Array((end - from) * 2);
    for (let at = from; at < end; at += most) {
      const part = await this.#one(at, Math.min(most, end - at));
      if (part === undefined) return undefined;
      bytes.set(part, (at - from) * 2);
    }
    return bytes.subarray((start - from) * 2, (start - from + count) * 2);
  }

  async #one(start: number, count: number): Promise<Uint8Array | undefined> {
    const request = new Request(
      readPdu("holding", start, count),
      `read holding ${start} (SunSpec)`,
      2 * count,
    );
    let found: Uint8Array | undefined;
    const batch = new Batch([request], this.#link.framing, this.#asks.unit, (_, bytes, at) => {
      found = bytes.slice(at + 2, at + 2 + 2 * count);
    });
    await this.#link.run(batch, this.#signal);
    if (request.state === "lost") throw lost(this.#place, request);
    this.exception = request.exception;
    if (request.state === "refused" && request.exception === 11) throw this.refusal("silent", request.text);
    // It may say who it is the next time; until then it must not be taken for another one.
    if (request.state === "refused" && [5, 6].includes(request.exception))
      throw this.refusal("busy", request.text);
    return found;
  }

  /** What to throw of the last read, that was refused. */
  refusal(code: "silent" | "busy" | "rejected", asked: string): DeviceError {
    return new DeviceError(code, `${this.#place}: ${asked}: ${exceptionName(this.exception)}`);
  }
}

const word = (bytes: Uint8Array, at: number): number => (bytes[2 * at]! << 8) | bytes[2 * at + 1]!;

/** Exceptions of a device that has no such registers, or does not have them by this function. */
const notHere = [1, 2, 3];

/** Where the marker stands; undefined: it is no SunSpec device. A device may be silent where it has nothing. */
async function baseOf(registers: Registers): Promise<number | undefined> {
  let doubt: DeviceError | undefined;
  for (const base of bases) {
    try {
      const found = await registers.read(base, 2);
      if (found !== undefined && word(found, 0) * 0x10000 + word(found, 1) === marker) return base;
      if (found === undefined && !notHere.includes(registers.exception))
        doubt ??= registers.refusal("rejected", `read holding ${base} (SunSpec)`);
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "silent") throw error;
      doubt ??= error;
    }
  }
  if (doubt !== undefined) throw doubt;
  return undefined;
}

interface Chain {
  models: { id: number; at: number; length: number }[];
  /** Why it ends without its end; undefined where it does. */
  broken: string | undefined;
}

/** Each model lies behind the one before, so that there is no way back. */
async function chainFrom(registers: Registers, start: number): Promise<Chain> {
  const models: Chain["models"] = [];
  for (let at = start; models.length < modelsMax;) {
    const head = at + 2 > registersEnd ? undefined : await registers.read(at, 2);
    if (head === undefined)
      return {
        models,
        broken: `holding ${at}: ${at + 2 > registersEnd ? "no such register" : exceptionName(registers.exception)}`,
      };
    const [id, length] = [word(head, 0), word(head, 1)];
    if (id === endId) return { models, broken: undefined };
    models.push({ id, at, length });
    at += 2 + length;
  }
  return { models, broken: `more than ${modelsMax} models` };
}

function textIn(block: Uint8Array, [from, length]: readonly [number, number]): string {
  return printable(block, 2 * from, 2 * length);
}

/** The models in words that fit a line: "1 common, 203 meter, wye". */
function listed(models: Chain["models"]): string {
  return models.map(({ id }) => (names[id] === undefined ? String(id) : `${id} (${names[id]})`)).join(", ");
}

/**
 * Walks the chain of models; undefined where no marker is found. `more` says where the marker stands, which models
 * follow, and where the chain breaks off. Rejects with `silent`, `busy`, `garbage`, `rejected`, or as the link does.
 */
export async function identifySunSpec(
  link: Link,
  asks: Asks,
  place: string,
  signal: AbortSignal,
): Promise<Identity | undefined> {
  const registers = new Registers(link, asks, place, signal);
  const base = await baseOf(registers);
  if (base === undefined) return undefined;
  const { models, broken } = await chainFrom(registers, base + 2);
  const identity: Identity = {};
  const more: Record<string, string> = { "SunSpec base": `holding ${base}` };
  const first = models.find(({ id, length }) => id === 1 && length + 2 >= commonRegisters);
  const block = first === undefined ? undefined : await registers.read(first.at, commonRegisters);
  if (first !== undefined && block === undefined)
    throw registers.refusal("rejected", `read holding ${first.at} (SunSpec, common model)`);
  if (block !== undefined)
    for (const field of ["vendor", "model", "firmware", "serial"] as const) {
      const found = textIn(block, common[field]);
      if (found !== "") identity[field] = found;
    }
  const options = block === undefined ? "" : textIn(block, common.options);
  if (options !== "") more["SunSpec options"] = options;
  more["SunSpec models"] = listed(models) || "none";
  if (broken !== undefined) more["SunSpec chain"] = `breaks off: ${broken}`;
  return { ...identity, more };
}
