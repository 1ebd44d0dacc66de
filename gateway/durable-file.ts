import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Whose a file is to be, and who may read it. */
export interface Ownership {
  mode: number;
  uid: number;
  gid: number;
}

/** Writes a small file: all of it or nothing, also after a power cut. Not told whose it is, it is a secret (0600). */
export function writeDurably(file: string, text: string, owner?: Ownership): void {
  const fresh = `${file}.new`;
  rmSync(fresh, { force: true });
  try {
    // Nobody who may write to the folder has laid a link there meanwhile.
    writeFileSync(fresh, text, { mode: 0o600, flush: true, flag: "wx" });
    if (owner !== undefined) give(fresh, owner);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  syncFolder(dirname(file));
}

function give(file: string, { mode, uid, gid }: Ownership): void {
  const now = statSync(file);
  if (now.uid !== uid || now.gid !== gid) chownSync(file, uid, gid);
  chmodSync(file, mode);
}

/** Deletes a file for good, also after a power cut. */
export function removeDurably(file: string): void {
  rmSync(file);
  syncFolder(dirname(file));
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
