import { closeSync, existsSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * What a host notes about itself while it runs, for the supervisor to read after its death: a few numbers in a file
 * without a name that both have open. A write needs no answer and outlives whatever kills the process.
 *
 * Layout: the numbers of `fields` as f64 in the machine's own order, then the text of an uncaught error.
 */

const fields = [
  "running",
  "account",
  "accountBytes",
  "leader",
  "leaderBytes",
  "rssAtSwitch",
  "rssAtStart",
  "steps",
] as const;

/** Numbers that a host notes of itself. A device is its dictionary index; -1 is none. */
export interface Figures {
  /** The device whose code runs at this moment, in a call or in anything that a call has left behind. */
  running: number;
  /** The device whose code ran last, and how much memory has grown while its code was the last to run. */
  account: number;
  accountBytes: number;
  /** The device with the largest growth. */
  leader: number;
  leaderBytes: number;
  /** Memory when `account` changed, and when the notes began; 0 = not looked at. */
  rssAtSwitch: number;
  rssAtStart: number;
  /** Counts what the host has begun to run. */
  steps: number;
}

export interface Note extends Figures {
  /** First lines of the error that nobody has caught. */
  fault: string | undefined;
}

export const noFigures: Readonly<Figures> = {
  running: -1,
  account: -1,
  accountBytes: 0,
  leader: -1,
  leaderBytes: 0,
  rssAtSwitch: 0,
  rssAtStart: 0,
  steps: 0,
};

const textAt = fields.length * Float64Array.BYTES_PER_ELEMENT;
const textBytesMax = 400;

/** Writes the notes of one host. */
export class NoteWriter {
  readonly #descriptor: number;
  readonly #numbers = new Float64Array(fields.length);
  readonly #bytes = new Uint8Array(this.#numbers.buffer);

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(figures: Figures): void {
    const numbers = this.#numbers;
    for (let i = 0; i < fields.length; i++) numbers[i] = figures[fields[i] as keyof Figures];
    this.#put(this.#bytes, 0);
  }

  fault(text: string): void {
    this.#put(Buffer.from(text).subarray(0, textBytesMax), textAt);
  }

  #put(bytes: Uint8Array, at: number): void {
    try {
      writeSync(this.#descriptor, bytes, 0, bytes.length, at);
    } catch {
      // A host without its notes is still a host.
    }
  }
}

/** The supervisor's end: a file for one host, whichever process runs it. */
export class NoteFile {
  #descriptor = unnamedFile();

  /** Inherited by the host; undefined when no file could be made, or it is closed: then there is nothing to read. */
  get descriptor(): number | undefined {
    return this.#descriptor;
  }

  /** Before each start: nothing is known. */
  clear(): void {
    if (this.#descriptor === undefined) return;
    new NoteWriter(this.#descriptor).write(noFigures);
    writeSync(this.#descriptor, Buffer.alloc(textBytesMax), 0, textBytesMax, textAt);
  }

  read(): Note {
    const bytes = Buffer.alloc(textAt + textBytesMax);
    if (this.#descriptor === undefined || readSync(this.#descriptor, bytes, 0, bytes.length, 0) < textAt)
      return { ...noFigures, fault: undefined };
    const numbers = new Float64Array(bytes.buffer, bytes.byteOffset, fields.length);
    const text = bytes.toString("utf8", textAt).split("\0")[0] ?? "";
    const figures = Object.fromEntries(fields.map((name, i) => [name, numbers[i]])) as unknown as Figures;
    return { ...figures, fault: text === "" ? undefined : text };
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** In memory where the machine has such a folder: a host that is watched closely writes thousands of times a second. */
function unnamedFile(): number | undefined {
  for (const folder of ["/dev/shm", tmpdir()].filter((path) => existsSync(path))) {
    const path = join(folder, `kerb-host-${process.pid}-${crypto.randomUUID()}`);
    try {
      const descriptor = openSync(path, "wx+", 0o600);
      rmSync(path);
      return descriptor;
    } catch {
      // Full or not ours: the next folder.
    }
  }
  return undefined;
}
