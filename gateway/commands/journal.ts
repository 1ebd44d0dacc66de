import { type FileHandle, mkdir, open, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { ClockState } from "../event.ts";
import {
  chainStart,
  type Entry,
  type Happening,
  headFile,
  lineOf,
  linesOf,
  readHead,
  readLine,
  segmentFile,
  segmentsOf,
  type Tip,
} from "./journal-lines.ts";

/**
 * The journal of commands, which is their audit and the desk's memory: append-only, hash-chained, bounded. A record is
 * on the disk (fdatasync) when `append` resolves; those that wait together share one sync.
 */

/** The time as the journal notes it; `boot` names the boot that `monoMs` counts in. */
export interface Moment {
  wallMs: number;
  monoMs: number;
  clock: ClockState;
  boot: string;
}

export interface JournalOptions {
  folder: string;
  now: () => Moment;
  /** Every record: at the start those that are there, then each when it is on the disk, in their order. */
  each?: (entry: Entry) => void;
  /** What a new segment begins with, so that no older one is needed to know what is still under way. */
  standing?: () => Record<string, unknown>;
  segmentBytesMax?: number;
  segmentsMax?: number;
  /** Where nothing can be written at the start: true opens all the same, and `opened` goes before the first record. */
  opensUnrecorded?: (error: unknown) => boolean;
}

interface Waiting {
  entry: Omit<Entry, "n">;
  resolve: (entry: Entry) => void;
  reject: (error: Error) => void;
}

const defaultSegmentBytesMax = 1024 * 1024;
const defaultSegmentsMax = 16;
/** Longest time that a record waits which nobody waits for. */
const lazyMs = 5000;
/** Records in memory while the disk hangs. */
const queueMax = 4096;

/** What was wrong at the end of the journal when it was opened. */
interface Torn {
  /** Bytes that were cut off. */
  bytes: number;
  /** Records that had been on the disk, and are not any more. */
  lost: number;
  /** A line that cannot be read, with more behind it: it stays as it is, and a new segment begins. */
  broken?: string;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #bytesMax: number;
  readonly #kept: number;
  #tip: Tip = chainStart;
  #segment = 0;
  #size = 0;
  #file: FileHandle | undefined;
  #head: FileHandle | undefined;
  #queue: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** Is not on the disk yet. */
  #opened: Happening | undefined;

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.#bytesMax = options.segmentBytesMax ?? defaultSegmentBytesMax;
    this.#kept = options.segmentsMax ?? defaultSegmentsMax;
  }

  /**
   * Opens a folder (made where there is none), cuts off a torn end and declares it in the record `opened`. Rejects where
   * the folder cannot be read or written.
   */
  static async open(options: JournalOptions, opened: Record<string, unknown>): Promise<Journal> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    const journal = new Journal(options);
    const torn = await journal.#read();
    const happening = { ev: "opened", boot: options.now().boot, ...opened, ...torn };
    try {
      await journal.append(happening);
    } catch (error) {
      if (options.opensUnrecorded?.(error) !== true) throw error;
      journal.#opened = happening;
    }
    return journal;
  }

  /** Resolves when the record is on the disk; rejects when it cannot be, and then it is not. */
  append(happening: Happening): Promise<Entry> {
    const kept = this.#push(happening);
    this.#flushing ??= this.#flush();
    return kept;
  }

  /** A record that nobody waits for: it goes to the disk with the next one, or after 5 s. Failures are not told. */
  note(happening: Happening): void {
    this.#push(happening).catch(() => {});
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flushing ??= this.#flush();
    }, lazyMs).unref();
  }

  /** Everything that was appended is on the disk, or has failed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await (this.#flushing ??= this.#flush());
    await this.#file?.close();
    await this.#head?.close();
    this.#file = undefined;
    this.#head = undefined;
  }

  #push(happening: Happening): Promise<Entry> {
    if (this.#isClosed) return Promise.reject(new Error("the journal is closed"));
    if (this.#queue.length >= queueMax) return Promise.reject(new Error("the journal's disk hangs"));
    const entry = this.#entry(happening);
    return new Promise((resolve, reject) => void this.#queue.push({ entry, resolve, reject }));
  }

  #entry(happening: Happening): Omit<Entry, "n"> {
    const { wallMs, monoMs, clock } = this.#options.now();
    return { at: Math.round(wallMs), mono: Math.round(monoMs), clock, ...happening };
  }

  /** What is still to be said of the start goes before everything else. */
  #begin(): void {
    if (this.#opened === undefined) return;
    const resolve = () => {
      this.#opened = undefined;
    };
    this.#queue.unshift({ entry: this.#entry(this.#opened), resolve, reject: () => {} });
  }

  async #flush(): Promise<void> {
    // Whoever appends in the same turn shares the sync.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const taken: Waiting[] = [];
      this.#begin();
      try {
        const begun = await this.#room();
        if (begun !== undefined) this.#queue.unshift(begun);
        const { text, entries, tip } = this.#fill(taken);
        await this.#commit(text, tip);
        for (const entry of entries) this.#options.each?.(entry);
        taken.forEach(({ resolve }, i) => resolve(entries[i]!));
      } catch (error) {
        // Nothing comes onto the record before that of the start.
        if (taken.length === 0 || this.#opened !== undefined) taken.push(...this.#queue.splice(0));
        await this.#file?.close().catch(() => {});
        this.#file = undefined;
        for (const { reject } of taken) reject(error as Error);
      }
    }
    this.#flushing = undefined;
  }

  /** Begins a new segment where the next record has no room; what an empty one is to begin with. */
  async #room(): Promise<Waiting | undefined> {
    const [next] = this.#queue;
    const sample =
      next === undefined ? "" : lineOf({ ...next.entry, n: this.#tip.n } as Entry, this.#tip.hash).line;
    // Its number may be longer than that of the one before.
    const bytes = Buffer.byteLength(sample) + 8;
    if (this.#segment === 0 || (this.#size > 0 && this.#size + bytes > this.#bytesMax)) {
      await this.#file?.close();
      this.#file = undefined;
      this.#segment++;
      this.#size = 0;
    }
    const { standing, now } = this.#options;
    if (this.#size > 0 || this.#tip.n === 0 || standing === undefined) return undefined;
    const entry = this.#entry({ ev: "standing", boot: now().boot, ...standing() });
    return { entry, resolve: () => {}, reject: () => {} };
  }

  /** As many records as the segment has room for, at least one. */
  #fill(taken: Waiting[]): { text: string; entries: Entry[]; tip: Tip } {
    let { n, hash } = this.#tip;
    let text = "";
    let size = this.#size;
    const entries: Entry[] = [];
    // What is under way may fill a segment alone: one record beside it is always taken.
    const least = this.#size === 0 ? 2 : 1;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const lost = typeof next.entry["lost"] === "number" ? next.entry["lost"] : 0;
      const entry = { ...next.entry, n: n + 1 + lost } as Entry;
      const { line, hash: own } = lineOf(entry, hash);
      const bytes = Buffer.byteLength(line);
      if (entries.length >= least && size + bytes > this.#bytesMax) break;
      text += line;
      size += bytes;
      n = entry.n;
      hash = own;
      entries.push(entry);
      taken.push(next);
      this.#queue.shift();
    }
    return { text, entries, tip: { n, hash } };
  }

  async #commit(text: string, tip: Tip): Promise<void> {
    const { folder } = this.#options;
    const isFresh = this.#size === 0;
    if (this.#file === undefined) {
      const path = join(folder, segmentFile(this.#segment));
      this.#file = await open(path, "a", 0o600);
      // A power cut, or an attempt that failed, may have left a part of its lines.
      if ((await this.#file.stat()).size !== this.#size) await truncate(path, this.#size);
    }
    await this.#file.appendFile(text);
    await this.#file.datasync();
    if (isFresh) await syncFolder(folder);
    this.#size += Buffer.byteLength(text);
    this.#tip = tip;
    await this.#writeHead().catch(() => {});
    if (isFresh) await this.#dropOldest();
  }

  /** Never synced by itself: it may be older than the journal, and is never newer. */
  async #writeHead(): Promise<void> {
    this.#head ??= await open(join(this.#options.folder, headFile), "r+").catch(() =>
      open(join(this.#options.folder, headFile), "w", 0o600),
    );
    const { n, hash } = this.#tip;
    const text = JSON.stringify({ segment: this.#segment, kept: this.#kept, n, hash });
    await this.#head.write(`${text.padEnd(159)}\n`, 0);
  }

  async #dropOldest(): Promise<void> {
    const { folder } = this.#options;
    for (const segment of (await segmentsOf(folder)).slice(0, -this.#kept))
      await rm(join(folder, segmentFile(segment)), { force: true });
  }

  async #read(): Promise<Partial<Torn>> {
    const { folder, each = () => {} } = this.#options;
    let whole = 0;
    let broken: { offset: number; place: string } | undefined;
    let isBehind = false;
    const segments = await segmentsOf(folder);
    for (const segment of segments) {
      [this.#segment, whole, broken, isBehind] = [segment, 0, undefined, false];
      for await (const { text, line, offset, isWhole } of linesOf(folder, segment)) {
        const entry = isWhole ? readLine(text) : undefined;
        if (entry === undefined) {
          broken ??= { offset, place: `${segmentFile(segment)}:${line}` };
          continue;
        }
        const { n, hash } = entry;
        this.#tip = { n, hash };
        isBehind ||= broken !== undefined;
        whole = offset + Buffer.byteLength(text) + 1;
        each(entry);
      }
      this.#size = whole;
    }
    const head = await readHead(folder);
    const lost = Math.max(0, (head?.n ?? 0) - this.#tip.n);
    const torn: Partial<Torn> = lost === 0 ? {} : { lost };
    if (broken === undefined) return torn;
    if (isBehind) {
      // Records stand behind it: whatever it is, it is no torn end, and not ours to cut.
      this.#size = Number.MAX_SAFE_INTEGER;
      return { ...torn, broken: broken.place };
    }
    // The first record cuts it off.
    const { size } = await stat(join(folder, segmentFile(this.#segment)));
    return { ...torn, bytes: size - this.#size };
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
