import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { jsonSchemas } from "../gateway/config/json-schema.ts";
import { listProfiles, loadProfile } from "../gateway/profiles.ts";

/** The files and parts of files that follow from code and data: `npm run generate` writes them, a test compares. */

const root = new URL("../", import.meta.url);
const pathOf = (file: string): string => fileURLToPath(new URL(file, root));

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** One line for each profile: who makes it, for which firmware, how well it is founded. */
function profileTable(): string {
  const lines = listProfiles().map((id) => {
    const { vendor, model, class: kind, driver, firmware, status } = loadProfile(id);
    return row(`\`${id}\``, `${vendor} ${model}`, kind, driver, firmware, status);
  });
  const head = ["profile", "device", "class", "driver", "firmware", "status"];
  return [row(...head), row(...head.map(() => "---")), ...lines].join("\n");
}

/** Replaces what stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. */
function withPart(file: string, name: string, text: string): string {
  const before = readFileSync(pathOf(file), "utf8");
  const [from, to] = [`<!-- generated: ${name} -->`, `<!-- end of ${name} -->`];
  const [start, end] = [before.indexOf(from), before.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`${file} has no part between "${from}" and "${to}"`);
  return `${before.slice(0, start + from.length)}\n\n${text}\n\n${before.slice(end)}`;
}

/** What each generated file should hold, by its path from the top folder. */
export async function generated(): Promise<Record<string, string>> {
  const schemas = Object.entries(await jsonSchemas()).map(([name, schema]) => [
    `config/${name}.schema.json`,
    `${JSON.stringify(schema, undefined, 2)}\n`,
  ]);
  const profiles = "firmware-profiles/README.md";
  return { ...Object.fromEntries(schemas), [profiles]: withPart(profiles, "profiles", profileTable()) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(await generated())) writeFileSync(pathOf(file), text);
}
