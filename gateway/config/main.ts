import { load } from "./load.ts";
import type { Loaded, LoadRequest } from "./process.ts";

/** The child process of `loadSiteApart`: loads one site file, sends what came of it, and ends. */
function answer(message: Loaded): void {
  process.send?.(message, () => process.exit());
}

process.once("message", (request: LoadRequest) => void load(request).then(answer));
// Whoever asked has gone.
process.once("disconnect", () => process.exit());
