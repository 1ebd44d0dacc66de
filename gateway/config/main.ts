import { ConfigError } from "../errors.ts";
import { loadSite } from "../config.ts";
import type { Loaded } from "./process.ts";

/** The child process of `loadSiteApart`: loads one site file, sends what came of it, and ends. */
function answer(message: Loaded): void {
  process.send?.(message, () => process.exit());
}

loadSite(process.argv[2] ?? "").then(
  (site) => answer({ site }),
  (error: Error) => {
    if (error instanceof ConfigError) answer({ diagnostics: [...error.diagnostics] });
    else answer({ error: error.message });
  },
);
