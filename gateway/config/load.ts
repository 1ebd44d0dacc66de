import { dirname, join, resolve } from "node:path";
import { readSite } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { factsOf } from "../generations/facts.ts";
import type { Loaded, LoadRequest } from "./process.ts";
import { References } from "./references.ts";
import { stateFolderOf } from "./state-folder.ts";

/** What the references of a site's files stand for: a plan must not show it, whatever key it stands behind. */
function namedTexts(file: string, texts: ReadonlyMap<string, string>): Set<string> {
  const secretsFolder = join(dirname(resolve(file)), "secrets");
  const named = [...texts].flatMap(([path, text]) => {
    const references = new References(path, secretsFolder);
    return (text.match(/\$\{(?:env|file|secret):[^{}]*\}/g) ?? []).map((one) => references.resolve(one).text);
  });
  return new Set(named.filter((text) => text !== ""));
}

/** What came of a site file and of all that it names; a wrong one is an answer too. */
export async function load({ file, files = [], isWhole = false }: LoadRequest): Promise<Loaded> {
  const texts = new Map<string, string>();
  try {
    const { site, include } = await readSite(file, { files: new Map(files), isWhole, texts });
    const facts = factsOf(site, namedTexts(file, texts));
    return { loaded: { site, texts: [...texts], include, facts } };
  } catch (error) {
    if (!(error instanceof ConfigError)) return { error: (error as Error).message };
    const stateFolder = stateFolderOf(file);
    return { diagnostics: [...error.diagnostics], stateFolder, texts: [...texts] };
  }
}
