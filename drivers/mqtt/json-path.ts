/** One step of a path: a member, an index (negative from the end), or the first element whose member equals. */
export type Step =
  | string
  | number
  | { readonly path: readonly Step[]; readonly equals: string | number | boolean };

const stepsMax = 16;
const member = String.raw`\.([A-Za-z_][\w-]*)`;
const quoted = String.raw`\['([^'\\]+)'\]`;
const index = String.raw`\[(-?\d{1,6})\]`;
const filter = String.raw`\[\?@((?:\.[A-Za-z_][\w-]*){1,4})==('[^'\\]*'|-?\d+(?:\.\d+)?|true|false)\]`;
const step = new RegExp(`${member}|${quoted}|${index}|${filter}`, "y");
/** What would reach behind the object that a device sent. */
const forbidden: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Parses "$.rxInfo[0].rssi", "$['a b'].c", "$[?@.name=='x'].value": members, indexes and one kind of filter, at most
 * 16 steps. Nothing is evaluated. undefined: it is no such path.
 */
export function parsePath(text: string): readonly Step[] | undefined {
  if (!text.startsWith("$")) return undefined;
  const steps: Step[] = [];
  for (let at = 1; at < text.length;) {
    step.lastIndex = at;
    const found = step.exec(text);
    if (found === null || steps.length === stepsMax) return undefined;
    const [whole, name, inQuotes, place, path, equals] = found;
    at += whole.length;
    const key = name ?? inQuotes;
    if (key !== undefined && forbidden.has(key)) return undefined;
    if (key !== undefined) steps.push(key);
    else if (place !== undefined) steps.push(Number(place));
    else {
      const inner = parsePath(`$${path}`);
      if (inner === undefined) return undefined;
      steps.push({ path: inner, equals: literal(equals ?? "") });
    }
  }
  return steps;
}

function literal(text: string): string | number | boolean {
  if (text.startsWith("'")) return text.slice(1, -1);
  return text === "true" || text === "false" ? text === "true" : Number(text);
}

/** What stands at a path; undefined where there is nothing. Only what the value itself holds is looked at. */
export function valueAt(root: unknown, steps: readonly Step[]): unknown {
  let value = root;
  for (const one of steps) {
    if (typeof value !== "object" || value === null) return undefined;
    if (typeof one === "string") {
      if (Array.isArray(value) || !Object.hasOwn(value, one)) return undefined;
      value = (value as Tree)[one];
    } else if (!Array.isArray(value)) return undefined;
    else if (typeof one === "number") value = value.at(one) as unknown;
    else value = value.find((element) => valueAt(element, one.path) === one.equals) as unknown;
  }
  return value;
}

type Tree = Record<string, unknown>;

/** An object that holds `value` at a path of members only; undefined where the path has other steps. */
export function objectWith(steps: readonly Step[], value: unknown): unknown {
  let made = value;
  for (const one of steps.toReversed()) {
    if (typeof one !== "string") return undefined;
    made = { [one]: made };
  }
  return made;
}
