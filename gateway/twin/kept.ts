import { chmod, mkdir, open, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMistake, parseTwin, type TwinDocument } from "./document.ts";
import type { HaveError, TwinState } from "./have.ts";

/** `<state>/twin.json`: what the twin wants of this box, kept over restarts, for its user alone. */

/** The newest document that was genuine, and what has become of it. */
export interface Taken {
  document: TwinDocument;
  state: TwinState;
  /** How often it was begun; a document that ends the box is not begun for ever. */
  tries: number;
  errors: HaveError[];
  /** When it came to this state, ms since 1970 UTC. */
  at: number;
}

export interface KeptTwin {
  v: 1;
  taken: Taken;
  /** What is laid over the files when they are read; null: nothing. */
  laid: TwinDocument | null;
}

export function twinFile(stateFolder: string): string {
  return join(stateFolder, "twin.json");
}

const isSound = (document: unknown): boolean => !isMistake(parseTwin(Buffer.from(JSON.stringify(document))));

/** undefined: none ever came, or what was kept is damaged. Rejects where it is there and cannot be read. */
export async function readKept(stateFolder: string): Promise<KeptTwin | undefined> {
  const text = await readFile(twinFile(stateFolder), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  try {
    const kept = text === undefined ? undefined : (JSON.parse(text) as KeptTwin | null);
    if (kept?.v !== 1 || !isSound(kept.taken.document)) return undefined;
    return kept.laid === null || isSound(kept.laid) ? kept : { ...kept, laid: null };
  } catch {
    return undefined;
  }
}

/** Is on the disk when it resolves, all of it or what was there before. Off the main thread, which must not wait. */
export async function writeKept(stateFolder: string, kept: KeptTwin): Promise<void> {
  const file = twinFile(stateFolder);
  const fresh = `${file}.new`;
  await mkdir(dirname(file), { recursive: true, mode: 0o750 });
  await writeFile(fresh, `${JSON.stringify(kept)}\n`, { mode: 0o600, flush: true });
  // One that was left behind by a kill keeps the mode that it had.
  await chmod(fresh, 0o600);
  await rename(fresh, file);
  const folder = await open(dirname(file), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
