const decoder = new TextDecoder("utf-8", { fatal: true });
const depthMax = 32;

/** What a payload holds, or why it is none. */
export type Parsed = { value: unknown } | { garbage: string };

/** Parses JSON text whose size has been checked: UTF-8, at most 32 levels deep, no `__proto__`. Never throws. */
export function parseJson(bytes: Uint8Array): Parsed {
  if (isDeep(bytes)) return { garbage: `more than ${depthMax} levels deep` };
  try {
    const text = decoder.decode(bytes);
    if (text.includes('"__proto__"')) return { garbage: "has a member __proto__" };
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { garbage: error instanceof SyntaxError ? "no JSON" : "no UTF-8" };
  }
}

/** Counts brackets outside of strings, before anything is built from them. */
function isDeep(bytes: Uint8Array): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > depthMax) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}

/** The text of a small payload; undefined if it is no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * A device's own time, ms since 1970: seconds or milliseconds as a number or in digits, or ISO 8601 with its zone. A
 * time without a zone could mean any of 38 hours, and is none.
 */
export function timeOf(value: unknown): number | undefined {
  if (typeof value === "number" || (typeof value === "string" && /^\d{9,13}$/.test(value))) {
    const number = Number(value);
    return number > 0 ? (number > 1e11 ? number : number * 1000) : undefined;
  }
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT.{5,20}(Z|[+-]\d\d:?\d\d)$/.test(value))
    return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

/** A topic as it is shown: a publisher decides how long it is, up to 64 KB. */
export function shortTopic(topic: string): string {
  return topic.length > 200 ? `${topic.slice(0, 200)}…` : topic;
}
