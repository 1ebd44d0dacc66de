import type { Derivation } from "../profiles/derived.ts";
import type { Value } from "../driver.ts";
import { quality, type QualityDetail, type ReadingValue } from "../event.ts";
import type { HostPoint } from "./messages.ts";

export interface Normalised {
  value: ReadingValue;
  quality: number;
  detail: QualityDetail | undefined;
}

/** One of the values that another is made from, and what the device said of it. */
interface Input extends Normalised {
  name: string;
  raw: Value | null | undefined;
}

function bad(reason: string): Normalised {
  return { value: null, quality: quality.bad, detail: { code: "derived", reason } };
}

const why = ({ name, detail }: Input): string => `${name}: ${detail?.code ?? "no value"}`;

/** The bits of a whole number under a mask, shifted down to its lowest one; undefined where it is none. */
function bitsOf(raw: Input["raw"], mask: number): number | undefined {
  const isWhole = typeof raw === "bigint" || (typeof raw === "number" && Number.isInteger(raw));
  if (!isWhole) return undefined;
  const wide = BigInt(mask);
  return Number((BigInt(raw) & wide) / (wide & -wide));
}

function arithmetic(
  derive: Exclude<Derivation, { bitmask: unknown }>,
  unit: string,
  values: number[],
): number {
  const [a = NaN, b = NaN] = values;
  if ("sum" in derive) return values.reduce((total, value) => total + value, 0);
  if ("difference" in derive) return a - b;
  return (a / b) * (unit === "%" ? 100 : 1);
}

/**
 * What a derived point is by its inputs, which were read together. Its quality is that of the worst of them; without
 * one of them, or by zero, it is bad with the code "derived". Nothing is made good: a counter that began anew shows.
 */
export function derived(
  { derive, kind, unit }: Pick<HostPoint, "derive" | "kind" | "unit">,
  inputs: readonly Input[],
): Normalised {
  const missing = inputs.find(({ quality: bits, value }) => (bits & quality.bad) !== 0 || value === null);
  if (missing !== undefined || derive === undefined)
    return bad(missing === undefined ? "of nothing" : why(missing));
  const bits = inputs.reduce((all, input) => all | input.quality, 0);
  const doubtful = inputs.find((input) => input.quality !== 0);
  const detail = doubtful === undefined ? undefined : { code: "derived", reason: why(doubtful) };
  if ("bitmask" in derive) {
    const { of, mask } = derive.bitmask;
    const field = bitsOf(inputs[0]?.raw, mask);
    if (field === undefined) return bad(`${of} is no whole number`);
    return { value: kind === "boolean" ? field !== 0 : field, quality: bits, detail };
  }
  const values = inputs.flatMap(({ value }) => (typeof value === "number" ? value : []));
  const wordy = inputs.find(({ value }) => typeof value !== "number");
  if (wordy !== undefined) return bad(`${wordy.name} is no number`);
  if ("ratio" in derive && values[1] === 0) return bad(`${derive.ratio[1]} is 0`);
  return { value: arithmetic(derive, unit, values), quality: bits, detail };
}

/** As a technician sees it in the place of an address: "energy.import - energy.export". */
export function shownDerivation(derive: Derivation): string {
  if ("bitmask" in derive) return `${derive.bitmask.of} & 0x${derive.bitmask.mask.toString(16)}`;
  if ("sum" in derive) return derive.sum.join(" + ");
  return "ratio" in derive ? derive.ratio.join(" / ") : derive.difference.join(" - ");
}
