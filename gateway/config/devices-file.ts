import { chownSync, existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, matchesGlob, relative, resolve } from "node:path";
import { readSite, type Site, type SiteRead } from "./config.ts";
import { addDevice, isBare, newFile, type Written } from "./device-edits.ts";
import { fileBytesMax, readText } from "./file-text.ts";
import { type Ownership, removeDurably, writeDurably } from "../durable-file.ts";

/** Where devices are written: the files that `include` names. The site file itself is never rewritten. */

/** A file before and after; undefined: there is none. */
export interface Change {
  file: string;
  before: string | undefined;
  after: string | undefined;
}

/** The file has been changed by somebody else since it was read. */
export class ChangedMeanwhileError extends Error {}

const mark = "\ufeff";
const hasGlob = (path: string): boolean => /[*?[{]/.test(path);

/** The files of a site that may be written, and what stands in them. */
export class DevicesFiles {
  readonly siteFile: string;
  readonly site: Site;
  /** Absolute patterns. */
  readonly #include: string[];
  readonly #read: SiteRead;

  private constructor(read: SiteRead) {
    this.#include = read.include.map((pattern) => resolve(dirname(read.site.file), pattern));
    this.siteFile = read.site.file;
    this.site = read.site;
    this.#read = read;
  }

  /** Throws `ConfigError` where the site is wrong: what cannot be read is not added to. */
  static async open(siteFile: string): Promise<DevicesFiles> {
    return new DevicesFiles(await readSite(siteFile));
  }

  /** Whether `include` names a file, also one that is not there yet. */
  isIncluded(file: string): boolean {
    const folder = dirname(this.siteFile);
    const inside = relative(folder, file);
    return this.#include.some((pattern) => matchesGlob(inside, relative(folder, pattern)));
  }

  /** Where a new device goes: a file of its own, else the first that `include` names; undefined: nowhere. */
  fileFor(id: string): string | undefined {
    const own = this.#include
      .filter(
        (pattern) =>
          hasGlob(basename(pattern)) && !hasGlob(relative(dirname(this.siteFile), dirname(pattern))),
      )
      .map((pattern) => join(dirname(pattern), `${id}.yaml`));
    return (
      own.find((file) => this.isIncluded(file)) ??
      this.#include.find((pattern) => !hasGlob(relative(dirname(this.siteFile), pattern))) ??
      this.#read.site.files.find((file) => file !== this.siteFile)
    );
  }

  /** The file as it is, without a byte order mark; undefined: it is not there. */
  textOf(file: string): string | undefined {
    return this.#raw(file)?.replace(mark, "");
  }

  #raw(file: string): string | undefined {
    return this.#read.texts.get(file);
  }

  /** What adding a device makes of a file. Throws `EditError`. */
  adding(file: string, device: Readonly<Record<string, Written>>): Change {
    const before = this.#raw(file);
    if (before !== undefined) return this.editing(file, (text) => addDevice(text, device));
    const schema = join(dirname(this.siteFile), "devices.schema.json");
    const head = existsSync(schema)
      ? `# yaml-language-server: $schema=${relative(dirname(file), schema)}\n`
      : "";
    return { file, before, after: head + newFile(device) };
  }

  /** What an edit makes of a file; one of which nothing is left is deleted. */
  editing(file: string, edit: (text: string) => string): Change {
    const before = this.#raw(file) ?? "";
    const lead = before.startsWith(mark) ? mark : "";
    const after = edit(before.slice(lead.length));
    return { file, before, after: isBare(after) ? undefined : lead + after };
  }

  /** The site as it will be. Throws `ConfigError` where that would be wrong. */
  async checked({ file, after }: Change): Promise<Site> {
    const files = new Map([[file, after ?? "devices: []\n"]]);
    return (await readSite(this.siteFile, { files })).site;
  }

  /** Writes it, all or nothing, with the owner and mode that the file has. Throws `ChangedMeanwhileError`. */
  save({ file, before, after }: Change): void {
    const target = existsSync(file) ? realpathSync(file) : file;
    const now = existsSync(file) ? readText(target, fileBytesMax) : undefined;
    if ((now !== undefined && "raw" in now ? now.raw : undefined) !== before)
      throw new ChangedMeanwhileError(file);
    if (after === undefined) removeDurably(target);
    else writeDurably(target, after, ownershipOf(target));
  }
}

/** That of the file; a new one belongs to the group of its folder, which the gateway runs as. */
function ownershipOf(file: string): Ownership {
  if (existsSync(file)) {
    const { mode, uid, gid } = statSync(file);
    return { mode: mode & 0o7777, uid, gid };
  }
  const folder = dirname(file);
  makeFolder(folder);
  return { mode: 0o640, uid: process.getuid?.() ?? 0, gid: groupFor(folder) };
}

/** For the group of the folder around it, as `/etc/kerb` is. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder, { mode: 0o750 });
  chownSync(folder, process.getuid?.() ?? 0, groupFor(dirname(folder)));
}

/** Of the folder, where this user may give files to it. */
function groupFor(folder: string): number {
  const { gid } = statSync(folder);
  const isAllowed = process.getuid?.() === 0 || process.getgroups?.().includes(gid) === true;
  return isAllowed ? gid : (process.getgid?.() ?? gid);
}

/** A secret that the files refer to as `${secret:NAME}`. */
export function secretFile(siteFile: string, name: string): string {
  return join(dirname(resolve(siteFile)), "secrets", name);
}

/** Writes a secret with mode 0640, for the group of the folder. */
export function writeSecret(siteFile: string, name: string, secret: string): void {
  const file = secretFile(siteFile, name);
  const folder = dirname(file);
  makeFolder(folder);
  writeDurably(file, `${secret}\n`, {
    mode: 0o640,
    uid: process.getuid?.() ?? 0,
    gid: groupFor(folder),
  });
}
