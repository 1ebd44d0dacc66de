import { createHash } from "node:crypto";
import { cp, glob, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileBytesMax, readText } from "../config/file-text.ts";
import type { TwinDocument } from "../twin/document.ts";
import type { Generation } from "./desk.ts";

/**
 * The configurations that have run: `<state>/config/<number>/` holds `generation.json` and the files it was made of,
 * byte for byte; `<state>/config/state.json` says which one runs. Each write is whole or not there.
 */

/** Which generation stands for which files on the disk. */
export interface KeptState {
  current: number;
  /** The hash of the files on the disk for which `current` was chosen: while they are so, it is what a start runs. */
  files: string;
  /** Not settled: a start takes `current` and `files` of before. `current` is then the pending one. */
  pending?: { previous: number; untilMs?: number };
}

type Texts = ReadonlyMap<string, string>;

interface Stored extends Generation {
  v: 1;
  include: string[];
  document?: TwinDocument;
}

/** A generation with its bytes. */
export interface WholeGeneration {
  generation: Generation;
  include: string[];
  texts: [path: string, text: string][];
  /** What the twin wanted then. */
  document?: TwinDocument;
}

const keptMax = 20;

/** SHA-256 over paths and bytes, in the order of the paths. */
export function hashOf(texts: Texts): string {
  const hash = createHash("sha256");
  for (const [path, text] of [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\0${Buffer.byteLength(text)}\0${text}`);
  return hash.digest("hex");
}

/** A site's files as they are on the disk now; what cannot be read is left out. */
export async function filesNow(file: string, include: readonly string[]): Promise<Map<string, string>> {
  const folder = dirname(file);
  const paths = [file];
  for (const pattern of include.filter((one) => !one.includes("**")))
    for await (const found of glob(pattern, { cwd: folder })) paths.push(resolve(folder, found));
  const texts = new Map<string, string>();
  for (const path of new Set(paths)) {
    // As the check reads them: a pipe would never end, and a disk's worth of text must not fill the memory.
    const found = readText(path, fileBytesMax);
    if ("raw" in found) texts.set(path, found.raw);
  }
  return texts;
}

async function writeWhole(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`;
  await writeFile(fresh, text, { mode: 0o600, flush: true });
  await rename(fresh, file);
  await syncFolder(dirname(file));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Two files of one name, in different folders, are told apart by their number. */
const storedName = (path: string, i: number) => `${i}-${path.slice(path.lastIndexOf("/") + 1)}`;

export class GenerationStore {
  readonly folder: string;

  constructor(stateFolder: string) {
    this.folder = join(stateFolder, "config");
  }

  /** undefined: nothing was ever kept here, or what says so is damaged. */
  async state(): Promise<KeptState | undefined> {
    const text = await readFile(join(this.folder, "state.json"), "utf8").catch(() => undefined);
    try {
      return text === undefined ? undefined : (JSON.parse(text) as KeptState);
    } catch {
      return undefined;
    }
  }

  async setState(state: KeptState): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeWhole(join(this.folder, "state.json"), `${JSON.stringify(state)}\n`);
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.folder).catch(() => []);
    return names
      .filter((name) => /^[1-9]\d{0,8}$/.test(name))
      .map(Number)
      .toSorted((a, b) => b - a);
  }

  async #stored(number: number): Promise<Stored | undefined> {
    const text = await readFile(this.#meta(number), "utf8").catch(() => undefined);
    try {
      return text === undefined ? undefined : (JSON.parse(text) as Stored);
    } catch {
      return undefined;
    }
  }

  #meta(number: number): string {
    return join(this.folder, String(number), "generation.json");
  }

  /** The newest first; a damaged one is left out. */
  async list(): Promise<Generation[]> {
    const all = await Promise.all((await this.#numbers()).map((number) => this.#stored(number)));
    return all.flatMap((stored) => (stored === undefined ? [] : [shown(stored)]));
  }

  /** undefined: there is none of this number, or it is damaged. */
  async read(number: number): Promise<WholeGeneration | undefined> {
    const stored = await this.#stored(number);
    if (stored === undefined) return undefined;
    const texts: [string, string][] = [];
    for (const [i, path] of stored.files.entries()) {
      const file = join(this.folder, String(number), storedName(path, i));
      const text = await readFile(file, "utf8").catch(() => undefined);
      if (text === undefined) return undefined;
      texts.push([path, text]);
    }
    if (hashOf(new Map(texts)) !== stored.hash) return undefined;
    const { include, document } = stored;
    return { generation: shown(stored), include, texts, ...(document === undefined ? {} : { document }) };
  }

  /** Keeps a generation under the next number, and the newest 20. */
  async add(
    about: Omit<Generation, "number" | "hash" | "files" | "twin">,
    texts: Texts,
    include: readonly string[],
    document?: TwinDocument,
  ): Promise<Generation> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const numbers = await this.#numbers();
    const number = (numbers[0] ?? 0) + 1;
    const files = [...texts.keys()];
    const { ver, hash, by } = document ?? {};
    const twin =
      ver === undefined || hash === undefined || by === undefined ? {} : { twin: { ver, hash, by } };
    const generation: Generation = { ...about, number, hash: hashOf(texts), files, ...twin };
    const fresh = join(this.folder, `${number}.new`);
    await rm(fresh, { recursive: true, force: true });
    await mkdir(fresh, { mode: 0o700 });
    for (const [i, path] of files.entries())
      await writeFile(join(fresh, storedName(path, i)), texts.get(path) ?? "", { mode: 0o600, flush: true });
    await writeWhole(join(fresh, "generation.json"), written(generation, include, document));
    await rename(fresh, join(this.folder, String(number)));
    await syncFolder(this.folder);
    const { current, pending } = (await this.state()) ?? {};
    const old = [number, ...numbers]
      .slice(keptMax)
      .filter((one) => one !== current && one !== pending?.previous);
    for (const one of old) await rm(join(this.folder, String(one)), { recursive: true, force: true });
    return generation;
  }

  /** What has become of a generation. */
  async settle(number: number, outcome: Generation["outcome"], reason?: string): Promise<void> {
    const before = await this.#stored(number);
    if (before === undefined) return;
    const { include, document, ...rest } = before;
    const after = { ...rest, outcome, ...(reason === undefined ? {} : { reason }) };
    await writeWhole(this.#meta(number), written(after, include, document));
  }

  /** All that is kept, in another state folder as well. */
  async copyTo(other: GenerationStore): Promise<void> {
    if (other.folder === this.folder) return;
    await mkdir(dirname(other.folder), { recursive: true, mode: 0o750 });
    await cp(this.folder, other.folder, { recursive: true, force: true });
  }
}

function written(generation: Generation, include: readonly string[], document?: TwinDocument): string {
  return `${JSON.stringify({ v: 1, ...generation, include, document }, undefined, 1)}\n`;
}

function shown({ v: _v, include: _include, document: _document, ...generation }: Stored): Generation {
  return generation;
}
