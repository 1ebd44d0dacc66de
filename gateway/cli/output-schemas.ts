import { readdirSync } from "node:fs";
import { z } from "zod";
import { failed, success, type VerbOutputs } from "./schemas/envelope.ts";

/** All published outputs: a file in schemas/ that exports `outputs` is found by itself. */

const folder = new URL("schemas/", import.meta.url);

/** The outputs of every verb, by its name. Throws where two files have the same verb. */
export async function verbOutputs(): Promise<VerbOutputs> {
  const all: VerbOutputs = {};
  for (const file of readdirSync(folder).sort()) {
    if (file === "envelope.ts") continue;
    const { outputs } = (await import(`./schemas/${file.slice(0, -3)}.ts`)) as { outputs: VerbOutputs };
    for (const [verb, kinds] of Object.entries(outputs)) {
      if (Object.hasOwn(all, verb)) throw new Error(`${file} says again what ${verb} prints`);
      all[verb] = kinds;
    }
  }
  return all;
}

/** The published file of a verb's output, from the top folder: "config/output/profile-new.schema.json". */
export function schemaFile(verb: string): string {
  return `config/output/${verb.replaceAll(" ", "-")}.schema.json`;
}

/** JSON Schemas (draft 7) of one line that a verb prints with `--json`, by the verb. */
export async function outputSchemas(): Promise<Record<string, Record<string, unknown>>> {
  const entries = Object.entries(await verbOutputs()).map(([verb, kinds]) => {
    const lines = [...Object.entries(kinds).map(([kind, data]) => success(kind, data)), failed()];
    const { $schema: _, ...schema } = z.toJSONSchema(z.union(lines), { target: "draft-7" });
    const title = `one line of kerb ${verb} --json`;
    return [verb, { $schema: "http://json-schema.org/draft-07/schema#", title, ...schema }] as const;
  });
  return Object.fromEntries(entries);
}
