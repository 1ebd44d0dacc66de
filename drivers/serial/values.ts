import type { At, Field, Flag } from "./grammar.ts";
import type { QualityStatus, Value } from "../../gateway/driver.ts";

/** A value, or why there is none. */
export type Decoded = { value: Value } | { code: string; reason: string };

const decimal = /^([+-]?) *(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const gesytec = /^([+-]\d{4})([+-]\d{2})$/;

/** The value that a field's text stands for. Decimal digits are kept: what the instrument wrote is what is read. */
export function decode({ as, none }: Pick<Field, "as" | "none">, text: string): Decoded {
  const plain = text.trim();
  const code = Object.hasOwn(none, plain) ? none[plain] : undefined;
  if (code !== undefined) return { code, reason: `the instrument says "${shown(plain)}"` };
  if (plain === "") return { code: "blank", reason: "the instrument left it empty" };
  if (as === "text") return { value: plain };
  if (as === "boolean") {
    const value = /^(true|1)$/i.test(plain);
    return value || /^(false|0)$/i.test(plain)
      ? { value }
      : { code: "not-a-boolean", reason: "neither true nor false" };
  }
  const value = numbers[as](plain, text);
  return value !== undefined && Number.isFinite(value)
    ? { value }
    : { code: "not-a-number", reason: `not a number in the form ${as}` };
}

const numbers: Record<
  Exclude<Field["as"], "text" | "boolean">,
  (plain: string, text: string) => number | undefined
> = {
  decimal: decimalOf,
  "decimal-comma": (plain) => decimalOf(plain.replace(",", ".")),
  gesytec: (plain) => {
    const [, mantissa, exponent] = gesytec.exec(plain) ?? [];
    // As text: 7116 * 10 ** -1 would be 711.6000000000001.
    return mantissa === undefined ? undefined : Number(`${mantissa}e${exponent}`);
  },
  hex: (plain) => (/^[0-9a-fA-F]{1,12}$/.test(plain) ? Number.parseInt(plain, 16) : undefined),
  bcd: (_, text) => {
    const digits = Buffer.from(text, "latin1").toString("hex");
    return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
  },
};

function decimalOf(text: string): number | undefined {
  const [, sign, digits, exponent = ""] = decimal.exec(text) ?? [];
  return digits === undefined ? undefined : Number(`${sign}${digits}${exponent}`);
}

/** What stood in a frame, short and printable. */
function shown(text: string): string {
  return text.slice(0, 16).replaceAll(/[^ -~]/g, "?");
}

/** What the status parts of a frame say of a value. */
export interface Verdict {
  status: QualityStatus;
  code?: string;
  reason?: string;
}

const rank: Record<QualityStatus, number> = { good: 0, uncertain: 1, bad: 2 };

/** The worse of two; the code of the worst one is kept as the instrument wrote it. */
export function worse(one: Verdict, other: Verdict): Verdict {
  const isWorse = rank[other.status] > rank[one.status];
  return isWorse || (one.code === undefined && other.status === one.status) ? other : one;
}

/** The worst of what the flags say of a field. `parts`: how many parts there are, for a flag of the rest of them. */
export function judge(
  flags: readonly Flag[],
  textOf: (at: At) => string | undefined,
  field?: string,
  parts = 0,
): Verdict {
  let worst: Verdict = { status: "good" };
  for (const flag of flags) {
    if (flag.only !== undefined && (field === undefined || !flag.only.includes(field))) continue;
    if (!flag.match.every(({ at, is }) => textOf(at)?.trim() === is)) continue;
    if (!flag.rest) {
      worst = worse(worst, judgeOne(flag, textOf(flag.at)));
      continue;
    }
    for (let at = Number(flag.at); at < parts; at++) {
      const text = textOf(at)?.trim() ?? "";
      // A row may end with a delimiter.
      if (text !== "") worst = worse(worst, judgeOne({ ...flag, code: `${flag.code}${at + 1}` }, text));
    }
  }
  return worst;
}

function judgeOne(flag: Flag, text: string | undefined): Verdict {
  if (text === undefined)
    return { status: "bad", code: `${flag.code}-missing`, reason: "the frame has no status" };
  if (flag.as === "text") return judgeText(flag, text.trim());
  const bits = flag.as === "binary" ? Buffer.from(text, "latin1")[0] : hexOf(text.trim());
  if (bits === undefined)
    return { status: "bad", code: `${flag.code}-unreadable`, reason: "not hexadecimal" };
  let status: QualityStatus = "good";
  const reasons: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const isSet = ((bits >>> bit) & 1) !== 0;
    const unlisted = isSet ? { quality: flag.other, reason: `bit ${bit}` } : undefined;
    const meaning = (isSet ? flag.bits : flag.clear)[String(bit)] ?? unlisted;
    if (meaning === undefined || meaning.quality === "good") continue;
    if (rank[meaning.quality] > rank[status]) status = meaning.quality;
    reasons.push(meaning.reason);
  }
  if (reasons.length === 0) return { status: "good" };
  return { status, code: `${flag.code}-${hex(bits)}`, reason: reasons.join(", ") };
}

function judgeText(flag: Flag, text: string): Verdict {
  const meaning = Object.hasOwn(flag.values, text) ? flag.values[text] : undefined;
  const { quality, reason } = meaning ?? {
    quality: flag.other,
    reason: "not among the texts that are known",
  };
  if (quality === "good") return { status: "good" };
  const native = text.replaceAll(/[^\w.+-]/g, "").slice(0, 16);
  return { status: quality, code: native === "" ? flag.code : `${flag.code}-${native}`, reason };
}

const hexOf = (text: string): number | undefined =>
  /^[0-9a-fA-F]{1,8}$/.test(text) ? Number.parseInt(text, 16) : undefined;
const hex = (bits: number): string => bits.toString(16).toUpperCase().padStart(2, "0");
