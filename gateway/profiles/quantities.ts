import { z } from "zod";

const milliseconds: Record<string, number> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const bytes: Record<string, number> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

function quantity(units: Record<string, number>, what: string, example: string) {
  const pattern = new RegExp(`^(\\d+(?:\\.\\d+)?)\\s*(${Object.keys(units).join("|")})$`);
  const error = `expected ${what} with its unit, such as "${example}"`;
  return z
    .string({ error: (issue) => (issue.input === undefined || issue.input === null ? undefined : error) })
    .max(24)
    .regex(pattern, { error })
    .transform((text) => {
      const [, amount = "0", unit = ""] = pattern.exec(text) ?? [];
      return Math.round(Number(amount) * (units[unit] ?? 1));
    })
    .meta({ examples: [example] });
}

/** A time span with its unit ("500ms", "1s", "5m", "72h"); parsed to ms. */
export const duration = quantity(milliseconds, "a time span", "10s");

/** A size with its unit ("64MiB", "4GiB"); parsed to bytes. */
const byteSize = quantity(bytes, "a size", "64MiB");

function between(schema: typeof duration, what: string, least: string, most: string) {
  const [lowest, highest] = [schema.parse(least), schema.parse(most)];
  return schema.refine((amount) => amount >= lowest && amount <= highest, {
    error: `expected ${what} from ${least} to ${most}`,
  });
}

/** A time span in ms within bounds, which are written with their units. */
export function durationBetween(least: string, most: string) {
  return between(duration, "a time span", least, most);
}

/** A size in bytes within bounds, which are written with their units. */
export function byteSizeBetween(least: string, most: string) {
  return between(byteSize, "a size", least, most);
}
