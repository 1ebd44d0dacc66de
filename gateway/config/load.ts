import { dirname, join, resolve } from "node:path";
import { type Given, readSite, type SiteRead } from "./config.ts";
import { ConfigError } from "../errors.ts";
import { factsOf } from "../generations/facts.ts";
import { changesOf } from "../twin/changes.ts";
import { readKept } from "../twin/kept.ts";
import { overlaid } from "../twin/overlay.ts";
import type { Loaded, LoadedSite, LoadRequest } from "./process.ts";
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
export async function load({ file, files = [], isWhole = false, twin }: LoadRequest): Promise<Loaded> {
  const texts = new Map<string, string>();
  try {
    const read = await readSite(file, { files: new Map(files), isWhole, texts });
    return { loaded: await withTwin(file, read, isWhole, twin) };
  } catch (error) {
    if (!(error instanceof ConfigError)) return { error: (error as Error).message };
    const stateFolder = stateFolderOf(file);
    return { diagnostics: [...error.diagnostics], stateFolder, texts: [...texts] };
  }
}

/** The last step of loading: what the twin wants is laid over what the files say, where it fits. */
async function withTwin(
  file: string,
  plain: SiteRead,
  isWhole: boolean,
  given: LoadRequest["twin"],
): Promise<LoadedSite> {
  const { site, texts, include } = plain;
  const hidden = namedTexts(file, texts);
  const facts = factsOf(site, hidden);
  const alone = { site, facts, texts: [...texts], include };
  // A disk that does not give it back does not keep the files from running; the twin's desk says so.
  const kept =
    given === undefined ? await readKept(site.gateway.stateFolder).catch(() => undefined) : undefined;
  const document = given ?? kept?.laid ?? undefined;
  if (document === undefined) return alone;
  const again = (lay: Given["lay"]) =>
    readSite(file, { files: texts, isWhole, ...(lay === undefined ? {} : { lay }) });
  const laid = await overlaid(document, plain, again);
  if (Array.isArray(laid)) return { ...alone, overlay: { document, mistakes: laid } };
  const laidFacts = factsOf(laid.site, hidden);
  const overlay = { document, changes: changesOf(site, laid.site) };
  return { ...alone, site: laid.site, facts: laidFacts, overlay };
}
