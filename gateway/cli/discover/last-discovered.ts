import { dirname } from "node:path";
import { type Finding, type KeptFindings, lastFindings } from "../../discovery/kept.ts";
import { controlSocket } from "../site.ts";

/** One who was found by the last `kerb discover`. */
export type Discovered = Finding;

/** The state folder of a site, also of one whose file is broken elsewhere; undefined: it cannot be told. */
export function stateFolderOf(site: string | undefined): string | undefined {
  try {
    return site === undefined ? undefined : dirname(controlSocket(site));
  } catch {
    return undefined;
  }
}

/** The last look of this box, as `kerb discover --last` shows it; undefined: there was none. */
export const lastLook = (site: string | undefined): KeptFindings | undefined =>
  lastFindings(stateFolderOf(site));

/** What the last `kerb discover` on this box has found; undefined: there was none. */
export function lastDiscovered(site: string): Discovered[] | undefined {
  return lastLook(site)?.found;
}
