import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Identity } from "../driver.ts";
import { controlSocket } from "./site.ts";

/** One who was found by the last `kerb discover`. */
export interface Discovered {
  number: number;
  driver: string;
  settings: Record<string, unknown>;
  identity: Identity;
  profile?: string;
  needs: string[];
}

interface Kept {
  version: 1;
  atMs: number;
  found: Discovered[];
}

function keptIn(folder: string): Kept[] {
  try {
    const read = JSON.parse(readFileSync(join(folder, "discovered.json"), "utf8")) as Partial<Kept>;
    return read.version === 1 && Array.isArray(read.found) ? [read as Kept] : [];
  } catch {
    return [];
  }
}

/** What the last `kerb discover` on this box has found; undefined: there was none. */
export function lastDiscovered(site: string): Discovered[] | undefined {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const kept = [dirname(controlSocket(site)), join(cache, "kerb")].flatMap(keptIn);
  return kept.toSorted((a, b) => b.atMs - a.atMs)[0]?.found;
}
