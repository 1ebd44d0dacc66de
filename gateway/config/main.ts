import { ConfigError } from "../errors.ts";
import { readSite } from "../config.ts";
import { factsOf } from "../generations/facts.ts";
import type { Loaded, LoadRequest } from "./process.ts";
import { stateFolderOf } from "./state-folder.ts";

/** The child process of `loadSiteApart`: loads one site file, sends what came of it, and ends. */
function answer(message: Loaded): void {
  process.send?.(message, () => process.exit());
}

async function load({ file, files = [], isWhole = false }: LoadRequest): Promise<Loaded> {
  const texts = new Map<string, string>();
  try {
    const { site, include } = await readSite(file, { files: new Map(files), isWhole, texts });
    return { loaded: { site, texts: [...texts], include, facts: factsOf(site) } };
  } catch (error) {
    if (!(error instanceof ConfigError)) return { error: (error as Error).message };
    const stateFolder = stateFolderOf(file);
    return { diagnostics: [...error.diagnostics], stateFolder, texts: [...texts] };
  }
}

process.once("message", (request: LoadRequest) => void load(request).then(answer));
// Whoever asked has gone.
process.once("disconnect", () => process.exit());
