/** Times of a place by its clocks, which are set forward and back, as instants. */

const dayMs = 86_400_000;
/** Clocks are set at quarters of an hour: within one they are as far ahead, and asking costs more than remembering. */
const quarterMs = 900_000;
const aheadMax = 4096;
const knownAhead = new Map<string, number>();
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const two = "2-digit" as const;
  const parts = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two } as const;
  const made = new Intl.DateTimeFormat("en-US", { ...parts, timeZone, hourCycle: "h23" });
  formats.set(timeZone, made);
  return made;
}

/** Whether the machine knows a time zone by this name. */
export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** What the clocks of a zone show at an instant, as if it were UTC, ms; to the second. */
export function localAt(instantMs: number, timeZone: string): number {
  const found = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  for (const { type, value } of formatOf(timeZone).formatToParts(instantMs))
    if (type in found) found[type as keyof typeof found] = Number(value);
  const { year, month, day, hour, minute, second } = found;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function aheadAt(instantMs: number, timeZone: string): number {
  const wholeMs = Math.floor(instantMs / quarterMs) * quarterMs;
  const key = `${wholeMs} ${timeZone}`;
  const known = knownAhead.get(key);
  if (known !== undefined) return known;
  const ahead = localAt(wholeMs, timeZone) - wholeMs;
  if (knownAhead.size >= aheadMax) knownAhead.clear();
  knownAhead.set(key, ahead);
  return ahead;
}

/**
 * When the clocks of a zone show a time (given as if it were UTC, ms). A time that comes twice: the first; one that
 * is left out: when the clocks are set forward over it.
 */
export function instantOf(shownMs: number, timeZone: string): number {
  const early = shownMs - aheadAt(shownMs - dayMs, timeZone);
  const late = shownMs - aheadAt(shownMs + dayMs, timeZone);
  const shown = [early, late].filter((at) => at + aheadAt(at, timeZone) === shownMs);
  if (shown.length > 0) return Math.min(...shown);
  let [before, after] = [Math.min(early, late), Math.max(early, late)];
  const ahead = aheadAt(before, timeZone);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (aheadAt(middle, timeZone) === ahead) before = middle;
    else after = middle;
  }
  return after;
}
