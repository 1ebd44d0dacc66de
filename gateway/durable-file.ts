import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
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
    writeFresh(fresh, text, owner);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
  syncFolder(dirname(file));
}

/** By its handle: whoever may write to the folder cannot lay a link there meanwhile, and be given what it leads to. */
function writeFresh(file: string, text: string, owner: Ownership | undefined): void {
  const handle = openSync(file, "wx", 0o600);
  try {
    writeFileSync(handle, text);
    if (owner !== undefined) give(handle, owner);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function give(handle: number, { mode, uid, gid }: Ownership): void {
  const now = fstatSync(handle);
  if (now.uid !== uid || now.gid !== gid) fchownSync(handle, uid, gid);
  fchmodSync(handle, mode);
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
