import Database from "better-sqlite3";
import type { KerbEvent } from "../../gateway/event.ts";
import { decodeBatch } from "../../gateway/receiver/decode.ts";
import { parseDictionary } from "../../gateway/receiver/messages.ts";
import type { Dictionary } from "../../gateway/uplink/encoding.ts";
import { deviceId, numberPoint, pointsPerDevice } from "./device-shape.ts";
import type { DeviceLog } from "./farm.ts";

/** One poll as it lies in the receiver's database, beside what the farm knows of it. Times are wall-clock ms. */
export interface Arrival {
  device: number;
  lane: string;
  /** When the register that carries the number took this value; NaN where it changes with each poll. */
  changedMs: number;
  answeredMs: number;
  /** What the event says. */
  eventMs: number;
  acceptedMs: number;
  /** When the receiver had it in its hands, before its commit. */
  receivedMs: number;
}

export interface Verdict {
  arrivals: Arrival[];
  /** Polls that the farm answered and the receiver does not have. */
  lost: number;
  /** Of the missing ones those that the gateway itself counts as failed: it never accepted them. */
  failed: number;
  twice: number;
  outOfOrder: number;
  /** Readings with a quality other than good, and events without all 100. */
  notGood: number;
  messages: number;
  payloadBytes: number;
  duplicateEvents: number;
}

interface BatchRow {
  lane: string;
  dict: string;
  received_ms: number;
  take: string | null;
  body: Buffer;
}

interface Stored {
  seq: number;
  number: number;
  lane: string;
  eventMs: number;
  acceptedMs: number;
  receivedMs: number;
}

/**
 * Reads the receiver's own database after it has stopped and holds it against the farm's log. `failed[i]`: polls
 * of device i that the gateway reports as failed.
 */
export function verify(file: string, log: readonly DeviceLog[], failed: readonly number[]): Verdict {
  const database = new Database(file, { readonly: true });
  const verdict: Verdict = {
    arrivals: [],
    lost: 0,
    failed: 0,
    twice: 0,
    outOfOrder: 0,
    notGood: 0,
    messages: 0,
    payloadBytes: 0,
    duplicateEvents: 0,
  };
  try {
    const stored = readStored(database, log.length, verdict);
    verdict.duplicateEvents = (
      database.prepare("SELECT sum(duplicate_events) AS n FROM gateway").get() as { n: number }
    ).n;
    log.forEach((device, index) => {
      compare(index, device, stored[index] ?? [], failed[index] ?? 0, verdict);
    });
  } finally {
    database.close();
  }
  return verdict;
}

function readStored(database: Database.Database, devices: number, verdict: Verdict): Stored[][] {
  const stored = Array.from({ length: devices }, (): Stored[] => []);
  const indexes = new Map(stored.map((_, index) => [deviceId(index), index]));
  const dictionaries = new Map<string, Dictionary>();
  for (const { hash, body } of database.prepare("SELECT hash, body FROM dictionary").all() as {
    hash: string;
    body: Buffer;
  }[]) {
    dictionaries.set(hash, parseDictionary(body));
  }
  for (const row of database
    .prepare("SELECT lane, dict, received_ms, take, body FROM batch ORDER BY ep, first")
    .iterate()) {
    const { lane, dict, received_ms: receivedMs, take, body } = row as BatchRow;
    verdict.messages++;
    verdict.payloadBytes += body.length;
    const ranges = take === null ? undefined : (JSON.parse(take) as [number, number][]);
    for (const event of decodeBatch(body).events(dictionaries.get(dict))) {
      if (ranges?.some(([first, last]) => event.seq >= first && event.seq <= last) === false) continue;
      const index = event.kind === "telemetry" ? indexes.get(event.device) : undefined;
      if (index !== undefined) stored[index]?.push(storedPoll(event, lane, receivedMs, verdict));
    }
  }
  for (const list of stored) list.sort((a, b) => a.seq - b.seq);
  return stored;
}

function storedPoll(event: KerbEvent, lane: string, receivedMs: number, verdict: Verdict): Stored {
  const readings = event.readings ?? [];
  if (readings.length !== pointsPerDevice) verdict.notGood++;
  for (const reading of readings) if (reading.quality !== 0) verdict.notGood++;
  const reading = readings.find(({ point }) => point === numberPoint);
  return {
    seq: event.seq,
    number: typeof reading?.value === "number" ? reading.value : Number.NaN,
    lane,
    eventMs: reading?.timeMs ?? event.timeMs,
    acceptedMs: event.recordedMs,
    receivedMs,
  };
}

/** The polls in the order of their event numbers must tell the numbers that the farm told, in its order. */
function compare(
  index: number,
  device: DeviceLog,
  stored: readonly Stored[],
  failed: number,
  verdict: Verdict,
): void {
  let next = 0;
  let missing = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (const { number, lane, eventMs, acceptedMs, receivedMs } of stored) {
    if (Number.isNaN(number)) continue;
    if (number < before) verdict.outOfOrder++;
    before = number;
    const found = device.number.indexOf(number, next);
    if (found < 0) {
      verdict.twice++;
      continue;
    }
    missing += found - next;
    next = found + 1;
    verdict.arrivals.push({
      device: index,
      lane,
      changedMs: device.changedMs + 1000 * number,
      answeredMs: device.answeredMs[found] ?? Number.NaN,
      eventMs,
      acceptedMs,
      receivedMs,
    });
  }
  missing += device.number.length - next;
  const excused = Math.min(missing, failed);
  verdict.failed += excused;
  verdict.lost += missing - excused;
}
