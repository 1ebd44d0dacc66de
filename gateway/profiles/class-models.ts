import { fileURLToPath } from "node:url";
import { z } from "zod";
import { unitSchema } from "./point-schema.ts";
import { loadYaml } from "../config/yaml.ts";

/** What each class of device looks like to an IOC, as `firmware-profiles/models.yaml` says it. */

/** Parts with dots; `{n}` stands for a number, `{id}` for one part. */
const pattern = z.string().regex(/^[a-zA-Z]([a-zA-Z0-9]|\{n\})*(\.([a-zA-Z0-9]|\{n\}|\{id\})+)*$/, {
  error: 'a name is camelCase parts with dots, {n} and {id} in it, such as "lightOn.group{n}"',
});
const modelsFile = fileURLToPath(new URL("../../firmware-profiles/models.yaml", import.meta.url));

const word = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, {
  error: 'a state is a word in small letters with "-", such as "red-yellow"',
});
const attribute = z.string().min(1);
const requires = z.array(z.array(z.string()).min(1)).default([]);

const quantity = z.strictObject({
  unit: unitSchema,
  kind: z.enum(["number", "boolean", "text"]).default("number"),
  states: z.array(word).min(2).optional(),
  en: z.string().min(1),
  vi: z.string().min(1),
  attribute: z.union([attribute, z.array(attribute)]).optional(),
});
const quantities = z.record(pattern, quantity).default({});

const record = z.strictObject({
  kind: z.enum(["transaction", "alarm", "state"]),
  category: word.optional(),
  severity: z.enum(["low", "medium", "high", "critical"]).optional(),
  en: z.string().min(1),
  vi: z.string().min(1),
  fields: quantities,
  requires,
});

const modelsSchema = z.strictObject({
  version: z.literal(1),
  words: z
    .record(word, z.strictObject({ en: z.string().min(1), vi: z.string().min(1) }))
    .describe("what states are called"),
  common: z.strictObject({ points: quantities, alarmFields: quantities }),
  classes: z.record(
    word,
    z.strictObject({
      en: z.string().min(1),
      vi: z.string().min(1),
      entity: z.string().optional(),
      note: z.string().optional(),
      requires,
      points: quantities,
      records: z.record(pattern, record).default({}),
    }),
  ),
});

export type Models = z.infer<typeof modelsSchema>;
export type Quantity = z.infer<typeof quantity>;
export type RecordModel = z.infer<typeof record>;

/** Reads and checks the models that ship with kerb. Throws `ConfigError` with every mistake and its place. */
export function loadModels(file = modelsFile): Models {
  return loadYaml(file, modelsSchema, { references: false }).value;
}

const patterns = new WeakMap<object, readonly { model: string; like: RegExp }[]>();

/** The names of a model that stand for many, each as an expression; made once for each model. */
function patternsOf(models: object) {
  const known = patterns.get(models);
  if (known !== undefined) return known;
  const made = Object.keys(models).flatMap((model) => {
    if (!model.includes("{")) return [];
    const source = model
      .replaceAll(".", "\\.")
      .replaceAll("{n}", "[1-9][0-9]*")
      .replaceAll("{id}", "[a-zA-Z0-9]+");
    return [{ model, like: new RegExp(`^${source}$`) }];
  });
  patterns.set(models, made);
  return made;
}

/** The entry that a name falls under: by its very name, else by pattern. */
export function modelled<Entry>(name: string, models: Readonly<Record<string, Entry>>): Entry | undefined {
  if (Object.hasOwn(models, name)) return models[name];
  const found = patternsOf(models).find(({ like }) => like.test(name));
  return found === undefined ? undefined : models[found.model];
}
