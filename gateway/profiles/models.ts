import { modelled, type Models, type Quantity, type RecordModel } from "./class-models.ts";
import type { Path } from "../config/path.ts";
import { didYouMean } from "../config/words.ts";
import type { Profile } from "./profiles.ts";

export { loadModels, type Models } from "./class-models.ts";

/** How a profile keeps to the model of its class. */

/** What a device has beside its model: an IOC takes it as the maker's own. */
const isNative = (name: string): boolean => name.startsWith("native.");

type Shown = Pick<Profile["points"][number], "name" | "unit" | "kind" | "values">;

/** Where a profile departs from its model, and what a person is told of it. */
export interface Departure {
  path: Path;
  at: "key" | "value";
  en: string;
  vi: string;
}

/** What a value of a profile says that its model does not. */
function quantityDepartures({ name, unit, kind, values }: Shown, model: Quantity, path: Path): Departure[] {
  const found: Departure[] = [];
  const say = (key: string, en: string, vi: string) =>
    found.push({ path: [...path, key], at: "value", en: `${name}: ${en}`, vi: `${name}: ${vi}` });
  if (unit !== model.unit)
    say(
      "unit",
      `its unit is ${unit}, and ${model.unit} in the model: scale it`,
      `đơn vị là ${unit}, còn trong mô hình là ${model.unit}: hãy quy đổi bằng scale`,
    );
  const words = values === undefined ? undefined : Object.values(values);
  if (model.states !== undefined) {
    const states = model.states.join(", ");
    if (words === undefined)
      say(
        "values",
        `it is one of ${states} in the model: give it values`,
        `trong mô hình nó là một trong ${states}: hãy ghi values`,
      );
    const told = new Set(model.states);
    for (const [raw, one] of Object.entries(values ?? {})) {
      if (told.has(one)) continue;
      told.add(one);
      found.push({
        path: [...path, "values", raw],
        at: "value",
        en: `${name}: "${one}" is none of ${states}`,
        vi: `${name}: "${one}" không thuộc ${states}`,
      });
    }
  } else if (kind !== model.kind || (words !== undefined && model.kind !== "text"))
    say(
      words === undefined ? "kind" : "values",
      `it is ${words === undefined ? kind : "words"}, and ${model.kind} in the model`,
      `kiểu của nó là ${words === undefined ? kind : "từ"}, còn trong mô hình là ${model.kind}`,
    );
  return found;
}

const pointsByKind = new WeakMap<Models, Map<string, Models["common"]["points"]>>();

/** The points of a class, those of all classes among them: the same object each time. */
function pointsOf(models: Models, kind: string): Models["common"]["points"] {
  const byKind = pointsByKind.get(models) ?? new Map<string, Models["common"]["points"]>();
  pointsByKind.set(models, byKind);
  const known = byKind.get(kind) ?? { ...models.common.points, ...models.classes[kind]?.points };
  byKind.set(kind, known);
  return known;
}

/** The states that a class's model gives a point, or a field of a record: several raw values may mean one of them. */
export function modelStates(
  models: Models,
  kind: string,
  name: string,
  recordName?: string,
): readonly string[] | undefined {
  if (recordName === undefined) return modelled(name, pointsOf(models, kind))?.states;
  const { classes, common } = models;
  const model = classes[kind];
  const told = modelled(recordName, model?.records ?? {});
  return modelled(name, { ...common.alarmFields, ...told?.fields })?.states;
}

function offModel(name: string, kind: string, known: readonly string[], path: Path): Departure {
  const number = /[1-9]\d*/.exec(name)?.[0] ?? "1";
  const meant = didYouMean(
    name,
    known.map((model) => model.replaceAll("{n}", number)),
  );
  return {
    path,
    at: "key",
    en: `${name}: no name of the model ${kind}${meant} (the device's own begin with "native.")`,
    vi: `${name}: không phải tên trong mô hình ${kind}${meant.replace("did you mean", "có phải ý bạn là")} (tên riêng của thiết bị bắt đầu bằng "native.")`,
  };
}

function missing(
  what: string,
  has: readonly string[],
  required: readonly (readonly string[])[],
  path: Path,
): Departure[] {
  return required
    .filter((names) => !names.some((name) => has.includes(name)))
    .map((names) => ({
      path,
      at: "key",
      en: `${what}: ${names.join(" or ")} is missing`,
      vi: `${what}: thiếu ${names.join(" hoặc ")}`,
    }));
}

type Told = Pick<RecordModel, "kind"> & {
  name: string;
  category?: string | undefined;
  severity?: string | undefined;
};

function recordDepartures(
  { name, kind, category, severity }: Told,
  model: RecordModel,
  path: Path,
): Departure[] {
  const pairs = [
    ["kind", kind, model.kind],
    ["category", category, model.category],
    ["severity", severity, model.severity ?? severity],
  ] as const;
  return pairs
    .filter(([, is, shall]) => is !== shall)
    .map(([what, is, shall]) => ({
      path: [...path, what],
      at: "value",
      en: `${name}: its ${what} is ${is}, and ${shall} in the model`,
      vi: `${name}: ${what} là ${is}, còn trong mô hình là ${shall}`,
    }));
}

function toldDepartures(
  told: Profile["records"][number],
  model: RecordModel,
  models: Models,
  path: Path,
): Departure[] {
  const known = { ...(model.kind === "alarm" ? models.common.alarmFields : {}), ...model.fields };
  const found = recordDepartures(told, model, path);
  if (told.active !== undefined && told.active !== "active")
    found.push({
      path: [...path, "active"],
      at: "value",
      en: `${told.name}: the field that says whether it lasts is called "active"`,
      vi: `${told.name}: trường cho biết nó còn kéo dài phải tên là "active"`,
    });
  for (const field of told.fields) {
    if (isNative(field.name)) continue;
    const at = [...path, "fields", field.name];
    const entry = modelled(field.name, known);
    const own = { ...field, name: `${told.name}.${field.name}` };
    if (entry === undefined) found.push(offModel(field.name, told.name, Object.keys(known), at));
    else found.push(...quantityDepartures(own, entry, at));
  }
  const has = told.fields.map((field) => field.name);
  return [...found, ...missing(told.name, has, model.requires, path)];
}

/**
 * How a profile departs from the model of its class, and where: names off the model, other units or words, what is
 * required and missing. Points that never leave and names that begin with `native.` are free.
 */
export function modelDepartures(
  profile: Pick<Profile, "class" | "templates" | "records" | "alarms">,
  models: Models,
): Departure[] {
  const model = models.classes[profile.class];
  if (model === undefined)
    return [
      {
        path: ["class"],
        at: "value",
        en: `there is no model of the class ${profile.class}`,
        vi: `không có mô hình cho loại ${profile.class}`,
      },
    ];
  const known = { ...models.common.points, ...model.points };
  const found: Departure[] = [];
  const shown = profile.templates
    .filter(({ publish }) => publish)
    .map((point) => ({
      at: ["points", point.name],
      point: point.each === undefined ? point : { ...point, name: `${point.name}.${point.each.as}1` },
    }));
  for (const { point, at } of shown) {
    if (isNative(point.name)) continue;
    const entry = modelled(point.name, known);
    if (entry === undefined) found.push(offModel(point.name, profile.class, Object.keys(known), at));
    else found.push(...quantityDepartures(point, entry, at));
  }
  const alarms = profile.alarms.map((alarm) => ({ ...alarm, kind: "alarm" as const }));
  for (const told of [...profile.records, ...alarms]) {
    if (isNative(told.name)) continue;
    const path = ["fields" in told ? "records" : "alarms", told.name];
    const entry = modelled(told.name, model.records);
    if (entry === undefined) found.push(offModel(told.name, profile.class, Object.keys(model.records), path));
    else
      found.push(
        ...("fields" in told
          ? toldDepartures(told, entry, models, path)
          : recordDepartures(told, entry, path)),
      );
  }
  const has = [...shown.map(({ point }) => point), ...profile.records, ...alarms].map(({ name }) => name);
  return [...found, ...missing(profile.class, has, model.requires, ["class"])];
}
