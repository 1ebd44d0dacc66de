import { modelled, type Models, type Quantity, type RecordModel } from "./class-models.ts";
import { didYouMean } from "./config/words.ts";
import type { Profile } from "./profiles.ts";

export { loadModels, type Models } from "./class-models.ts";

/** How a profile keeps to the model of its class. */

/** What a device has beside its model: an IOC takes it as the maker's own. */
const isNative = (name: string): boolean => name.startsWith("native.");

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
