import { randomInt } from "node:crypto";
import {
  existsSync,
  globSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { z } from "zod";
import { type ArchiveFile } from "../archive.ts";
import { bootId, clockState, monotonicMs } from "../clock.ts";
import { Journal } from "../commands/journal.ts";
import type { Lease } from "../commands/memory.ts";
import { Memory } from "../commands/memory.ts";
import { gap } from "../gaps.ts";
import { holdsReference } from "../config/references.ts";
import { readDictionary, readEpochs, writeEpochs } from "../outbox/beside.ts";
import { urgentEvent } from "../outbox/own-events.ts";
import { OutboxStore } from "../outbox/store.ts";
import { printable } from "../printable.ts";
import { profileFolder } from "../profiles/profiles.ts";
import { isBesideSite, isState, manifestName, type Manifest } from "./collect.ts";

/**
 * A box out of a backup. What it must not do: give a number again that the old box may have given since; write to a
 * device what a lease of that time wanted; tell the IOC of commands what was so then; say nothing of the time between.
 */

/** More starts than a box can have had since its backup, each of which may have taken one epoch. */
const epochsAhead = 1_048_576;
const sessionsAhead = 1_000_000;

/** Which files a backup may hold: whoever has made it does not choose what is written where. */
const places: Readonly<Record<string, (name: string) => boolean>> = {
  config: isBesideSite,
  profiles: (name) => /^\w[\w.-]*\/\w[\w.-]*\.yaml$/.test(name),
  state: isState,
};

/** Above any that a clock shows, and far from where numbers are no longer whole. */
const epochMax = 2 ** 40;

const manifestSchema = z.object({
  v: z.literal(1),
  kind: z.enum(["portable", "sealed"]),
  kerb: z.string(),
  gateway: z.string().min(1),
  madeMs: z.int().min(0),
  site: z.string().refine((name) => basename(name) === name && isBesideSite(name)),
  state: z.string().min(1),
  epoch: z.int().min(0).max(epochMax),
  sessions: z.record(z.string(), z.int().min(0).max(epochMax)),
  withBuffer: z.boolean(),
  needs: z.array(z.string()),
}) satisfies z.ZodType<Manifest>;

/** Why a file is no backup that can be restored. */
export class BackupError extends Error {}

/** Throws `BackupError`. */
export function readManifest(files: readonly ArchiveFile[]): Manifest {
  const [first] = files;
  if (first?.name !== manifestName) throw new BackupError("this is no backup of kerb");
  const read: unknown = JSON.parse(first.bytes.toString());
  if ((read as Manifest | null)?.v !== 1) throw new BackupError("this backup was made by a newer kerb");
  const manifest = manifestSchema.safeParse(read);
  if (!manifest.success) throw new BackupError("this backup does not say what a backup says of itself");
  for (const { name } of files.slice(1)) {
    const isClean = posix.normalize(name) === name && !/[\\\0]/.test(name);
    const [part = "", ...rest] = name.split("/");
    const hasPlace = Object.hasOwn(places, part) && places[part]?.(rest.join("/")) === true;
    if (!isClean || !hasPlace)
      throw new BackupError(`this backup holds a file that has no place: ${printable(name)}`);
  }
  return manifest.data;
}

export interface Restoring {
  files: readonly ArchiveFile[];
  manifest: Manifest;
  /** The site file to be. */
  site: string;
  stateFolder: string;
  /** Of the queue that is begun; the site's own where it is known. */
  bytesMax: number;
}

/** What was done. */
export interface Restored {
  site: string;
  stateFolder: string;
  /** The state folder had a queue of its own: it is newer than any backup, and was left as it is. */
  keptState: boolean;
  epoch?: number;
  files: number;
  needs: string[];
  /** Points that were to go back by themselves when the backup was made; they were not written. */
  leases: { device: string; point: string; returnTo: unknown }[];
  /** Profiles that this kerb has in another form: its own stays. */
  profilesKept: string[];
}

/** Who owns the folder of a service must not lead root elsewhere by a link on the way to a file in it. */
export function checkWay(base: string, name: string): void {
  const folder = dirname(name);
  if (realpathSync(join(base, folder)) !== join(realpathSync(base), folder))
    throw new BackupError(`a link on the way to ${join(base, name)} leads elsewhere`);
}

/** Whole or not at all, and owned by whom the folder belongs to: root may write for a service. */
function put(base: string, name: string, bytes: Uint8Array, mode: number): void {
  const file = join(base, name);
  mkdirSync(dirname(file), { recursive: true, mode: mode | ((mode & 0o444) >> 2) });
  checkWay(base, name);
  const fresh = `${file}.restored`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, bytes, { mode, flush: true, flag: "wx" });
  renameSync(fresh, file);
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(base);
  for (let one = file; one.length > base.length; one = dirname(one)) lchownSync(one, uid, gid);
}

const under = (files: readonly ArchiveFile[], part: string) =>
  files.flatMap(({ name, bytes }) =>
    name.startsWith(`${part}/`) ? [{ name: name.slice(part.length + 1), bytes }] : [],
  );

/** Above every epoch that the box can have used since, whatever its clock showed then and shows now. */
function epochAbove({ manifest, stateFolder }: Restoring): number {
  const beside = readEpochs(join(stateFolder, "outbox.db")).newest;
  const nowS = Math.floor(Date.now() / 1000);
  const newest = Math.max(manifest.epoch, beside, nowS);
  // By chance, so that two boxes out of one backup do not meet.
  return newest + epochsAhead + randomInt(epochsAhead);
}

/** Whose state it is; undefined: nobody's yet. Some backups say of the id only what reference the site file has. */
function gatewayOf({ manifest: { gateway } }: Restoring, queue: string): string | undefined {
  if (!holdsReference(gateway)) return gateway;
  return readEpochs(queue).owner ?? readDictionary(queue).findLast(({ type }) => type === "gateway")?.id;
}

/** Begins the queue: a new epoch, the sessions above the old ones, and what is not known of the time between. */
function beginQueue(restoring: Restoring): number {
  const { manifest, stateFolder, bytesMax } = restoring;
  const path = join(stateFolder, "outbox.db");
  const { records } = readEpochs(path);
  const gateway = gatewayOf(restoring, path);
  writeEpochs(path, epochAbove(restoring), records, gateway);
  const store = new OutboxStore({ path, bytesMax, ...(gateway === undefined ? {} : { gateway }) });
  try {
    for (const [uplink, session] of Object.entries(manifest.sessions))
      store.nextSession(uplink, session + sessionsAhead);
    // Nothing is known of a run, so there is nothing to tell.
    if (gateway === undefined) return store.epoch;
    const [self] = store.register([{ id: gateway, type: "gateway", profile: "", points: [] }]);
    const data = gap("box_off", manifest.madeMs, Date.now(), {
      restart: "restore",
      ended: "unknown",
      epoch: manifest.epoch,
      backup: new Date(manifest.madeMs).toISOString(),
    });
    store.commit([urgentEvent("gap", self?.index ?? 0, data)]);
    return store.epoch;
  } finally {
    store.close();
  }
}

const now = () => ({ wallMs: Date.now(), monoMs: monotonicMs(), clock: clockState(), boot: bootId() });

/** Ends in the journal what was under way when the backup was made: what became of it only the old box knows. */
async function endCommands(folder: string, manifest: Manifest): Promise<Lease[]> {
  if (!existsSync(folder)) return [];
  const memory = new Memory();
  const restored = { backup: new Date(manifest.madeMs).toISOString() };
  const journal = await Journal.open(
    { folder, now, each: (entry) => memory.take(entry), standing: () => memory.standing() },
    { gw: manifest.gateway, restored },
  );
  const { leases } = memory;
  const reason = "the box was restored from a backup: what became of it only the old box knew";
  for (const { id: of, dev, point } of leases)
    await journal.append({ ev: "lease-end", of, dev, point, reason });
  for (const { state } of memory.open) {
    const ended = { ...state, state: "unknown", resolved: true, at: Date.now(), reason };
    await journal.append({ ev: "result", state: ended });
  }
  // Told now it would overwrite what the old box told later.
  for (const { id } of memory.untold) await journal.append({ ev: "told", id, reason });
  await journal.close();
  return leases;
}

async function restoreState(restoring: Restoring): Promise<{ epoch: number; leases: Lease[] }> {
  const { files, stateFolder, manifest } = restoring;
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  if (existsSync(join(stateFolder, "commands"))) checkWay(stateFolder, "commands/journal");
  for (const { name, bytes } of under(files, "state")) put(stateFolder, name, bytes, 0o600);
  const epoch = beginQueue(restoring);
  const leases = await endCommands(join(stateFolder, "commands"), manifest);
  handOver(stateFolder);
  return { epoch, leases };
}

function restoreProfiles(files: readonly ArchiveFile[]): string[] {
  return under(files, "profiles").flatMap(({ name, bytes }) => {
    const file = join(profileFolder, name);
    if (!existsSync(file)) {
      put(profileFolder, name, bytes, 0o644);
      return [];
    }
    return readFileSync(file).equals(bytes) ? [] : [name.replace(/\.yaml$/, "")];
  });
}

/** What queue and journal (and `more`) have made as root, for a service that runs as somebody else. */
export function handOver(folder: string, more: readonly string[] = []): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(folder);
  const made = ["outbox.db*", "epoch*", "dictionary*", "commands", "commands/*", ...more];
  for (const name of globSync(made, { cwd: folder })) lchownSync(join(folder, name), uid, gid);
}

/** Writes everything; the site file last, so that a box whose restoring was cut short does not start. */
export async function restoreBackup(restoring: Restoring): Promise<Restored> {
  const { files, manifest, site, stateFolder } = restoring;
  const keptState = existsSync(join(stateFolder, "outbox.db"));
  const profilesKept = restoreProfiles(files);
  const { epoch, leases } = keptState ? { epoch: undefined, leases: [] } : await restoreState(restoring);
  const folder = dirname(site);
  const configuration = under(files, "config");
  const isMain = ({ name }: { name: string }) => name === manifest.site;
  // The service's group reads them.
  for (const { name, bytes } of configuration.filter((file) => !isMain(file)))
    put(folder, name, bytes, 0o640);
  for (const { bytes } of configuration.filter(isMain)) put(folder, basename(site), bytes, 0o640);
  return {
    site,
    stateFolder,
    keptState,
    ...(epoch === undefined ? {} : { epoch }),
    files: files.length - 1,
    needs: manifest.needs,
    leases: leases.map(({ dev, point, returnTo }) => ({ device: dev, point, returnTo })),
    profilesKept,
  };
}
