import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What a block device has been told to write since it was made. Source: the kernel's Documentation/block/stat.rst. */
export interface DeviceCounts {
  writes: number;
  bytes: number;
  flushes: number;
}

/** FS_IOC_SHUTDOWN with NOLOGFLUSH: dirty pages and the journal's running transaction are thrown away. */
const shutdown = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))
`;
const python = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

/**
 * A small ext4 disk in a file, mounted at `folder`. Its trial must name "root", "loop" and "mount-namespace" among
 * its needs, and "python" for power cuts.
 */
export class LoopDisk {
  readonly #base = mkdtempSync(join(tmpdir(), "kerb-disk-"));
  readonly folder = join(this.#base, "mount");
  readonly #image = join(this.#base, "image");

  constructor(mebibytes = 128) {
    mkdirSync(this.folder);
    writeFileSync(this.#image, "");
    truncateSync(this.#image, mebibytes * 1024 * 1024);
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", this.#image);
    this.mount();
  }

  mount(): void {
    run("mount", "-o", "loop", this.#image, this.folder);
  }

  /** The power goes. `freeze` who writes before, kill him after, then `remount`. */
  cutPower(): void {
    run(python, "-c", shutdown, this.folder);
  }

  /** After a power cut, when nobody has a file open any more: the journal is replayed. */
  remount(): void {
    run("umount", this.folder);
    this.mount();
  }

  /** Writes out what is dirty. */
  sync(): void {
    run("sync", "-f", this.folder);
  }

  get counts(): DeviceCounts {
    const device = basename(run("findmnt", "-n", "-o", "SOURCE", this.folder).trim());
    const fields = readFileSync(`/sys/block/${device}/stat`, "utf8").trim().split(/\s+/).map(Number);
    return { writes: fields[4] ?? 0, bytes: (fields[6] ?? 0) * 512, flushes: fields[15] ?? 0 };
  }

  /** Nobody may have a file open. */
  close(): void {
    run("umount", this.folder);
    rmSync(this.#base, { recursive: true, force: true });
  }
}

/** Stops a process, and returns when its last thread has: an fsync in flight ends before. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  const state = (task: string) =>
    readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8").split(") ").at(-1)?.[0];
  while (readdirSync(`/proc/${pid}/task`).some((task) => state(task) !== "T")) await sleep(1);
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}
