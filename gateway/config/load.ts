import { readSite } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { factsOf } from "../generations/facts.ts";
import type { Loaded, LoadRequest } from "./process.ts";
import { stateFolderOf } from "./state-folder.ts";

/** What came of a site file and of all that it names; a wrong one is an answer too. */
export async function load({ file, files = [], isWhole = false }: LoadRequest): Promise<Loaded> {
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
