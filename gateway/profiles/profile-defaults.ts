import { loadModels, modelled, type Models, type Quantity } from "./class-models.ts";
import { isRecord } from "../config/path.ts";

/** What a profile need not say, because the model of its class does: label, unit and kind, and the texts of states. */

type Tree = Record<string, unknown>;
type Quantities = Models["common"]["points"];

let shipped: Models | undefined;
const models = (): Models => (shipped ??= loadModels());

/** The part that a pattern leaves open, for the label: "L1" of `voltage.L1` by `voltage.L{n}`. */
function whichOf(name: string, known: Quantities): string {
  if (Object.hasOwn(known, name)) return "";
  const [, ...parts] = name.split(".");
  return parts.length === 0 ? "" : ` ${parts.join(" ")}`;
}

function labelled({ en, vi }: Quantity, which: string): { en: string; vi: string } {
  return { en: `${en}${which}`, vi: `${vi}${which}` };
}

/** One point or field with what its model says and it does not. */
function filled(name: string, point: unknown, known: Quantities): unknown {
  if (!isRecord(point)) return point;
  const { each, values, derive } = point;
  const as = isRecord(each) && typeof each["as"] === "string" ? each["as"] : undefined;
  const ownName = as === undefined ? name : `${name}.${as}1`;
  const model = modelled(ownName, known);
  if (model === undefined) return point;
  const which = as === undefined ? whichOf(name, known) : " {name}";
  // Words are told as they are, whatever number they stand for.
  const isWords = values !== undefined || model.states !== undefined;
  const isNumber = isRecord(derive) && !Object.hasOwn(derive, "bitmask");
  return {
    ...(point["label"] === undefined ? { label: labelled(model, which) } : {}),
    ...(point["unit"] === undefined ? { unit: model.unit } : {}),
    ...(point["kind"] === undefined && !isWords && !isNumber ? { kind: model.kind } : {}),
    ...point,
  };
}

function all(items: unknown, change: (name: string, item: unknown) => unknown): unknown {
  if (!isRecord(items)) return items;
  return Object.fromEntries(Object.entries(items).map(([name, item]) => [name, change(name, item)]));
}

function filledRecord(name: string, record: unknown, model: Models["classes"][string]): unknown {
  if (!isRecord(record)) return record;
  const found = modelled(name, model.records);
  if (found === undefined) return record;
  const known = { ...(found.kind === "alarm" ? models().common.alarmFields : {}), ...found.fields };
  return {
    ...(record["label"] === undefined ? { label: { en: found.en, vi: found.vi } } : {}),
    ...record,
    fields: all(record["fields"], (field, one) => filled(field, one, known)),
  };
}

/** What is said of the points of a class: by name or pattern. None where kerb has no such class. */
export function pointsOfClass(name: unknown): Quantities {
  const { classes, common } = models();
  if (typeof name !== "string" || !Object.hasOwn(classes, name)) return {};
  return { ...common.points, ...classes[name]?.points };
}

/** The text of a profile, before it is checked, with what the model of its class says where it says nothing. */
export function withClassDefaults(profile: unknown): unknown {
  if (!isRecord(profile)) return profile;
  const { class: name, points, records } = profile;
  const model =
    typeof name === "string" && Object.hasOwn(models().classes, name) ? models().classes[name] : undefined;
  if (model === undefined) return profile;
  const known = pointsOfClass(name);
  const more: Tree = {};
  if (points !== undefined) more["points"] = all(points, (point, one) => filled(point, one, known));
  if (records !== undefined)
    more["records"] = all(records, (record, one) => filledRecord(record, one, model));
  return { ...profile, ...more };
}

/** The texts of these states, as far as the models have them. */
export function textsOf(states: readonly string[]): Record<string, { en: string; vi: string }> {
  const { words } = models();
  return Object.fromEntries(
    states.flatMap((state) => {
      const text = Object.hasOwn(words, state) ? words[state] : undefined;
      return text === undefined ? [] : [[state, text]];
    }),
  );
}

/** The label of a point by the model of its class; undefined where that has no such name. */
export function labelOf(name: string, known: Quantities): { en: string; vi: string } | undefined {
  const model = modelled(name, known);
  return model === undefined ? undefined : labelled(model, whichOf(name, known));
}
