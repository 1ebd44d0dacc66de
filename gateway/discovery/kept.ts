import { mkdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Identity } from "../driver.ts";
import { writeDurably } from "../durable-file.ts";

/** How well a profile fits somebody who was found. `login`: nobody knows before there is one. */
export type MatchKind = "exact" | "likely" | "generic" | "login" | "none";

/** Why, in the two languages that people read. */
interface Reason {
  en: string;
  vi: string;
}

/** Somebody whom `kerb discover` has found: all that `kerb device add NUMBER` begins with. */
export interface Finding {
  /** As the table shows it, from 1. */
  number: number;
  driver: string;
  /** Where, for people: "192.168.1.9:502 unit 3". */
  place: string;
  /** The keys of the site file that lead there. The profile's own settings are not among them. */
  settings: Record<string, unknown>;
  identity: Identity;
  match: MatchKind;
  /** The profile that fits best; absent: none is known to fit. */
  profile?: string;
  /** Of `likely` by its values: so many of so many are as the profile has them. */
  fits?: { fits: number; of: number };
  /** Others that fit as well, best first. */
  also: string[];
  /** Those of them that fit as well as `profile`: a person has to say which it is. */
  equals?: string[];
  reasons: Reason[];
  /** Keys that a person must add to the settings before the device says more: "user", "password". */
  needs: string[];
  /** The device of the site file that this is. */
  known?: string;
}

/** What the last `kerb discover` found, and when. */
export interface KeptFindings {
  version: 1;
  atMs: number;
  /** The site file that it compared with; absent: there was none. */
  site?: string;
  found: Finding[];
}

const name = "discovered.json";
const bytesMax = 4 * 1024 * 1024;

/** Where it is kept: beside the gateway's state, else in the person's own cache. */
function folders(stateFolder: string | undefined): string[] {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return [...(stateFolder === undefined ? [] : [stateFolder]), join(cache, "kerb")];
}

/** Keeps what was found; gives the file. Throws the `Error` of the last place that could not be written. */
export function keepFindings(kept: KeptFindings, stateFolder?: string): string {
  let failure: unknown;
  for (const [index, folder] of folders(stateFolder).entries()) {
    try {
      // The state folder is the gateway's to make.
      if (index > 0 || stateFolder === undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
      const file = join(folder, name);
      writeDurably(file, `${JSON.stringify(kept)}\n`);
      return file;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** The newest findings that can be read here; undefined: there are none. */
export function lastFindings(stateFolder?: string): KeptFindings | undefined {
  const all = folders(stateFolder).flatMap((folder) => readOne(join(folder, name)) ?? []);
  return all.toSorted((a, b) => b.atMs - a.atMs)[0];
}

function readOne(file: string): KeptFindings | undefined {
  try {
    if (statSync(file).size > bytesMax) return undefined;
    const read = JSON.parse(readFileSync(file, "utf8")) as Partial<KeptFindings>;
    return read.version === 1 && Array.isArray(read.found) ? (read as KeptFindings) : undefined;
  } catch {
    return undefined;
  }
}
