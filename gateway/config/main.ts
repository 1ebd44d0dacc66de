import { dirname, resolve } from "node:path";
import { ConfigError } from "../errors.ts";
import { readSite } from "../config.ts";
import { factsOf } from "../generations/facts.ts";
import { fileBytesMax, readText } from "./file-text.ts";
import type { Loaded, LoadRequest } from "./process.ts";
import { siteSchema } from "./site-schema.ts";

/** The child process of `loadSiteApart`: loads one site file, sends what came of it, and ends. */
function answer(message: Loaded): void {
  process.send?.(message, () => process.exit());
}

/** Also of a file that is no YAML any more; whoever uses it looks whether it is this site's. */
function stateFolderOf(file: string): string {
  const content = readText(file, fileBytesMax);
  const text = "text" in content ? content.text : "";
  const [, written] = /^[^#\n]*\bstate:\s*["']?([^\s"',}#]+)/m.exec(text) ?? [];
  const { state } = siteSchema.shape.gateway.shape;
  return resolve(dirname(resolve(file)), written ?? state.parse(undefined));
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
