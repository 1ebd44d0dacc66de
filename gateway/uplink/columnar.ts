import {
  clockStates,
  EventReader,
  eventKinds,
  quality,
  tag,
  type ClockState,
  type EventKind,
  type EventReading,
  type KerbEvent,
  type QualityDetail,
  type ReadingValue,
} from "../event.ts";
import { Column } from "./column.ts";
import type { BatchHeader, DecodedBatch, Dictionary, Row } from "./encoding.ts";

/**
 * The compact encoding of kerb contract v1: one JSON object of columns, zstd around it. Members: see
 * ARCHITECTURE.md, "The batch on the wire". Deltas and sparse pairs make it small and keep it readable.
 */
export const contentType = "application/vnd.kerb.batch.v1+json";

const reader = new EventReader();
/** Of the batch at hand. */
const columns = { k: new Column(), p: new Column(), dt: new Column(), x: new Column(), rd: new Column() };

/** Renders rows of one epoch, in order, into the JSON text of one batch. */
export function encodeColumnar(header: BatchHeader, rows: readonly Row[]): string {
  const first = rows[0];
  if (first === undefined) throw new RangeError("a batch has at least one event");
  reader.open(first.body);
  const t0 = reader.timeMs;
  for (const column of Object.values(columns)) column.clear();
  const sparse: Record<"xs" | "q" | "qd" | "rt" | "skip" | "ev" | "ck" | "mono", string[]> = {
    xs: [],
    q: [],
    qd: [],
    rt: [],
    skip: [],
    ev: [],
    ck: [],
    mono: [],
  };
  let time = t0;
  let recorded = first.recordedMs;
  let expected = first.seq;
  let clock: ClockState = "synced";
  let point = 0;
  let position = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as Row;
    reader.open(row.body);
    if (row.seq !== expected) sparse.skip.push(`${i},${row.seq - expected}`);
    expected = row.seq + 1;
    if (reader.clock !== clock) sparse.ck.push(`${i},${clockStates.indexOf(reader.clock)}`);
    clock = reader.clock;
    if (clock === "unsynced") sparse.mono.push(`${i},${Math.round(reader.monoMs)}`);
    columns.dt.integer(reader.timeMs - time);
    columns.rd.integer(row.recordedMs - recorded);
    columns.k.integer(reader.count);
    time = reader.timeMs;
    recorded = row.recordedMs;
    if (reader.kind !== "telemetry") {
      const { id: device = "", profile = "" } = header.dictionary.device(reader.device) ?? {};
      sparse.ev.push(`${i},${JSON.stringify({ kind: reader.kind, device, profile, data: reader.object() })}`);
      continue;
    }
    const unsynced = clock === "unsynced" ? quality.clockUnsynced : 0;
    while (reader.next()) {
      columns.p.integer(reader.point - point);
      point = reader.point;
      const type = reader.type;
      if (type >= tag.decimal) columns.x.decimal(reader.number, type - tag.decimal);
      else if (type === tag.f64) columns.x.text(String(reader.number));
      else {
        columns.x.text("null");
        if (type !== tag.null) sparse.xs.push(`${position},${JSON.stringify(reader.value())}`);
      }
      const bits = reader.quality | unsynced;
      if (bits !== 0) sparse.q.push(`${position},${bits}`);
      if (reader.detail !== undefined) sparse.qd.push(`${position},${JSON.stringify(reader.detail)}`);
      if (reader.timeOffsetMs !== 0) sparse.rt.push(`${position},${reader.timeOffsetMs}`);
      position++;
    }
  }
  let text = `{"v":1,"gw":${JSON.stringify(header.gateway)},"ep":${header.epoch},"seq":${first.seq},"n":${rows.length}`;
  text += `,"lane":"${header.lane}","dict":"${header.dictionary.hash}","t0":${t0},"r0":${first.recordedMs}`;
  for (const [name, column] of Object.entries(columns)) text += `,"${name}":[${column.toString()}]`;
  for (const [name, list] of Object.entries(sparse)) {
    if (list.length > 0) text += `,"${name}":[${list.join(",")}]`;
  }
  return `${text}}`;
}

interface OtherEvent {
  kind: EventKind;
  device: string;
  /** The device may have another one by now; absent = the one in the dictionary. */
  profile?: string;
  data: Record<string, unknown>;
}

interface ColumnarBatch {
  v: 1;
  gw: string;
  ep: number;
  seq: number;
  n: number;
  dict: string;
  t0: number;
  r0?: number;
  k: number[];
  p: number[];
  dt: number[];
  rd?: number[];
  x: (number | null)[];
  xs?: (number | ReadingValue)[];
  q?: number[];
  qd?: (number | QualityDetail)[];
  rt?: number[];
  skip?: number[];
  ck?: number[];
  mono?: number[];
  ev?: (number | OtherEvent)[];
}

function pairs<T>(list: readonly unknown[] | undefined): Map<number, T> {
  const map = new Map<number, T>();
  if (list === undefined) return map;
  if (!Array.isArray(list) || list.length % 2 !== 0)
    throw new RangeError("a sparse column has an odd length");
  for (let i = 0; i < list.length; i += 2) map.set(list[i] as number, list[i + 1] as T);
  return map;
}

function numbers(list: unknown, length: number, name: string): number[] {
  if (!Array.isArray(list) || list.length !== length || !list.every((value) => Number.isSafeInteger(value))) {
    throw new RangeError(`column "${name}" must hold ${length} whole numbers`);
  }
  return list as number[];
}

/** Events that one batch may claim; far above what 32 KiB can hold. */
const eventsMax = 100_000;

/** Decodes a parsed columnar batch. Throws `RangeError` with the column at fault. */
export function decodeColumnar(json: unknown): DecodedBatch {
  const batch = json as ColumnarBatch;
  if (batch.v !== 1) throw new RangeError(`batch version ${String(batch.v)} is not known`);
  if (typeof batch.gw !== "string" || typeof batch.dict !== "string") {
    throw new RangeError('a batch names its gateway ("gw") and dictionary ("dict")');
  }
  numbers([batch.ep, batch.seq, batch.n], 3, "ep, seq, n");
  if (batch.n < 1 || batch.n > eventsMax) throw new RangeError(`a batch of ${batch.n} events`);
  const k = numbers(batch.k, batch.n, "k");
  numbers(batch.dt, batch.n, "dt");
  if (batch.rd !== undefined) numbers(batch.rd, batch.n, "rd");
  const readings = k.reduce((sum, count) => sum + count, 0);
  numbers(batch.p, readings, "p");
  if (!Array.isArray(batch.x) || batch.x.length !== readings)
    throw new RangeError(`column "x" must hold ${readings} values`);
  const skip = pairs<number>(batch.skip);
  const seqs: number[] = [];
  let seq = batch.seq;
  for (let i = 0; i < batch.n; i++) {
    seq += skip.get(i) ?? 0;
    seqs.push(seq++);
  }
  return {
    gateway: batch.gw,
    epoch: batch.ep,
    seqs,
    dictionary: batch.dict,
    events: (dictionary) => columnarEvents(batch, seqs, dictionary),
  };
}

function columnarEvents(
  batch: ColumnarBatch,
  seqs: number[],
  dictionary: Dictionary | undefined,
): KerbEvent[] {
  if (dictionary === undefined)
    throw new RangeError(`dictionary ${batch.dict} of ${batch.gw} has not arrived`);
  const xs = pairs<ReadingValue>(batch.xs);
  const q = pairs<number>(batch.q);
  const qd = pairs<QualityDetail>(batch.qd);
  const rt = pairs<number>(batch.rt);
  const ck = pairs<number>(batch.ck);
  const mono = pairs<number>(batch.mono);
  const ev = pairs<OtherEvent>(batch.ev);
  const events: KerbEvent[] = [];
  let timeMs = batch.t0;
  let recordedMs = batch.r0 ?? batch.t0;
  let clock: ClockState = "synced";
  let point = 0;
  let position = 0;
  for (let i = 0; i < batch.n; i++) {
    timeMs += batch.dt[i] ?? 0;
    recordedMs += batch.rd?.[i] ?? 0;
    clock = clockStates[ck.get(i) ?? clockStates.indexOf(clock)] ?? "unsynced";
    const base = {
      gateway: batch.gw,
      epoch: batch.ep,
      seq: seqs[i] ?? 0,
      timeMs,
      recordedMs,
      clock,
      ...(mono.has(i) ? { monoMs: Number(mono.get(i)) } : {}),
    };
    const other = ev.get(i);
    if (other !== undefined) {
      if (!eventKinds.includes(other.kind)) throw new RangeError(`event kind ${other.kind} is not known`);
      const profile = other.profile ?? dictionary.deviceById(other.device)?.profile;
      events.push({
        ...base,
        kind: other.kind,
        device: other.device,
        ...profiled(profile),
        data: other.data,
      });
      continue;
    }
    const readings: EventReading[] = [];
    let device = "";
    let profile = "";
    for (let j = 0; j < (batch.k[i] ?? 0); j++, position++) {
      point += batch.p[position] ?? 0;
      const meaning = dictionary.point(point);
      if (meaning === undefined)
        throw new RangeError(`point index ${point} is not in dictionary ${batch.dict}`);
      device = meaning.device.id;
      profile = meaning.device.profile;
      const detail = qd.get(position);
      readings.push({
        point: meaning.point.name,
        unit: meaning.point.unit,
        value: batch.x[position] ?? xs.get(position) ?? null,
        quality: q.get(position) ?? 0,
        ...(detail === undefined ? {} : { detail }),
        timeMs: timeMs + (rt.get(position) ?? 0),
      });
    }
    events.push({ ...base, kind: "telemetry", device, ...profiled(profile), readings });
  }
  return events;
}

function profiled(profile: string | undefined): { profile?: string } {
  return profile === undefined || profile === "" ? {} : { profile };
}
