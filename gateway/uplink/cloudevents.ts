import {
  EventReader,
  eventKinds,
  quality,
  type ClockState,
  type EventKind,
  type EventReading,
  type KerbEvent,
  type QualityDetail,
  type ReadingValue,
} from "../event.ts";
import type { BatchHeader, DecodedBatch, Row } from "./encoding.ts";

/**
 * The self-describing encoding of kerb contract v1: a CloudEvents 1.0 JSON batch, one CloudEvent per event.
 * Source: CloudEvents 1.0.2, JSON event format clause 4 (batch), extensions `sequence` and `recordedtime`.
 */
export const contentType = "application/cloudevents-batch+json";

/** The member of `data` that holds the object of a kind. */
const dataMember: Record<Exclude<EventKind, "telemetry">, string> = {
  state: "state",
  alarm: "alarm",
  transaction: "transaction",
  "command-result": "command",
  "device-status": "status",
  gap: "gap",
};

interface Measurement {
  property: string;
  value: ReadingValue;
  unit: string;
  quality: { status: "good" | "uncertain" | "bad"; substituted?: true } & QualityDetail;
  time?: string;
}

const reader = new EventReader();

/** Renders rows of one epoch into the JSON text of one batch. */
export function encodeCloudEvents(header: BatchHeader, rows: readonly Row[]): string {
  return JSON.stringify(rows.map((row) => cloudEvent(header, row)));
}

function cloudEvent(header: BatchHeader, row: Row): Record<string, unknown> {
  reader.open(row.body);
  const device = header.dictionary.device(reader.device);
  const data: Record<string, unknown> = {};
  if (device !== undefined && device.profile !== "") data["profile"] = device.profile;
  data["clock"] = reader.clock;
  if (reader.clock === "unsynced") data["mono"] = Math.round(reader.monoMs);
  if (reader.kind === "telemetry") data["measurements"] = measurements(header);
  else data[dataMember[reader.kind]] = reader.object();
  return {
    specversion: "1.0",
    id: `${header.gateway}:${header.epoch}:${row.seq}`,
    source: `urn:kerb:${header.city}:${header.gateway}:${device?.id ?? ""}`,
    type: `kerb.${reader.kind}.v1`,
    time: new Date(reader.timeMs).toISOString(),
    recordedtime: new Date(row.recordedMs).toISOString(),
    sequence: `${row.seq}`.padStart(20, "0"),
    datacontenttype: "application/json",
    dataschema: `urn:kerb:schema:${reader.kind}:1`,
    data,
  };
}

function measurements(header: BatchHeader): Measurement[] {
  const list: Measurement[] = [];
  while (reader.next()) {
    const meaning = header.dictionary.point(reader.point)?.point;
    const status =
      (reader.quality & quality.bad) !== 0
        ? "bad"
        : (reader.quality & quality.uncertain) !== 0
          ? "uncertain"
          : "good";
    list.push({
      property: meaning?.name ?? `point.${reader.point}`,
      value: reader.value(),
      unit: meaning?.unit ?? "1",
      quality: {
        status,
        ...((reader.quality & quality.substituted) === 0 ? {} : { substituted: true as const }),
        ...reader.detail,
      },
      ...(reader.timeOffsetMs === 0
        ? {}
        : { time: new Date(reader.timeMs + reader.timeOffsetMs).toISOString() }),
    });
  }
  return list;
}

/** As it comes from outside: nothing but the shape of `data` is believed. */
interface CloudEvent {
  id: unknown;
  source: unknown;
  type: unknown;
  time: string;
  recordedtime?: string;
  data: Record<string, unknown>;
}

/** Decodes one CloudEvent or a batch of one gateway and epoch. Throws `RangeError` with the attribute at fault. */
export function decodeCloudEvents(json: unknown): DecodedBatch {
  const list = (Array.isArray(json) ? json : [json]) as CloudEvent[];
  const events = list.map(decodeOne);
  const first = events[0];
  if (first === undefined) throw new RangeError("an empty batch");
  if (events.some((event) => event.gateway !== first.gateway || event.epoch !== first.epoch)) {
    throw new RangeError("a batch holds the events of one gateway and one epoch");
  }
  return {
    gateway: first.gateway,
    epoch: first.epoch,
    seqs: events.map((event) => event.seq),
    dictionary: undefined,
    events: () => events,
  };
}

function decodeOne(cloud: CloudEvent): KerbEvent {
  const [gateway, epoch, seq] = String(cloud.id).split(":");
  if (gateway === undefined || !/^\d{1,15}$/.test(epoch ?? "") || !/^\d{1,16}$/.test(seq ?? "")) {
    throw new RangeError(`id "${String(cloud.id)}" is not gateway:epoch:seq`);
  }
  const kind = String(cloud.type).split(".")[1] as EventKind;
  if (!eventKinds.includes(kind)) throw new RangeError(`type "${String(cloud.type)}" is not known`);
  const timeMs = milliseconds(cloud.time, "time");
  const { profile, clock, mono } = cloud.data as { profile?: string; clock?: ClockState; mono?: number };
  const event: KerbEvent = {
    gateway,
    epoch: Number(epoch),
    seq: Number(seq),
    kind,
    device: String(cloud.source).split(":").slice(4).join(":"),
    timeMs,
    recordedMs: cloud.recordedtime === undefined ? timeMs : milliseconds(cloud.recordedtime, "recordedtime"),
    clock: clock ?? "holdover",
  };
  if (profile !== undefined) event.profile = profile;
  if (typeof mono === "number") event.monoMs = mono;
  if (kind === "telemetry") {
    const unsynced = event.clock === "unsynced" ? quality.clockUnsynced : 0;
    event.readings = ((cloud.data["measurements"] ?? []) as Measurement[]).map((m) =>
      decodeMeasurement(m, timeMs, unsynced),
    );
  } else event.data = (cloud.data[dataMember[kind]] ?? {}) as Record<string, unknown>;
  return event;
}

function decodeMeasurement(measurement: Measurement, timeMs: number, unsynced: number): EventReading {
  const { status, substituted, ...detail } = measurement.quality;
  const bits =
    (status === "bad" ? quality.bad : status === "uncertain" ? quality.uncertain : 0) |
    (substituted === true ? quality.substituted : 0) |
    unsynced;
  return {
    point: measurement.property,
    unit: measurement.unit,
    value: measurement.value,
    quality: bits,
    ...(Object.keys(detail).length === 0 ? {} : { detail }),
    timeMs: measurement.time === undefined ? timeMs : milliseconds(measurement.time, "time"),
  };
}

function milliseconds(text: string, attribute: string): number {
  const value = Date.parse(text);
  if (!Number.isFinite(value)) throw new RangeError(`${attribute} "${text}" is not an RFC 3339 time`);
  return value;
}
