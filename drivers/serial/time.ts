const tokens = ["YYYY", "YY", "MM", "DD", "HH", "mm", "ss", "SSS"] as const;
type Token = (typeof tokens)[number];

/** How far "+07:00" is east of UTC, ms. */
export function zoneMs(zone: string): number {
  const [hours = 0, minutes = 0] = zone.slice(1).split(":").map(Number);
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/**
 * A time as an instrument writes it, ms since 1970 UTC; undefined when it is none. A time of the form "iso" with an
 * offset of its own is taken by that.
 */
export function timeOf(text: string, format: string, zone: string): number | undefined {
  const plain = text.trim();
  if (format === "unix" || format === "unixms") {
    if (!/^\d{1,14}(\.\d{1,6})?$/.test(plain)) return undefined;
    return Math.round(Number(plain) * (format === "unix" ? 1000 : 1));
  }
  if (format === "iso") {
    const own = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?(?:\.\d{1,6})?)(Z|[+-]\d\d:?\d\d)?$/.exec(plain);
    if (own === null) return undefined;
    const timeMs = Date.parse(`${own[1]}T${own[2]}${own[3] ?? zone}`);
    return Number.isNaN(timeMs) ? undefined : timeMs;
  }
  return inFormat(plain, format, zone);
}

function inFormat(text: string, format: string, zone: string): number | undefined {
  const found: Partial<Record<Token, number>> = {};
  let at = 0;
  for (let i = 0; i < format.length;) {
    const token = tokens.find((one) => format.startsWith(one, i));
    if (token === undefined) {
      if (text[at] !== format[i]) return undefined;
      at++;
      i++;
      continue;
    }
    const digits = text.slice(at, at + token.length);
    if (digits.length !== token.length || !/^\d+$/.test(digits)) return undefined;
    found[token] = Number(digits);
    at += token.length;
    i += token.length;
  }
  if (at !== text.length) return undefined;
  return timeFrom(found, zone);
}

function timeFrom(found: Partial<Record<Token, number>>, zone: string): number | undefined {
  const { YYYY, YY, MM = 0, DD = 0, HH = 0, mm = 0, ss = 0, SSS = 0 } = found;
  const year = YYYY ?? (YY === undefined ? undefined : 2000 + YY);
  if (year === undefined || HH > 24 || mm > 59 || ss > 60) return undefined;
  const dayMs = Date.UTC(year, MM - 1, DD);
  const day = new Date(dayMs);
  if (day.getUTCMonth() !== MM - 1 || day.getUTCDate() !== DD) return undefined;
  // 24:00 is how some loggers write the end of a day.
  return dayMs + ((HH * 60 + mm) * 60 + ss) * 1000 + SSS - zoneMs(zone);
}
