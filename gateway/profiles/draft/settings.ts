import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { DriverSchemas } from "../../config/drivers.ts";

/** Which of the settings that a device was read with hold for its model as well. */

/** Where it is: a number, but no other unit has it. */
const placeKeys = ["port", "ports", "rtspPort", "unit"];
/** Texts without a list of the possible ones that tell nothing but how the device writes. */
const plainTexts = ["charset", "utcOffset"];

interface Property {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Property[];
  items?: Property;
  default?: unknown;
}

/** Is the value one of few, so that it can hold neither a secret nor a name? */
function isOfFew(value: unknown, { type, enum: words, anyOf, items }: Property): boolean {
  if (Array.isArray(value)) return items !== undefined && value.every((item) => isOfFew(item, items));
  // A span of time is no longer as it was written, and its default is not told.
  if (anyOf !== undefined) return anyOf.some((one) => one.const === value);
  if (words !== undefined) return words.includes(value);
  return type === "boolean" ? typeof value === "boolean" : type === "integer" && Number.isInteger(value);
}

/** The settings of a device, as its driver has parsed them, that are not the defaults and that a profile may have. */
export function modelSettings(
  { settings, siteOnly = [] }: DriverSchemas,
  own: Record<string, unknown>,
): Record<string, unknown> {
  const { properties = {} } = z.toJSONSchema(settings, { io: "input", unrepresentable: "any" });
  const kept = Object.entries(own).filter(([key, value]) => {
    const property = (properties[key] ?? {}) as Property;
    if (siteOnly.includes(key) || placeKeys.includes(key)) return false;
    if (value === undefined || isDeepStrictEqual(value, property.default)) return false;
    return plainTexts.includes(key) ? typeof value === "string" : isOfFew(value, property);
  });
  return Object.fromEntries(kept);
}
