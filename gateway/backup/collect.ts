import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, matchesGlob, relative, resolve } from "node:path";
import type { ArchiveFile } from "../archive.ts";
import { leaves } from "../cassette/secrets.ts";
import { valueAt } from "../config/path.ts";
import { siteSchema } from "../config/site-schema.ts";
import { readEpochs } from "../outbox/beside.ts";
import { profileFolder } from "../profiles/profiles.ts";
import {
  Redaction,
  secretsFolderOf,
  type SiteFileValue,
  siteFileValues,
  siteSecrets,
} from "../config/site-secrets.ts";
import { portableYaml } from "./portable.ts";

/**
 * What of a box must outlive it: its site files, what it has pinned, its journal of commands, and how far it has
 * counted. The events themselves only when they are asked for, from a gateway that does not run.
 */

export type BackupKind = "portable" | "sealed";

/** First file of each backup. */
export interface Manifest {
  v: 1;
  kind: BackupKind;
  kerb: string;
  gateway: string;
  madeMs: number;
  /** Name of the site file in `config/`. */
  site: string;
  /** State folder as the site file has it. */
  state: string;
  /** The newest epoch that the box had used. */
  epoch: number;
  /** Session numbers of the uplinks, as far as they were known. */
  sessions: Record<string, number>;
  withBuffer: boolean;
  /** What must be brought beside it: secrets, variables of the environment, files elsewhere. */
  needs: string[];
}

export const manifestName = "backup.json";
/** Of a queue file with its log; more is saved by copying the state folder. */
const bufferBytesMax = 1024 ** 3;

/** State that is no secret; the secret one is only in a sealed backup. */
const openState = [
  "epoch",
  "dictionary",
  "twin.json",
  "commands/*",
  "drivers/*/units/*.json",
  "drivers/opcua/pins/*",
];
const sealedState = [
  "token.key",
  "box.key",
  "snapshots/key",
  "drivers/opcua/own.pem",
  "drivers/opcua/kerb.der",
];
const buffered = ["outbox.db", "outbox.db-wal"];

/** Whether a backup may hold this file of the state folder: nothing else is ever written there. */
export function isState(name: string): boolean {
  return [...openState, ...sealedState, ...buffered].some((pattern) => matchesGlob(name, pattern));
}

/** Whether a backup may hold this file beside the site file; what begins with a dot belongs to other programs. */
export function isBesideSite(name: string): boolean {
  return name.split("/").every((part) => part !== "" && !part.startsWith("."));
}

export interface Collecting {
  site: string;
  stateFolder: string;
  kind: BackupKind;
  withBuffer: boolean;
  sessions: Record<string, number>;
  kerb: string;
  madeMs: number;
}

function stateFiles(folder: string, patterns: readonly string[]): ArchiveFile[] {
  const names = patterns.flatMap((pattern) => globSync(pattern, { cwd: folder }).toSorted());
  // The head before what it names: it must never be newer than the journal.
  const ordered = names.toSorted((a, b) => Number(b.endsWith("head.json")) - Number(a.endsWith("head.json")));
  return ordered.flatMap((name) => {
    const file = join(folder, name);
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true
      ? [{ name: `state/${name}`, bytes: readFileSync(file) }]
      : [];
  });
}

/** Files that the site's settings name: certificates, keys, texts behind `${file:…}`. */
function namedFiles({ file, value }: SiteFileValue): string[] {
  return leaves(value).flatMap(({ path, value: leaf }) => {
    if (typeof leaf !== "string") return [];
    const named = [...leaf.matchAll(/\$\{file:([^{}]*)\}/g)].map(([, name = ""]) => name);
    const isCertificate = path.at(-2) === "tls" && ["ca", "cert", "key"].includes(path.at(-1) ?? "");
    return [...named, ...(isCertificate ? [leaf] : [])].map((name) => resolve(dirname(file), name));
  });
}

function inside(folder: string, file: string): string | undefined {
  const name = relative(folder, file);
  return isAbsolute(name) || !isBesideSite(name) ? undefined : name;
}

interface Configuration {
  files: ArchiveFile[];
  needs: string[];
}

function siteFiles({ site, kind }: Collecting, values: readonly SiteFileValue[]): Configuration {
  const folder = dirname(site);
  const redaction = new Redaction(siteSecrets(site));
  const files: ArchiveFile[] = [];
  const needs = new Set<string>();
  for (const { file, value } of values) {
    const name = inside(folder, file);
    if (name === undefined) {
      needs.add(`file:${file}`);
      continue;
    }
    const text = readFileSync(file, "utf8");
    if (kind === "sealed") {
      files.push({ name: `config/${name}`, bytes: Buffer.from(text) });
      for (const [written] of text.matchAll(/\$\{env:[^{}]*\}/g)) needs.add(written.slice(2, -1));
      continue;
    }
    // What is no YAML cannot be freed of its secrets.
    if (value === undefined)
      throw new Error(`${file} cannot be read as YAML: only a sealed backup can hold it`);
    const portable = portableYaml(text, redaction);
    files.push({ name: `config/${name}`, bytes: Buffer.from(portable.text) });
    for (const need of portable.needs) needs.add(need);
  }
  return { files, needs: [...needs] };
}

function sealedFiles({ site }: Collecting, values: readonly SiteFileValue[]): Configuration {
  const folder = dirname(site);
  const needs = new Set<string>();
  const secrets = globSync("*", { cwd: secretsFolderOf(site) }).map((name) =>
    join(secretsFolderOf(site), name),
  );
  const files = [...new Set([...secrets, ...values.flatMap(namedFiles)])].flatMap((file): ArchiveFile[] => {
    const name = inside(folder, file);
    if (name === undefined) needs.add(`file:${file}`);
    const isThere = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
    return name === undefined || !isThere ? [] : [{ name: `config/${name}`, bytes: readFileSync(file) }];
  });
  return { files, needs: [...needs] };
}

/** Profiles of the site's devices: those that were drafted here are nowhere else. */
function profileFiles(values: readonly SiteFileValue[]): ArchiveFile[] {
  const ids = values.flatMap(({ value }) => {
    const devices = valueAt(value, ["devices"]);
    return Array.isArray(devices) ? devices.map((device: unknown) => valueAt(device, ["profile"])) : [];
  });
  return [...new Set(ids)].flatMap((id) => {
    if (typeof id !== "string" || !/^[\w.-]+\/[\w.-]+$/.test(id)) return [];
    const file = join(profileFolder, `${id}.yaml`);
    return existsSync(file) ? [{ name: `profiles/${id}.yaml`, bytes: readFileSync(file) }] : [];
  });
}

/** The files of a backup, the manifest first. Throws for a queue that is too large, or a portable one without YAML. */
export function collectBackup(collecting: Collecting): { files: ArchiveFile[]; manifest: Manifest } {
  const { site, stateFolder, kind, withBuffer, sessions, kerb, madeMs } = collecting;
  const values = siteFileValues(site);
  const configuration = siteFiles(collecting, values);
  const secret = kind === "sealed" ? sealedFiles(collecting, values) : { files: [], needs: [] };
  const patterns = [...openState, ...(kind === "sealed" ? sealedState : []), ...(withBuffer ? buffered : [])];
  if (withBuffer) {
    const size = (name: string) => statSync(join(stateFolder, name), { throwIfNoEntry: false })?.size ?? 0;
    const bytes = buffered.reduce((sum, name) => sum + size(name), 0);
    if (bytes > bufferBytesMax)
      throw new Error(`the queue has ${bytes} bytes: too much for a backup; copy ${stateFolder} instead`);
  }
  const { gateway: schema } = siteSchema.shape;
  const { newest: epoch, owner } = readEpochs(join(stateFolder, "outbox.db"));
  const manifest: Manifest = {
    v: 1,
    kind,
    kerb,
    // In the site file it may be a reference, and another one from the next start on.
    gateway: owner ?? String(valueAt(values[0]?.value, ["gateway", "id"])),
    madeMs,
    site: basename(site),
    state: schema.shape.state.parse(valueAt(values[0]?.value, ["gateway", "state"])),
    epoch,
    sessions,
    withBuffer,
    needs: [...new Set([...configuration.needs, ...secret.needs])].toSorted(),
  };
  // The same file may be named twice.
  const files = new Map(
    [
      ...configuration.files,
      ...secret.files,
      ...profileFiles(values),
      ...stateFiles(stateFolder, patterns),
    ].map((file) => [file.name, file]),
  );
  return {
    files: [
      { name: manifestName, bytes: Buffer.from(JSON.stringify(manifest, undefined, 1)) },
      ...files.values(),
    ],
    manifest,
  };
}
