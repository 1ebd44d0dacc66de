/** Where a value is in a document: members, indexes and equality filters, and nothing that computes. */

/** One step: a member's name, a place in a list (negative: from its end), or the item whose member is equal. */
export type Step =
  | { readonly member: string }
  | { readonly index: number }
  | { readonly where: readonly string[]; readonly equals: string };

const stepsMax = 16;
const token =
  /\.([^\s.[\]"=?]+)|\["([^"]+)"\]|\[(-?\d{1,6})\]|\[\?([^\s[\]"=?]+)=(?:"([^"]*)"|([^\s"[\]]+))\]/y;

/** The steps of `$.lamps[?id=L1].dim`; undefined when it is none. `{name}` in a filter stands for a variable. */
export function parsePick(text: string): Step[] | undefined {
  if (!text.startsWith("$") || text.length > 256) return undefined;
  const steps: Step[] = [];
  token.lastIndex = 1;
  while (token.lastIndex < text.length) {
    const found = token.exec(text);
    if (found === null || steps.length === stepsMax) return undefined;
    const [, member, quoted, index, where, quotedValue, value] = found;
    const name = member ?? quoted;
    if (name !== undefined) steps.push({ member: name });
    else if (index !== undefined) steps.push({ index: Number(index) });
    else if (where !== undefined) steps.push({ where: where.split("."), equals: quotedValue ?? value ?? "" });
  }
  return steps;
}

/** The steps with the variables of the device in their filters. */
export function fillPick(steps: readonly Step[], fill: (text: string) => string): Step[] {
  return steps.map((step) => ("equals" in step ? { ...step, equals: fill(step.equals) } : step));
}

function own(value: unknown, name: string): unknown {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

/** A list, or what would be one if there were two of it: XML does not tell a list of one from a single element. */
function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  return value === undefined || value === null ? [] : [value];
}

function matches(item: unknown, where: readonly string[], equals: string): boolean {
  let value = item;
  for (const name of where) value = own(value, name);
  return ["string", "number", "boolean", "bigint"].includes(typeof value) && String(value) === equals;
}

/** What the steps lead to, at most `most` of it: a filter may hold for several items of a list. */
export function pickAll(root: unknown, steps: readonly Step[], most: number): unknown[] {
  let found: unknown[] = [root];
  for (const step of steps) {
    const next: unknown[] = [];
    for (const value of found) {
      if ("where" in step) {
        for (const item of listOf(value)) if (matches(item, step.where, step.equals)) next.push(item);
      } else {
        const one = "member" in step ? own(value, step.member) : listOf(value).at(step.index);
        if (one !== undefined) next.push(one);
      }
    }
    found = next.slice(0, most);
  }
  return found;
}

/** What the steps lead to first; undefined when there is nothing. */
export function pick(root: unknown, steps: readonly Step[]): unknown {
  return pickAll(root, steps, 1)[0];
}
