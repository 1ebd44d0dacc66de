import { grammar, type Field } from "./grammar.ts";

/** What the fields of a profile's grammar can hold: for the lint. */

type Grammar = ReturnType<typeof grammar.parse>;
interface Address {
  request?: string | undefined;
  frame?: string | undefined;
  item?: string | undefined;
  field?: string | undefined;
}
/** Why a field is never read. */
interface Missing {
  unreachable: { en: string; vi: string };
}

/** Most digits that the driver reads of a hexadecimal and of a coded decimal number. */
const hexDigitsMax = 12;
const bcdDigitsMax = 15;
/** Seven digits (SDI-12 1.4, table 10). */
const sdi12Max = 9_999_999;

/** A profile's settings are looked at once for each of its points. */
const parsed = new WeakMap<object, Grammar | undefined>();
function grammarOf(settings: { grammar?: unknown }): Grammar | undefined {
  if (!parsed.has(settings)) parsed.set(settings, grammar.safeParse(settings.grammar).data);
  return parsed.get(settings);
}

const named = <Item>(items: Readonly<Record<string, Item>>, name: string): Item | undefined =>
  Object.hasOwn(items, name) ? items[name] : undefined;

const missing = (what: string, vi: string, name: string): Missing => ({
  unreachable: {
    en: `the grammar of the settings has no ${what} "${name}"`,
    vi: `grammar của settings không có ${vi} "${name}"`,
  },
});

/** Numbers of so many characters, and no more than the driver reads. Columns of a fixed width hold no exponents. */
function held({ as, at }: Field) {
  const width = Array.isArray(at) ? at[1] : undefined;
  switch (as) {
    case "text":
    case "boolean":
      return { gives: as };
    case "hex":
      return whole(16 ** Math.min(width ?? hexDigitsMax, hexDigitsMax) - 1);
    case "bcd":
      // Two digits in each byte.
      return whole(10 ** Math.min((width ?? bcdDigitsMax) * 2, bcdDigitsMax) - 1);
    case "gesytec":
      return { gives: "number" as const, raw: [-9999e99, 9999e99] as const };
    default:
      return width === undefined || width > bcdDigitsMax
        ? { gives: "number" as const }
        : { gives: "number" as const, raw: [Math.min(0, 1 - 10 ** (width - 1)), 10 ** width - 1] as const };
  }
}

const whole = (most: number) => ({ gives: "number" as const, raw: [0, most] as const, isWhole: true });

/** What a field of the profile's own grammar can hold, or why there is none. */
export function fieldFacts({ request, frame, item, field }: Address, settings: { grammar?: unknown }) {
  const own = grammarOf(settings);
  // What is wrong with the grammar is told where it stands; a record's own address names no field.
  if (own === undefined) return {};
  const asked = request === undefined ? undefined : named(own.requests, request);
  if (request !== undefined && asked === undefined) return missing("request", "request", request);
  if (asked?.sdi12 !== undefined)
    return field === undefined || /^value[1-9]\d?$/.test(field)
      ? { gives: "number" as const, raw: [-sdi12Max, sdi12Max] as const }
      : missing("value", "giá trị", field);
  const name = frame ?? asked?.answer ?? "";
  const told = named(own.frames, name);
  if (told === undefined) return missing("frame", "frame", name);
  if (field === undefined) return {};
  if (field === "missed" && frame !== undefined && item === undefined) return whole(Number.MAX_SAFE_INTEGER);
  const found = named(item === undefined ? told.fields : (told.items?.fields ?? {}), field);
  return found === undefined
    ? missing(`field in frame ${name}`, `trường trong frame ${name}`, field)
    : held(found);
}
