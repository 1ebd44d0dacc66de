/**
 * Points that are not read but made from others of the same poll: a few fixed functions and no language. Without
 * zod, because hosts use it too.
 */

/** How a point is made: a - b · a / b · a + b + … · bits of a whole number, shifted down to the lowest one. */
export type Derivation =
  | { difference: readonly [string, string] }
  | { ratio: readonly [string, string] }
  | { sum: readonly string[] }
  | { bitmask: { of: string; mask: number } };

interface Needing {
  name: string;
  scaleFactor?: string | undefined;
  derive?: Derivation | undefined;
}

/** The points that one is made from. */
export function inputsOf({ derive }: Pick<Needing, "derive">): readonly string[] {
  if (derive === undefined) return [];
  if ("bitmask" in derive) return [derive.bitmask.of];
  const { sum, ratio, difference } = derive as Partial<Record<string, readonly string[]>>;
  // None in a file that is wrong: its other mistakes are told too.
  return sum ?? ratio ?? difference ?? [];
}

/** The points and all that they cannot be told without (inputs, their inputs, scale factors), in the list's order. */
export function withNeeded<Point extends Needing>(all: readonly Point[], wanted: readonly Point[]): Point[] {
  const byName = new Map(all.map((point) => [point.name, point]));
  const needed = new Set<Point>();
  // A file may hold thousands of scale factors of scale factors.
  const open = [...wanted];
  for (let point = open.pop(); point !== undefined; point = open.pop()) {
    if (needed.has(point)) continue;
    needed.add(point);
    for (const name of [point.scaleFactor, ...inputsOf(point)]) {
      const other = name === undefined ? undefined : byName.get(name);
      if (other !== undefined) open.push(other);
    }
  }
  return all.filter((point) => needed.has(point));
}

/** The derivation with its inputs named anew. */
export function renamed(derive: Derivation, rename: (input: string) => string): Derivation {
  if ("bitmask" in derive) return { bitmask: { ...derive.bitmask, of: rename(derive.bitmask.of) } };
  if ("sum" in derive) return { sum: derive.sum.map(rename) };
  const pair = ([a, b]: readonly [string, string]) => [rename(a), rename(b)] as const;
  return "ratio" in derive ? { ratio: pair(derive.ratio) } : { difference: pair(derive.difference) };
}

const listed = new WeakMap<readonly object[], readonly object[]>();

/** The points of a list that a driver is asked for: all but the derived ones. The same list gives the same list. */
export function askedOf<Point extends Needing>(points: readonly Point[]): readonly Point[] {
  if (points.every(({ derive }) => derive === undefined)) return points;
  const asked = listed.get(points) ?? points.filter(({ derive }) => derive === undefined);
  listed.set(points, asked);
  return asked as readonly Point[];
}

/**
 * The points without the derived ones whose inputs are not all there, and those last: what a driver answers stands
 * at the places of what it was asked for.
 */
export function settled<Point extends Needing>(points: readonly Point[]): readonly Point[] {
  if (points.every(({ derive }) => derive === undefined)) return points;
  let kept: readonly Point[] = [...askedOf(points), ...points.filter(({ derive }) => derive !== undefined)];
  for (let before = Infinity; kept.length < before;) {
    before = kept.length;
    const names = new Set(kept.map(({ name }) => name));
    kept = kept.filter((point) => inputsOf(point).every((input) => names.has(input)));
  }
  const isSame = kept.length === points.length && kept.every((point, i) => point === points[i]);
  return isSame ? points : kept;
}
