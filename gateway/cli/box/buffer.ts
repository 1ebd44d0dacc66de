import { closeSync, fsyncSync, openSync, renameSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { eventId } from "../../event.ts";
import type { Inflow } from "../../outbox/commits.ts";
import type { Unread } from "../../outbox/still-events.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { type Box, type BoxOptions, budgetOf, findBox, isRunning, openStill, runsError } from "./box.ts";
import { boxWords } from "./box-words.ts";
import { shortTime } from "./gaps.ts";
import { fileError } from "../files.ts";
import { checkFolder } from "../out-file.ts";
import { hint, printData, printLines } from "../output.ts";
import { askOnce } from "../site.ts";
import { grouped, span } from "../../text.ts";

/** What `kerb buffer --json` gives. */
export interface BufferStatus {
  gateway: string;
  /** The gateway was asked; else its queue file was read. */
  running: boolean;
  /** Events that are kept, by class: urgent ones, and telemetry. */
  rows: { event: number; live: number };
  usedBytes: number;
  /** The size of the file: it keeps the one it once had. */
  bytes: number;
  bytesMax?: number;
  oldestMs?: number;
  diskFreeBytes?: number;
  /** Only a running gateway has one. */
  inflow?: Inflow;
  /** Until the oldest telemetry is dropped, at the present inflow. */
  outageMs?: number;
}

/** Above it the oldest telemetry is dropped. */
const evictAbove = 0.9;
/** What a short disk keeps free beside the queue's log. */
const reserveBytes = 4 * 1024 * 1024;

/** How long an outage of the IOC may still last before something is dropped. */
function outageOf(status: BufferStatus): number | undefined {
  const { usedBytes, bytes, bytesMax, diskFreeBytes = Infinity, inflow } = status;
  if (bytesMax === undefined || inflow === undefined || inflow.bytesPerS <= 0) return undefined;
  const ofDisk = bytes - usedBytes + Math.max(0, diskFreeBytes - reserveBytes);
  const room = Math.max(0, Math.min(evictAbove * bytesMax - usedBytes, ofDisk));
  return Math.round((1000 * room) / inflow.bytesPerS);
}

/** The buffer of a running gateway, from its status. */
export function bufferOf({ gateway, outbox, diskFreeBytes }: GatewayStatus): BufferStatus {
  const { books, bytes, bytesMax, fill, oldestMs, inflow } = outbox;
  const status: BufferStatus = {
    gateway: gateway.id,
    running: true,
    rows: { event: books.event.kept, live: books.live.kept },
    usedBytes: Math.round(fill * bytesMax),
    bytes,
    bytesMax,
    ...(oldestMs === undefined ? {} : { oldestMs }),
    ...(diskFreeBytes === undefined ? {} : { diskFreeBytes }),
    inflow,
  };
  const outageMs = outageOf(status);
  return { ...status, ...(outageMs === undefined ? {} : { outageMs }) };
}

function stillBuffer(box: Box): BufferStatus {
  const queue = openStill(box);
  try {
    const { rows, bytes, freeBytes, oldestMs } = queue.figures();
    const bytesMax = budgetOf(box);
    const { bavail, bsize } = statfsSync(box.folder);
    return {
      gateway: queue.gateway,
      running: false,
      rows,
      usedBytes: bytes - freeBytes,
      bytes,
      ...(bytesMax === undefined ? {} : { bytesMax }),
      ...(oldestMs === undefined ? {} : { oldestMs }),
      diskFreeBytes: bavail * bsize,
    };
  } finally {
    queue.close();
  }
}

const sizes = ["B", "KiB", "MiB", "GiB"];

/** "812 B", "4.1 KiB", "63 MiB". */
export function byteSize(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < sizes.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${grouped(size, unit > 0 && size < 10 ? 1 : 0)} ${sizes[unit]}`;
}

/** Longer ones than `span` are for planning: "9 h 40 min". */
function longSpan(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  if (hours >= 48) return `${grouped(hours / 24)} d`;
  return hours === 0 ? span(ms) : `${hours} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
}

export function bufferLines(status: BufferStatus, language: Language, nowMs: number): string[] {
  const words = boxWords[language].buffer;
  const { rows, usedBytes, bytesMax, oldestMs, inflow, outageMs, diskFreeBytes } = status;
  const share =
    bytesMax === undefined ? "" : words.share(((100 * usedBytes) / bytesMax).toFixed(1), byteSize(bytesMax));
  const isIdle = inflow !== undefined && inflow.eventsPerS <= 0;
  return [
    words.kept(grouped(rows.event + rows.live), byteSize(usedBytes)) + share,
    `${words.class} ${words.urgent} ${grouped(rows.event)}, ${words.telemetry} ${grouped(rows.live)}`,
    oldestMs === undefined ? words.empty : words.oldest(span(nowMs - oldestMs), shortTime(oldestMs)),
    ...(inflow === undefined
      ? []
      : [isIdle ? words.nothingIn : words.inflow(grouped(inflow.eventsPerS, 1), byteSize(inflow.bytesPerS))]),
    ...(outageMs === undefined ? [] : [outageMs === 0 ? words.full : words.outage(longSpan(outageMs))]),
    ...(diskFreeBytes === undefined ? [] : [words.disk(byteSize(diskFreeBytes))]),
  ];
}

/** `kerb buffer`: how full the queue is, and how long an outage it can still take. */
export async function buffer(options: BoxOptions): Promise<number> {
  const box = findBox(options);
  const isAlive = await isRunning(box);
  const found = isAlive
    ? bufferOf(await askOnce<GatewayStatus>(box.socket, { verb: "status" }))
    : stillBuffer(box);
  if (options.json === true) printData("buffer", found);
  else {
    if (!isAlive) hint(boxWords[box.language].stillNote);
    printLines(bufferLines(found, box.language, Date.now()));
  }
  return exitCodes.ok;
}

/** What `kerb buffer export --json` gives. */
export interface BufferExport {
  gateway: string;
  file: string;
  events: number;
  bytes: number;
  /** Events that are kept and could not be read. */
  damaged: number;
  /** Which those are. */
  unread: Unread[];
  /** The file still tells which numbers it had; else `unread` holds only rows that were met. */
  counted: boolean;
}

/** Writes all events that can be read to a new file, which has its name only when it is whole. */
function writeEvents(box: Box, file: string): BufferExport {
  const queue = openStill(box);
  const part = `${file}.part`;
  let [events, unread]: [number, Unread[] | undefined] = [0, undefined];
  try {
    const target = openSync(part, "w", 0o600);
    try {
      for (const step of queue.events(queue.gateway)) {
        const lines = step.events.map((event) => `${JSON.stringify({ id: eventId(event), ...event })}\n`);
        writeSync(target, lines.join(""));
        events += step.events.length;
        if (step.isLast === true) unread = step.unread;
      }
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
    renameSync(part, file);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? error
      : fileError(file, error, "write", box.language);
  } finally {
    rmSync(part, { force: true });
    queue.close();
  }
  return {
    gateway: queue.gateway,
    file,
    events,
    bytes: statSync(file).size,
    damaged: (unread ?? []).reduce((sum, { from, to }) => sum + to - from + 1, 0),
    unread: unread ?? [],
    counted: unread !== undefined,
  };
}

const rangesShown = 20;

/** What was written, and each range of numbers that could not be read, with the reason. */
export function exportLines(
  { events, file, unread, damaged, counted }: BufferExport,
  language: Language,
): string[] {
  const words = boxWords[language].buffer;
  const hidden = unread.length - rangesShown;
  return [
    words.exported(grouped(events), shownFile(file)),
    ...(damaged > 0 ? [words.unread(grouped(damaged))] : []),
    ...unread.slice(0, rangesShown).map(({ epoch, from, to, reason }) => {
      const numbers = from === to ? `${from}` : `${from}-${to}`;
      return `  ${words.range(epoch, numbers)}  ${words.reasons[reason]}`;
    }),
    ...(hidden > 0 ? [`  ${words.moreRanges(hidden)}`] : []),
    ...(counted ? [] : [words.uncounted]),
    ...(damaged > 0 || !counted ? [words.unreadCure] : []),
  ];
}

/** `kerb buffer export FILE`: the kept events of a box that does not run, one JSON object a line. */
export async function bufferExport(file: string, options: BoxOptions): Promise<number> {
  const box = findBox(options);
  if (await isRunning(box)) throw runsError(box);
  checkFolder(file, box.language);
  const found = writeEvents(box, file);
  if (options.json === true) printData("buffer-export", found);
  else printLines(exportLines(found, box.language));
  return found.damaged > 0 || !found.counted ? exitCodes.findings : exitCodes.ok;
}
