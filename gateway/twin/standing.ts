import type { TwinChange } from "./changes.ts";
import type { SiteTwin } from "./document.ts";
import type { Have } from "./have.ts";

/** The twin as the box knows it: what was wanted last, by whom, what has become of it, and what it changes in the files. */
export interface TwinStanding extends Omit<Have, "v" | "gw"> {
  /** Absent: nothing ever came that was genuine. */
  by?: string;
  /** What runs over the files; absent where nothing does. */
  runs?: { by: string; changes: TwinChange[] };
  /** It was applied before, and does not fit the files any more. */
  misfit?: true;
  /** What the site file opens; absent: nothing. */
  allow?: SiteTwin["allow"];
}
