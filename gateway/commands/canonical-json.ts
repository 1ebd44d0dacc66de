/**
 * The one text of a JSON value (RFC 8785): keys in the order of their UTF-16 units, no white space, numbers and texts
 * as ECMAScript writes them. Throws `RangeError` on what JSON does not have (NaN, undefined, half a surrogate pair).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => `${canonicalJson(key)}:${canonicalJson(inner)}`);
    return `{${parts.join(",")}}`;
  }
  const isSound =
    value === null ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value)) ||
    (typeof value === "string" && value.isWellFormed());
  if (!isSound) throw new RangeError("a value that JSON does not have");
  return JSON.stringify(value);
}
