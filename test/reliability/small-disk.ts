import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const python = existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
/** FS_IOC_SHUTDOWN with NOLOGFLUSH: the file system dies, and with it what was not flushed. */
const shutdown =
  'import fcntl, os, struct, sys\nfcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))';

/**
 * A small file system of its own, `tmpfs` or ext4 in a file. Its trial needs "root" and "mount-namespace", and "loop"
 * for ext4: a trial beside it that makes a namespace takes every mount it sees along, and a dead file system that is
 * still mounted somewhere comes back dead.
 */
export class SmallDisk {
  readonly #base = mkdtempSync(join(tmpdir(), "kerb-small-"));
  readonly folder = join(this.#base, "mount");
  readonly #kind: "tmpfs" | "ext4";
  readonly #mebibytes: number;

  constructor(kind: "tmpfs" | "ext4", mebibytes: number) {
    this.#kind = kind;
    this.#mebibytes = mebibytes;
    mkdirSync(this.folder);
    if (kind === "ext4") {
      const image = join(this.#base, "image");
      writeFileSync(image, "");
      truncateSync(image, mebibytes * 1024 * 1024);
      run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", image);
    }
    this.mount();
  }

  mount(): void {
    if (this.#kind === "tmpfs")
      run("mount", "-t", "tmpfs", "-o", `size=${this.#mebibytes}m`, "tmpfs", this.folder);
    else run("mount", "-o", "loop", join(this.#base, "image"), this.folder);
  }

  /** Fails while anybody has a file open. */
  unmount(): void {
    run("umount", this.folder);
  }

  /** Every read and write fails from now on, until the disk is mounted anew. */
  die(): void {
    run(python, "-c", shutdown, this.folder);
  }

  close(): void {
    try {
      this.unmount();
    } catch {
      // A trial that broke off may have left it unmounted, or somebody in it.
      try {
        run("umount", "-l", this.folder);
      } catch {
        // It was not mounted.
      }
    }
    rmSync(this.#base, { recursive: true, force: true });
  }
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}
