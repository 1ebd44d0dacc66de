import type { Reading, Value } from "../../gateway/driver.ts";

/** Sparkplug B payloads (specification 3.0, chapter 6) as plain values. The codec is loaded when it is needed. */

export interface Metric {
  readonly name: string | undefined;
  readonly alias: number | undefined;
  readonly timestampMs: number | undefined;
  readonly datatype: number | undefined;
  readonly isHistorical: boolean;
  readonly isNull: boolean;
  /** The property "Quality": 0 bad, 192 good, 500 stale. */
  readonly quality: number | undefined;
  /** The fields of the value as they were on the wire. */
  readonly wire: Wire;
}

export interface Payload {
  readonly timestampMs: number | undefined;
  readonly seq: number | undefined;
  readonly metrics: readonly Metric[];
}

/** 64 bits as protobufjs hands them out. */
type Long = number | { low: number; high: number };

interface Wire {
  intValue?: number;
  longValue?: Long;
  floatValue?: number;
  doubleValue?: number;
  booleanValue?: boolean;
  stringValue?: string;
}

interface WireMetric extends Wire {
  name?: string;
  alias?: Long;
  timestamp?: Long;
  datatype?: number;
  isHistorical?: boolean;
  isNull?: boolean;
  properties?: { keys?: string[]; values?: Wire[] } | null;
}

interface WirePayload {
  timestamp?: Long;
  seq?: Long;
  metrics?: WireMetric[];
}

interface Generated {
  decode(bytes: Uint8Array): WirePayload;
  create(payload: WirePayload): WirePayload;
  encode(payload: WirePayload): { finish(): Uint8Array };
}

/** Turns payloads into metrics, and the one command that we send into bytes. */
export interface Codec {
  /** Throws on bytes that are no payload. */
  decode(bytes: Uint8Array): Payload;
  /** The command that asks a node for its births. */
  rebirth(): Buffer;
}

let loaded: Promise<Codec> | undefined;

/**
 * The codec, from sparkplug-payload's generated part: its own `decodePayload` needs the datatype in each metric,
 * and a DATA message leaves it out.
 */
export function loadCodec(): Promise<Codec> {
  return (loaded ??= load());
}

const booleanType = 11;
/** Of one payload, and of one node. */
export const metricsMax = 10_000;
const metricsField = 2;

async function load(): Promise<Codec> {
  const module = (await import("sparkplug-payload/lib/sparkplugPayloadProto.js")) as unknown as {
    default: { org: { eclipse: { tahu: { protobuf: { Payload: Generated } } } } };
  };
  const generated = module.default.org.eclipse.tahu.protobuf.Payload;
  return {
    decode(bytes) {
      if (metricsIn(bytes) > metricsMax) throw new Error(`more than ${metricsMax} metrics`);
      const { timestamp, seq, metrics = [], ...rest } = own(generated.decode(bytes));
      void rest;
      return {
        timestampMs: timestamp === undefined ? undefined : Number(unsigned(timestamp)),
        seq: seq === undefined ? undefined : Number(unsigned(seq)),
        metrics: metrics.map((metric) => metricOf(own(metric))),
      };
    },
    rebirth() {
      const timestamp = Date.now();
      const metric = { name: "Node Control/Rebirth", timestamp, datatype: booleanType, booleanValue: true };
      return Buffer.from(generated.encode(generated.create({ timestamp, metrics: [metric] })).finish());
    },
  };
}

/**
 * How many metrics a payload holds, before an object is made of each: two bytes are enough for one. Throws on bytes
 * that are no payload.
 */
function metricsIn(bytes: Uint8Array): number {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Error("a number that is cut off");
  };
  let count = 0;
  while (at < bytes.length) {
    const key = varint();
    const [field, wire] = [Math.floor(key / 8), key % 8];
    if (field === metricsField) count++;
    if (wire === 0) varint();
    else if (wire === 2) {
      const length = varint();
      at += length;
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
    // Groups: none of Sparkplug's fields is one.
    else throw new Error(`wire type ${wire}`);
  }
  return count;
}

/** Without the defaults that the generated classes keep in their prototypes. */
function own<Thing extends object>(thing: Thing): Thing {
  return { ...thing };
}

function unsigned(long: Long): bigint {
  return BigInt.asUintN(64, typeof long === "number" ? BigInt(Math.trunc(long)) : wide(long));
}

function wide({ low, high }: { low: number; high: number }): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

function metricOf(metric: WireMetric): Metric {
  const { name, alias, timestamp, datatype, isHistorical, isNull, properties } = metric;
  const at = properties?.keys?.indexOf("Quality") ?? -1;
  const quality = at < 0 ? undefined : integerOf(own(properties?.values?.[at] ?? {}));
  return {
    name,
    alias: alias === undefined ? undefined : Number(unsigned(alias)),
    timestampMs: timestamp === undefined ? undefined : Number(unsigned(timestamp)),
    datatype,
    isHistorical: isHistorical === true,
    isNull: isNull === true,
    quality: quality === undefined ? undefined : Number(quality),
    wire: metric,
  };
}

function integerOf({ intValue, longValue }: Wire): bigint | undefined {
  if (longValue !== undefined) return unsigned(longValue);
  return intValue === undefined ? undefined : BigInt(intValue);
}

/** The bits of each integer type; negative: signed. */
const integers: Readonly<Record<number, number>> = {
  1: -8,
  2: -16,
  3: -32,
  4: -64,
  5: 8,
  6: 16,
  7: 32,
  8: 64,
  13: 64,
};
const texts: ReadonlySet<number> = new Set([12, 14, 15]);
/** Names of the types that hold no single value. */
const compound: Readonly<Record<number, string>> = { 16: "DataSet", 17: "Bytes", 18: "File", 19: "Template" };

const bad = (code: string, reason?: string): Reading => ({
  value: null,
  status: "bad",
  code,
  ...(reason === undefined ? {} : { reason }),
});

/** A metric's value by the datatype of its birth. 64-bit integers beyond 2^53 are `bigint`. */
export function readingOfMetric(metric: Metric, datatype: number | undefined): Reading {
  if (metric.isNull) return bad("null");
  if (metric.quality === 0) return bad("quality-bad");
  if (datatype === undefined) return bad("no-birth", "its datatype is not known");
  const value = valueOf(metric.wire, datatype);
  if (value === "unsupported") return bad("unsupported-type", compound[datatype] ?? `datatype ${datatype}`);
  if (value === undefined) return bad("wrong-type", `not what its datatype ${datatype} says`);
  const text = typeof value === "object" ? value.text : value;
  return metric.quality === 500
    ? { value: text, status: "uncertain", code: "stale" }
    : { value: text, status: "good" };
}

/** A text comes in an object, so that it is not taken for the word "unsupported". */
function valueOf(
  wire: Wire,
  datatype: number,
): Exclude<Value, string> | { text: string } | "unsupported" | undefined {
  const bits = integers[datatype];
  if (bits !== undefined) {
    const integer = integerOf(wire);
    if (integer === undefined) return undefined;
    const value = bits < 0 ? BigInt.asIntN(-bits, integer) : BigInt.asUintN(bits, integer);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (datatype === 9) return wire.floatValue ?? wire.doubleValue;
  if (datatype === 10) return wire.doubleValue ?? wire.floatValue;
  if (datatype === booleanType) return wire.booleanValue;
  if (texts.has(datatype)) return wire.stringValue === undefined ? undefined : { text: wire.stringValue };
  return "unsupported";
}
