import { dirname, resolve } from "node:path";
import { fileBytesMax, readText } from "./file-text.ts";
import { siteSchema } from "./site-schema.ts";

/**
 * Where a site keeps its state, also of a file that is no YAML any more. It may be wrong: whoever uses it looks whether
 * what is there belongs to this site.
 */
export function stateFolderOf(file: string): string {
  const content = readText(file, fileBytesMax);
  const text = "text" in content ? content.text : "";
  const [, written] = /^[^#\n]*\bstate["']?:\s*["']?([^\s"',}#]+)/m.exec(text) ?? [];
  const { state } = siteSchema.shape.gateway.shape;
  return resolve(dirname(resolve(file)), written ?? state.parse(undefined));
}
