import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import type { DictionaryDevice } from "../event.ts";
import type { EpochRecord } from "./rows.ts";

/**
 * The files beside the queue: what its rows mean, for the day when the queue itself cannot say it (`epoch`,
 * `dictionary`), and queue files that were put aside (`outbox.db.damaged-…` until it is salvaged, then
 * `.salvaged-…`; `.replaced-…` is one that was not ours).
 */

const asideMax = 2;

interface BesideEpochs {
  newest: number;
  records: EpochRecord[];
  /** Whose state folder it is; undefined: nobody has said so, or a bit of it is wrong. */
  owner: string | undefined;
}

/** The newest epoch on the first line, as ever; behind it every epoch that may still have events, with its base. */
export function readEpochs(queue: string): BesideEpochs {
  const [first = "", ...lines] = readText(join(dirname(queue), "epoch")).split("\n");
  const records = lines.flatMap((line) => {
    const [, epoch, base, boot = "unknown"] = /^(\d{1,15}) (\d{1,15})(?: (\S+))?$/.exec(line) ?? [];
    return epoch === undefined ? [] : [{ epoch: Number(epoch), base: Number(base), boot }];
  });
  const [owner] = lines.flatMap((line) => {
    const [, id, hash] = /^gateway (\S{1,64}) ([0-9a-f]{8})$/.exec(line) ?? [];
    return id !== undefined && hash === shortHash(id) ? [id] : [];
  });
  return { newest: Number.parseInt(first, 10) || 0, records, owner };
}

/** Durable when it returns: an epoch must be known to be used before an event carries it. */
export function writeEpochs(
  queue: string,
  newest: number,
  records: readonly EpochRecord[],
  owner = readEpochs(queue).owner,
): void {
  const lines = records.map(({ epoch, base, boot }) => `${epoch} ${base} ${boot}`);
  const whose = owner === undefined ? [] : [`gateway ${owner} ${shortHash(owner)}`];
  replace(join(dirname(queue), "epoch"), `${[newest, ...lines, ...whose].join("\n")}\n`);
}

/** The devices and points as they were last written; none when there is no such file or it is damaged. */
export function readDictionary(queue: string): DictionaryDevice[] {
  const text = readText(join(dirname(queue), "dictionary"));
  const json = text.slice(text.indexOf("\n") + 1);
  return text.startsWith(`${shortHash(json)}\n`) ? (JSON.parse(json) as DictionaryDevice[]) : [];
}

export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

/** Writes the dictionary when it is another one. It is only needed with a damaged queue, so a failure is no harm. */
export function writeDictionary(queue: string, hash: string, json: string): void {
  const path = join(dirname(queue), "dictionary");
  try {
    if (readText(path).startsWith(`${hash}\n`)) return;
    replace(path, `${hash}\n${json}`);
  } catch {
    // Tried again at the next start.
  }
}

type Label = "damaged" | "salvaged" | "replaced";

/** Renames the queue file and its log; returns the new name. */
export function putAside(queue: string, label: Label): string {
  // The clock may have gone back: names keep growing all the same.
  const aside = `${queue}.${label}-${Math.max(Date.now(), ...asides(queue).map(({ number }) => number + 1))}`;
  for (const suffix of ["-wal", ""]) {
    if (existsSync(queue + suffix)) renameSync(queue + suffix, aside + suffix);
  }
  rmSync(`${queue}-shm`, { force: true });
  return aside;
}

/** The files put aside that are not salvaged yet, newest first. */
export function damagedFiles(queue: string): string[] {
  return asides(queue)
    .filter(({ label }) => label === "damaged")
    .map(({ path }) => path);
}

/** What is in it has been salvaged: the name says so. */
export function markSalvaged(path: string): void {
  for (const suffix of ["-wal", ""]) {
    if (existsSync(path + suffix))
      renameSync(path + suffix, path.replace(".damaged-", ".salvaged-") + suffix);
  }
}

/**
 * Deletes files put aside: two stay, those that are still to be salvaged first, others only as long as they take no
 * more than `bytesMax` together.
 */
export function sweepAside(queue: string, bytesMax: number): void {
  let bytes = 0;
  const found = asides(queue).sort((a, b) => Number(b.label === "damaged") - Number(a.label === "damaged"));
  for (const [i, { path, label }] of found.entries()) {
    bytes += sizeOf(path) + sizeOf(`${path}-wal`);
    if (i < asideMax && (i === 0 || label === "damaged" || bytes <= bytesMax)) continue;
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  }
}

/** Deletes what has been salvaged, because the room is needed. True when there was something. */
export function dropSalvaged(queue: string): boolean {
  const found = asides(queue).filter(({ label }) => label !== "damaged");
  for (const { path } of found)
    for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  return found.length > 0;
}

/** Newest first. */
function asides(queue: string): { path: string; label: string; number: number }[] {
  const folder = dirname(queue);
  const prefix = `${basename(queue)}.`;
  const names = new Set(
    readdirSync(folder)
      .filter((name) => name.startsWith(prefix))
      .map((name) => name.replace(/-wal$/, "")),
  );
  return [...names]
    .flatMap((name) => {
      const [, label, number] = /^(damaged|salvaged|replaced)-(\d+)$/.exec(name.slice(prefix.length)) ?? [];
      return label === undefined ? [] : [{ path: join(folder, name), label, number: Number(number) }];
    })
    .sort((a, b) => b.number - a.number);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The new content is on the disk before it takes the file's name. Throws the system's errors. */
export function replace(path: string, content: string | Uint8Array): void {
  const descriptor = openSync(`${path}.new`, "w");
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${path}.new`, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
