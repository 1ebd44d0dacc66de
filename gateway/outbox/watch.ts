import {
  copyFileSync,
  fstatSync,
  fsyncSync,
  openSync,
  closeSync,
  readdirSync,
  renameSync,
  statSync,
} from "node:fs";
import { putAside } from "./beside.ts";

/** `journal_size_limit`: SQLite cuts the log back to this by itself. */
const logBytesLimit = 1_048_576;

interface Seen {
  device: number;
  inode: number;
  bytes: number;
}

export type Meddling = "log-gone" | "file-gone" | "file-cut";

/**
 * Sees when somebody deletes, replaces or shortens the queue file or its log under the open handle, of which
 * SQLite itself notices nothing: it goes on writing into a file that has no name any more.
 */
export class FileWatch {
  readonly #path: string;
  #file: Seen | undefined;
  #log: Seen | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#file = look(path);
    this.#log = look(`${path}-wal`);
  }

  /** What has happened since the last look; undefined is nothing. Throws when the file system does not answer. */
  check(): Meddling | undefined {
    const file = look(this.#path);
    const log = look(`${this.#path}-wal`);
    if (!isSame(this.#file, file)) return "file-gone";
    if (this.#file !== undefined && file !== undefined && file.bytes < this.#file.bytes) return "file-cut";
    if (this.#log !== undefined) {
      if (!isSame(this.#log, log)) return "log-gone";
      if (log !== undefined && log.bytes < Math.min(this.#log.bytes, logBytesLimit)) return "log-gone";
    }
    this.#file = file;
    this.#log = log;
    return undefined;
  }

  /**
   * Gives the file that has lost its name a new one: its bytes are copied from the open handle, and what stands
   * in its place is put aside. Call it after a checkpoint, then close the handle.
   */
  rescue(): void {
    const descriptor = this.descriptor();
    if (descriptor === undefined) return;
    const copy = `${this.#path}.new`;
    copyFileSync(`/proc/self/fd/${descriptor}`, copy);
    const handle = openSync(copy, "r+");
    fsyncSync(handle);
    closeSync(handle);
    putAside(this.#path, "replaced");
    renameSync(copy, this.#path);
  }

  /** Our own open handle on the file that was there at the start. */
  descriptor(): number | undefined {
    return readdirSync("/proc/self/fd")
      .map(Number)
      .find((descriptor) => {
        try {
          const { dev, ino, nlink } = fstatSync(descriptor);
          return nlink >= 0 && dev === this.#file?.device && ino === this.#file.inode;
        } catch {
          return false;
        }
      });
  }
}

function look(path: string): Seen | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : { device: found.dev, inode: found.ino, bytes: found.size };
}

function isSame(one: Seen | undefined, other: Seen | undefined): boolean {
  return one?.device === other?.device && one?.inode === other?.inode;
}
