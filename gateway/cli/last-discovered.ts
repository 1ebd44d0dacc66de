import type { Identity } from "../driver.ts";

/** One who was found by the last `kerb discover`. */
export interface Discovered {
  number: number;
  driver: string;
  settings: Record<string, unknown>;
  identity: Identity;
  profile: string | undefined;
  needs: readonly string[];
}

/** What the last `kerb discover` on this box has found; undefined: there was none. */
export function lastDiscovered(_site: string): Discovered[] | undefined {
  return undefined;
}
