import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot } from "./driver.ts";
import { writeDurably } from "./durable-file.ts";

/**
 * Pictures that a rule of the site asks for: they stay on the box, encrypted (AES-256-GCM), for a time that the rule
 * says, within a number of files and bytes. Events hold its reference and its hash, and never the picture.
 */

export interface SnapshotLimits {
  readonly keepMs: number;
  readonly bytesMax: number;
}

/** Which records of a device come with a picture, and where it goes. */
export interface SnapshotRule extends SnapshotLimits {
  readonly folder: string;
  readonly records: readonly string[];
}

/** What an event says of its picture. */
export interface Reference {
  ref: string;
  keptUntil: string;
}

const magic = Buffer.from("kerb snapshot 1\n");
const ivBytes = 12;
const tagBytes = 16;
const filesMax = 1000;
const sweepMs = 30_000;
const refPattern = /^([0-9a-z]{8,9})-[0-9a-f]{16}$/;
const keyFile = "key";

/** The folder of a state folder. */
export function snapshotFolder(stateFolder: string): string {
  return join(stateFolder, "snapshots");
}

/** Makes folder and key where there are none; both are for this user alone. */
export function prepareSnapshots(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const file = join(folder, keyFile);
  if (!existsSync(file)) writeDurably(file, `${randomBytes(32).toString("base64url")}\n`);
}

function readKey(folder: string): Buffer {
  const key = Buffer.from(readFileSync(join(folder, keyFile), "utf8").trim(), "base64url");
  if (key.length !== 32) throw new Error(`${join(folder, keyFile)} is cut short`);
  return key;
}

/** Until when the file of a reference is kept, ms since 1970; undefined: it is no reference. */
function keptUntilMs(ref: string): number | undefined {
  const [, until] = refPattern.exec(ref) ?? [];
  return until === undefined ? undefined : Number.parseInt(until, 36);
}

/** The name of a picture that is yet to be taken; it says how long the picture is kept. */
export function newReference(keepMs: number, nowMs = Date.now()): Reference {
  const untilMs = nowMs + keepMs;
  const ref = `${untilMs.toString(36)}-${randomBytes(8).toString("hex")}`;
  return { ref, keptUntil: new Date(untilMs).toISOString() };
}

/** Encrypts and stores one picture; gives the SHA-256 of what the camera gave, hex. Rejects where it cannot be kept. */
export async function keepSnapshot(
  { folder, keepMs, bytesMax }: SnapshotRule,
  device: string,
  { type, bytes }: Snapshot,
  { ref }: Reference,
  nowMs = Date.now(),
): Promise<string> {
  const head = Buffer.from(JSON.stringify({ device, type, takenMs: nowMs }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", readKey(folder), iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(ref));
  const sealed = Buffer.concat([cipher.update(Buffer.concat([length, head, bytes])), cipher.final()]);
  if (sealed.length > bytesMax) throw new Error("the picture is larger than all that may be kept");
  const file = join(folder, ref);
  await writeFile(`${file}.new`, Buffer.concat([magic, iv, cipher.getAuthTag(), sealed]), { mode: 0o600 });
  await rename(`${file}.new`, file);
  // What cannot be swept now is tried again each half minute, which also tells of it.
  await sweepSnapshots(folder, { keepMs, bytesMax }, nowMs).catch(() => 0);
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * One stored picture in the clear; undefined: there is none of this reference, or its time is over. Rejects where
 * file or key are not what they were.
 */
export async function openSnapshot(
  folder: string,
  ref: string,
  nowMs = Date.now(),
): Promise<(Snapshot & { device: string; takenMs: number }) | undefined> {
  // A gateway that does not run sweeps nothing.
  if (!((keptUntilMs(ref) ?? 0) > nowMs)) return undefined;
  const file = await readFile(join(folder, ref)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (file === undefined) return undefined;
  const [from, sealedFrom] = [magic.length, magic.length + ivBytes + tagBytes];
  if (file.length < sealedFrom || !file.subarray(0, from).equals(magic))
    throw new Error("the file is no snapshot");
  const iv = file.subarray(from, from + ivBytes);
  const decipher = createDecipheriv("aes-256-gcm", readKey(folder), iv, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(ref));
  decipher.setAuthTag(file.subarray(from + ivBytes, sealedFrom));
  const plain = Buffer.concat([decipher.update(file.subarray(sealedFrom)), decipher.final()]);
  const headEnd = 4 + plain.readUInt32BE(0);
  const head = JSON.parse(plain.toString("utf8", 4, headEnd)) as {
    device: string;
    type: string;
    takenMs: number;
  };
  return { ...head, bytes: plain.subarray(headEnd) };
}

/**
 * Deletes what is over its time, what a clock that was set back would keep for longer than the rule says, and the
 * oldest beyond the limits; without limits (there is no rule any more) everything. Resolves to how many went.
 */
export async function sweepSnapshots(
  folder: string,
  limits: SnapshotLimits | undefined,
  nowMs = Date.now(),
): Promise<number> {
  if (!existsSync(folder)) return 0;
  const found = (await readdir(folder)).flatMap((name) => {
    if (name === keyFile) return [];
    const untilMs = keptUntilMs(name);
    // What was being written when the power went is of no use.
    return untilMs !== undefined || name.endsWith(".new") ? [{ name, untilMs: untilMs ?? 0 }] : [];
  });
  const kept: { name: string; untilMs: number }[] = [];
  const gone: string[] = [];
  for (const one of found) {
    const isOver =
      limits === undefined || one.untilMs <= nowMs || one.untilMs > nowMs + limits.keepMs + sweepMs;
    // A picture of another device may be on its way to its name just now.
    const isNew =
      limits !== undefined && one.name.endsWith(".new") && (await isYoung(join(folder, one.name), nowMs));
    if (isOver && !isNew) gone.push(one.name);
    else if (!isNew) kept.push(one);
  }
  let bytes = 0;
  for (const [i, { name }] of kept.toSorted((a, b) => b.untilMs - a.untilMs).entries()) {
    bytes += await stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    );
    if (i >= filesMax || bytes > (limits?.bytesMax ?? 0)) gone.push(name);
  }
  for (const name of gone) await rm(join(folder, name), { force: true });
  return gone.length;
}

async function isYoung(file: string, nowMs: number): Promise<boolean> {
  const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: 0 }));
  return Math.abs(nowMs - mtimeMs) < sweepMs;
}

/** Sweeps now and every half minute, whatever becomes of the devices; returns how to end it. */
export function keepSweeping(
  folder: string,
  limits: SnapshotLimits | undefined,
  warn: (text: string) => void,
): () => void {
  const sweep = (): void => {
    sweepSnapshots(folder, limits).catch((error: Error) => warn(`snapshots: ${error.message}`));
  };
  sweep();
  if (limits === undefined) return () => {};
  const timer = setInterval(sweep, sweepMs).unref();
  return () => clearInterval(timer);
}
