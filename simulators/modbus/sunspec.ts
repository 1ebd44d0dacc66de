import type { SimulatedPoint } from "../simulator.ts";

/** The end of a chain of SunSpec models, which no profile has a point for: real devices have one (id 0xFFFF, length 0). */

const isNumber = (value: unknown): value is number => typeof value === "number";

/** The points that end the chain which begins at a text "SunS"; none where there is no chain, or more of it. */
export function chainEnd(points: readonly SimulatedPoint[]): SimulatedPoint[] {
  const fixed = new Map<unknown, unknown>();
  for (const { address, fixed: value } of points) {
    const { table, register } = (address ?? {}) as { table?: unknown; register?: unknown };
    if (table === "holding" && value !== undefined) fixed.set(register, value);
  }
  const base = [0, 40_000, 50_000].find((register) => fixed.get(register) === "SunS");
  if (base === undefined) return [];
  let at = base + 2;
  for (
    let length = fixed.get(at + 1);
    isNumber(fixed.get(at)) && isNumber(length);
    length = fixed.get(at + 1)
  )
    at += 2 + length;
  if (fixed.has(at) || at === base + 2) return [];
  return [0xffff, 0].map((value, i) => ({
    name: `sunspec.end.${i}`,
    address: { table: "holding", register: at + i, type: "uint16" },
    scale: 1,
    offset: 0,
    fixed: value,
  }));
}
