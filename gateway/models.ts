import { join } from "node:path";
import { z } from "zod";
import { didYouMean } from "./config/words.ts";
import { type Profile, profileFolder } from "./profiles.ts";
import { unitProblem } from "./units.ts";
import { loadYaml } from "./yaml.ts";

/** What each class of device looks like to an IOC: `firmware-profiles/models.yaml`, and how a profile keeps to it. */

/** Parts with dots; `{n}` stands for a number, `{id}` for one part. */
const pattern = z.string().regex(/^[a-zA-Z]([a-zA-Z0-9]|\{n\})*(\.([a-zA-Z0-9]|\{n\}|\{id\})+)*$/, {
  error: 'a name is camelCase parts with dots, {n} and {id} in it, such as "lightOn.group{n}"',
});
const word = z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, {
  error: 'a state is a word in small letters with "-", such as "red-yellow"',
});
const attribute = z.string().min(1);
const requires = z.array(z.array(z.string()).min(1)).default([]);

const quantity = z.strictObject({
  unit: z
    .string()
    .default("1")
    .superRefine((unit, context) => {
      const problem = unitProblem(unit);
      if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    }),
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
type Quantity = z.infer<typeof quantity>;
type RecordModel = z.infer<typeof record>;

/** Reads and checks the models that ship with kerb. Throws `ConfigError` with every mistake and its place. */
export function loadModels(file = join(profileFolder, "models.yaml")): Models {
  return loadYaml(file, modelsSchema, { references: false }).value;
}

/** What a device has beside its model: an IOC takes it as the maker's own. */
const isNative = (name: string): boolean => name.startsWith("native.");

function isOf(name: string, model: string): boolean {
  const source = model
    .replaceAll(".", "\\.")
    .replaceAll("{n}", "[1-9][0-9]*")
    .replaceAll("{id}", "[a-zA-Z0-9]+");
  return new RegExp(`^${source}$`).test(name);
}

/** The entry that a name falls under: by its very name, else by pattern. */
function modelled<Entry>(name: string, models: Readonly<Record<string, Entry>>): Entry | undefined {
  if (Object.hasOwn(models, name)) return models[name];
  return Object.entries(models).find(([model]) => isOf(name, model))?.[1];
}

type Shown = Pick<Profile["points"][number], "name" | "unit" | "kind" | "values">;

/** What a value of a profile says that its model does not. */
function quantityProblems({ name, unit, kind, values }: Shown, model: Quantity): string[] {
  const problems: string[] = [];
  const say = (text: string) => problems.push(`${name}: ${text}`);
  if (unit !== model.unit) say(`its unit is ${unit}, and ${model.unit} in the model: scale it`);
  const words = values === undefined ? undefined : Object.values(values);
  if (model.states !== undefined) {
    const foreign = words?.filter((one) => !model.states?.includes(one)) ?? [];
    if (words === undefined) say(`it is one of ${model.states.join(", ")} in the model: give it values`);
    for (const one of new Set(foreign)) say(`"${one}" is none of ${model.states.join(", ")}`);
  } else if (kind !== model.kind || (words !== undefined && model.kind !== "text"))
    say(`it is ${words === undefined ? kind : "words"}, and ${model.kind} in the model`);
  return problems;
}

function offModel(name: string, kind: string, known: readonly string[]): string {
  const number = /[1-9]\d*/.exec(name)?.[0] ?? "1";
  const meant = didYouMean(
    name,
    known.map((model) => model.replaceAll("{n}", number)),
  );
  return `${name}: no name of the model ${kind}${meant} (the device's own begin with "native.")`;
}

function missing(what: string, has: readonly string[], required: readonly (readonly string[])[]): string[] {
  return required
    .filter((names) => !names.some((name) => has.includes(name)))
    .map((names) => `${what}: ${names.join(" or ")} is missing`);
}

type Told = Pick<RecordModel, "kind"> & {
  name: string;
  category?: string | undefined;
  severity?: string | undefined;
};

function recordProblems({ name, kind, category, severity }: Told, model: RecordModel): string[] {
  const pairs = [
    ["kind", kind, model.kind],
    ["category", category, model.category],
    ["severity", severity, model.severity ?? severity],
  ] as const;
  return pairs
    .filter(([, is, shall]) => is !== shall)
    .map(([what, is, shall]) => `${name}: its ${what} is ${is}, and ${shall} in the model`);
}

function toldProblems(told: Profile["records"][number], model: RecordModel, models: Models): string[] {
  const known = { ...(model.kind === "alarm" ? models.common.alarmFields : {}), ...model.fields };
  const problems = recordProblems(told, model);
  if (told.active !== undefined && told.active !== "active")
    problems.push(`${told.name}: the field that says whether it lasts is called "active"`);
  for (const field of told.fields) {
    if (isNative(field.name)) continue;
    const found = modelled(field.name, known);
    const own = { ...field, name: `${told.name}.${field.name}` };
    if (found === undefined) problems.push(offModel(field.name, told.name, Object.keys(known)));
    else problems.push(...quantityProblems(own, found));
  }
  const has = told.fields.map((field) => field.name);
  return [...problems, ...missing(told.name, has, model.requires)];
}

/**
 * How a profile departs from the model of its class, one sentence each: names off the model, other units or words,
 * what is required and missing. Points that never leave and names that begin with `native.` are free.
 */
export function modelProblems(
  profile: Pick<Profile, "class" | "templates" | "records" | "alarms">,
  models: Models,
): string[] {
  const model = models.classes[profile.class];
  if (model === undefined) return [`there is no model of the class ${profile.class}`];
  const known = { ...models.common.points, ...model.points };
  const problems: string[] = [];
  const shown = profile.templates
    .filter(({ publish }) => publish)
    .map((point) =>
      point.each === undefined ? point : { ...point, name: `${point.name}.${point.each.as}1` },
    );
  for (const point of shown) {
    if (isNative(point.name)) continue;
    const found = modelled(point.name, known);
    if (found === undefined) problems.push(offModel(point.name, profile.class, Object.keys(known)));
    else problems.push(...quantityProblems(point, found));
  }
  const alarms = profile.alarms.map((alarm) => ({ ...alarm, kind: "alarm" as const }));
  for (const told of [...profile.records, ...alarms]) {
    if (isNative(told.name)) continue;
    const found = modelled(told.name, model.records);
    if (found === undefined) problems.push(offModel(told.name, profile.class, Object.keys(model.records)));
    else
      problems.push(...("fields" in told ? toldProblems(told, found, models) : recordProblems(told, found)));
  }
  const has = [...shown, ...profile.records, ...alarms].map(({ name }) => name);
  return [...problems, ...missing(profile.class, has, model.requires)];
}
