import { resolve } from "node:path";
import { type LoadedSite, loadSiteApart, SiteError } from "../config/process.ts";
import type { Diagnostic } from "../errors.ts";
import { isSameVersion } from "../twin/document.ts";
import type { Generation } from "./desk.ts";
import { GenerationStore, hashOf, type KeptState } from "./store.ts";

/** What a start runs, and what has to be written down once it does. */
export interface Chosen {
  loaded: LoadedSite;
  store: GenerationStore;
  /** The kept generation that this is; undefined: the files on the disk, not kept yet. */
  generation?: Generation;
  /** Of the files on the disk. */
  filesHash: string;
  state?: KeptState;
  /** It was running unconfirmed when the gateway ended. */
  unconfirmed?: number;
  safeMode?: { count: number; mistakes: Diagnostic[] };
  /** Sentences for the log. */
  notes: string[];
}

type Load = typeof loadSiteApart;

async function readFiles(load: Load, file: string): Promise<LoadedSite | SiteError> {
  try {
    return await load({ file });
  } catch (error) {
    if (error instanceof SiteError) return error;
    throw error;
  }
}

/** A kept generation as it would run now; undefined: not whole, not of this file, or wrong for this kerb. */
async function readKept(load: Load, store: GenerationStore, file: string, number: number) {
  const kept = await store.read(number);
  if (kept === undefined || kept.generation.files[0] !== file) return undefined;
  const { texts: files, document: twin = null } = kept;
  const loaded = await load({ file, files, isWhole: true, twin }).catch(() => undefined);
  return loaded === undefined ? undefined : { loaded, generation: kept.generation };
}

/**
 * Which configuration a start runs: the files, unless exactly these were taken back or another one was put in their
 * place while the gateway ran; and where the files are wrong, the last good generation. Writes nothing. Throws
 * `SiteError` when there is none, or with `strict`.
 */
export async function chooseStart(
  given: string,
  { strict = false, load = loadSiteApart } = {},
): Promise<Chosen> {
  const file = resolve(given);
  const files = await readFiles(load, file);
  const isWrong = files instanceof SiteError;
  if (isWrong && strict) throw files;
  const store = new GenerationStore(isWrong ? files.stateFolder : files.site.gateway.stateFolder);
  const filesHash = hashOf(new Map(files.texts));
  const before = await store.state();
  const state =
    before?.pending === undefined ? before : { current: before.pending.previous, files: before.files };
  const unconfirmed = before?.pending === undefined ? {} : { unconfirmed: before.current };
  const about = { store, filesHash, ...(state === undefined ? {} : { state }), ...unconfirmed, notes: [] };
  if (isWrong) return { ...about, ...(await lastGood(load, store, file, state, before, files)) };
  if (state === undefined || state.files !== filesHash) return { ...about, loaded: files };
  const kept = await readKept(load, store, file, state.current);
  const isSame =
    kept?.generation.hash === filesHash && isSameVersion(kept.generation.twin, files.overlay?.document);
  if (isSame) return { ...about, loaded: files, generation: kept.generation };
  if (kept !== undefined) return { ...about, ...kept };
  const note = `generation ${state.current}, which ran in the place of the files, cannot be read any more: the files are run`;
  return { ...about, loaded: files, notes: [note] };
}

async function lastGood(
  load: Load,
  store: GenerationStore,
  file: string,
  state: KeptState | undefined,
  before: KeptState | undefined,
  wrong: SiteError,
): Promise<Pick<Chosen, "loaded" | "generation" | "safeMode">> {
  const numbers = (await store.list())
    .filter(
      ({ outcome, number }) =>
        outcome !== "reverted" && (before?.pending === undefined || number !== before.current),
    )
    .map(({ number }) => number);
  for (const number of new Set([...(state === undefined ? [] : [state.current]), ...numbers])) {
    const kept = await readKept(load, store, file, number);
    const safeMode = { count: wrong.count, mistakes: [...wrong.diagnostics] };
    if (kept !== undefined) return { ...kept, safeMode };
  }
  throw wrong;
}
