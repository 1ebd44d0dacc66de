import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Site } from "./config.ts";
import { ConfigError, type Diagnostic } from "../errors.ts";
import type { Facts } from "../generations/facts.ts";
import type { TwinChange } from "../twin/changes.ts";
import type { TwinDocument, TwinMistake } from "../twin/document.ts";

/** What the child is asked: a site file, with the files that stand for those on the disk. */
export interface LoadRequest {
  file: string;
  /** Absolute paths and texts that are read instead of the disk's; `isWhole`: there are no other files. */
  files?: [path: string, text: string][];
  isWhole?: boolean;
  /** What the twin wants; null: nothing. Absent: what the state folder says. */
  twin?: TwinDocument | null;
}

/** A document of the twin over the files: what it changes in them, or why it is not laid over them. */
export interface Overlay {
  document: TwinDocument;
  changes?: TwinChange[];
  mistakes?: TwinMistake[];
}

/** A checked site, what a plan needs to know of it, and the bytes that it was made of. */
export interface LoadedSite {
  site: Site;
  facts: Facts;
  texts: [path: string, text: string][];
  /** What `include` says: patterns from the site file's folder. */
  include: string[];
  /** Absent: there is no document. */
  overlay?: Overlay;
}

/** What the child sends back. */
export interface Loaded {
  loaded?: LoadedSite;
  diagnostics?: Diagnostic[];
  /** Where a wrong site file keeps its state, as far as that can be read. */
  stateFolder?: string;
  texts?: [path: string, text: string][];
  error?: string;
}

/** The configuration is wrong. `stateFolder`: where its state seems to be kept; `texts`: the files as they are. */
export class SiteError extends ConfigError {
  readonly stateFolder: string;
  readonly texts: LoadedSite["texts"];
  constructor({ diagnostics = [], stateFolder = "", texts = [] }: Loaded) {
    super(diagnostics);
    this.stateFolder = stateFolder;
    this.texts = texts;
  }
}

/** The checked site of an answer. Throws `SiteError` for one that is wrong. */
export function loadedOf(found: Loaded): LoadedSite {
  if (found.loaded !== undefined) return found.loaded;
  throw found.diagnostics === undefined ? new Error(found.error) : new SiteError(found);
}

/** Longest time for a site of thousands of devices on a slow box. */
const loadMs = 120_000;

/**
 * `readSite` in a process of its own that ends: the YAML parser, the schemas and the drivers' settings cost 60 MB
 * that a gateway would otherwise keep for as long as it runs. Throws `SiteError`, or what else `loadSite` throws.
 */
export async function loadSiteApart(request: LoadRequest): Promise<LoadedSite> {
  const child = fork(fileURLToPath(new URL("main.ts", import.meta.url)), [], { execArgv: [] });
  const timer = setTimeout(() => child.kill("SIGKILL"), loadMs);
  const answer = new Promise<Loaded>((resolve, reject) => {
    child.once("message", (message) => resolve(message as Loaded));
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`the configuration check ended without a word (${signal ?? code})`)),
    );
  });
  child.send(request, () => {});
  return loadedOf(await answer.finally(() => clearTimeout(timer)));
}
