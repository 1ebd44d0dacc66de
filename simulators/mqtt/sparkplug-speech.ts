import { anyNumber, type SimulatedPoint } from "../simulator.ts";
import { addressOf, plain, type Said, type Settings, type Speech, type Valued } from "./speech.ts";

/** Sparkplug B 3.0 payloads, byte by byte (protobuf wire format). */

const types = { int64: 4, uint64: 8, double: 10, boolean: 11, text: 12 } as const;

/** One metric as it goes onto the wire. */
export interface Metric {
  name?: string;
  alias?: number;
  timestampMs?: number;
  /** Sparkplug's number of the type; birth only. */
  type?: number;
  /** The field of the value in `Payload.Metric` with the value, or null. */
  value: { field: 10 | 11 | 12 | 13 | 14 | 15; of: number | bigint | boolean | string } | null;
  isHistorical?: boolean;
  quality?: number;
}

function varint(value: number | bigint): Buffer {
  const all: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    all.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(all);
}

const key = (field: number, wire: number): Buffer => varint((field << 3) | wire);
const number = (field: number, value: number | bigint): Buffer =>
  Buffer.concat([key(field, 0), varint(value)]);
function bytes(field: number, value: string | Buffer): Buffer {
  const body = Buffer.from(value as string);
  return Buffer.concat([key(field, 2), varint(body.length), body]);
}

function valueBytes({ field, of }: NonNullable<Metric["value"]>): Buffer {
  if (field === 10 || field === 11) return number(field, of as bigint);
  if (field === 14) return number(field, of === true ? 1 : 0);
  if (field === 15) return bytes(field, String(of));
  const body = Buffer.alloc(field === 12 ? 4 : 8);
  if (field === 12) body.writeFloatLE(Number(of));
  else body.writeDoubleLE(Number(of));
  return Buffer.concat([key(field, field === 12 ? 5 : 1), body]);
}

function metricBytes(metric: Metric): Buffer {
  const { name, alias, timestampMs, type, value, isHistorical, quality } = metric;
  const property = (of: number) => Buffer.concat([number(1, 3), number(3, of)]);
  return Buffer.concat([
    ...(name === undefined ? [] : [bytes(1, name)]),
    ...(alias === undefined ? [] : [number(2, alias)]),
    ...(timestampMs === undefined ? [] : [number(3, timestampMs)]),
    ...(type === undefined ? [] : [number(4, type)]),
    ...(isHistorical === true ? [number(5, 1)] : []),
    ...(value === null ? [number(7, 1)] : []),
    ...(quality === undefined
      ? []
      : [bytes(9, Buffer.concat([bytes(1, "Quality"), bytes(2, property(quality))]))]),
    ...(value === null ? [] : [valueBytes(value)]),
  ]);
}

/** A Sparkplug B payload: time, sequence number (none in a death) and metrics. */
export function payloadBytes(
  timestampMs: number,
  seq: number | undefined,
  metrics: readonly Metric[],
): Buffer {
  return Buffer.concat([
    number(1, timestampMs),
    ...metrics.map((metric) => bytes(2, metricBytes(metric))),
    ...(seq === undefined ? [] : [number(3, seq)]),
  ]);
}

function typeOf({ address, typical }: SimulatedPoint): number {
  const { type } = addressOf({ address });
  if (type === "boolean") return types.boolean;
  if (type === "text") return types.text;
  return typical !== undefined && typical.every((one) => Number.isInteger(one) && one > 1000)
    ? types.int64
    : types.double;
}

function valueOf(one: Valued): NonNullable<Metric["value"]> {
  const type = typeOf(one.point);
  const value = plain(one);
  if (type === types.boolean) return { field: 14, of: value };
  if (type === types.text) return { field: 15, of: value };
  if (type === types.int64) return { field: 11, of: BigInt(Math.round(Number(value))) };
  return { field: 13, of: Number(value) };
}

let sessions = 0;

const said = (where: string, payload: Buffer): Said => ({ topic: where, payload, qos: 0, retain: false });

const aliased = (values: readonly Valued[], timestampMs: number, isBirth: boolean): Metric[] =>
  values.map((one, i) => ({
    alias: i + 1,
    timestampMs,
    value: valueOf(one),
    ...(isBirth ? { name: addressOf(one.point).metric ?? one.point.name, type: typeOf(one.point) } : {}),
  }));

/** An edge node with one device, or without one when the settings name none. */
export function sparkplugSpeech({ variables = {} }: Settings): Speech {
  const { group = "group", node = "node", device } = variables;
  let bdSeq = sessions++ % 256;
  let hasDied = false;
  let seq = 0;
  const topic = (kind: string, of?: string): string =>
    `spBv1.0/${group}/${kind}/${node}${of === undefined ? "" : `/${of}`}`;
  const next = (): number => (seq = (seq + 1) % 256);
  const bornBy = (timestampMs: number): Metric[] => [
    { name: "bdSeq", timestampMs, type: types.uint64, value: { field: 11, of: bdSeq } },
    { name: "Node Control/Rebirth", timestampMs, type: types.boolean, value: { field: 14, of: false } },
  ];
  const data = (values: readonly Valued[], timeMs: number): Said[] => [
    said(
      device === undefined ? topic("NDATA") : topic("DDATA", device),
      payloadBytes(timeMs, next(), aliased(values, timeMs, false)),
    ),
  ];
  return {
    hello(values, timeMs) {
      seq = 0;
      // Each session counts on, a rebirth within one does not.
      if (hasDied) bdSeq = sessions++ % 256;
      hasDied = false;
      const own = aliased(values, timeMs, true);
      const node1 = [...bornBy(timeMs), ...(device === undefined ? own : [])];
      const birth = said(topic("NBIRTH"), payloadBytes(timeMs, 0, node1));
      if (device === undefined) return [birth];
      return [birth, said(topic("DBIRTH", device), payloadBytes(timeMs, next(), own))];
    },
    values: data,
    record: () => [],
    goodbye() {
      hasDied = true;
      const death = { name: "bdSeq", type: types.uint64, value: { field: 11, of: bdSeq } } as const;
      return [said(topic("NDEATH"), payloadBytes(Date.now(), undefined, [death]))];
    },
    room: (point) =>
      typeOf(point) === types.int64
        ? { low: -(2 ** 63), high: 2 ** 63 - 1024, whole: true }
        : { ...anyNumber, hasNan: true },
    isAsked: (where, payload) => where === topic("NCMD") && payload.includes("Node Control/Rebirth"),
  };
}
