/** When the sun rises and sets, after the formulas of NOAA's solar calculator (Meeus, Astronomical Algorithms). */

const dayMs = 86_400_000;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;
const sine = (degrees: number): number => Math.sin(radians(degrees));
const cosine = (degrees: number): number => Math.cos(radians(degrees));
const degrees = (angle: number): number => (angle * 180) / Math.PI;
/** The upper edge of the sun at the horizon, with the usual refraction. */
const zenith = 90.833;

/** Declination in degrees and equation of time in minutes. */
function sunAt(instantMs: number): { declination: number; equation: number } {
  const t = (instantMs / dayMs + 2_440_587.5 - 2_451_545) / 36_525;
  const longitude = (280.46646 + t * (36_000.76983 + 0.0003032 * t)) % 360;
  const anomaly = 357.52911 + t * (35_999.05029 - 0.0001537 * t);
  const eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t);
  const centre =
    sine(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t)) +
    sine(2 * anomaly) * (0.019993 - 0.000101 * t) +
    sine(3 * anomaly) * 0.000289;
  const node = 125.04 - 1934.136 * t;
  const apparent = longitude + centre - 0.00569 - 0.00478 * sine(node);
  const mean = 23 + (26 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60;
  const obliquity = mean + 0.00256 * cosine(node);
  const y = Math.tan(radians(obliquity / 2)) ** 2;
  const equation =
    4 *
    degrees(
      y * sine(2 * longitude) -
        2 * eccentricity * sine(anomaly) +
        4 * eccentricity * y * sine(anomaly) * cosine(2 * longitude) -
        0.5 * y * y * sine(4 * longitude) -
        1.25 * eccentricity * eccentricity * sine(2 * anomaly),
    );
  return { declination: degrees(Math.asin(sine(obliquity) * sine(apparent))), equation };
}

export type SunEvent = "sunrise" | "sunset";

/**
 * When the sun rises or sets on a day (`dayMs`: its midnight as if it were UTC), ms since 1970 UTC, at a place in
 * degrees; undefined: not on that day. Good to about a minute between 72° S and 72° N.
 */
export function sunTime(
  event: SunEvent,
  midnightMs: number,
  { lat, lon }: { lat: number; lon: number },
): number | undefined {
  let found = midnightMs + dayMs * (0.5 - lon / 360);
  // The sun moves on between noon and its setting.
  for (let round = 0; round < 3; round++) {
    const { declination, equation } = sunAt(found);
    const hour =
      cosine(zenith) / (cosine(lat) * cosine(declination)) -
      Math.tan(radians(lat)) * Math.tan(radians(declination));
    if (!(Math.abs(hour) <= 1)) return undefined;
    const angle = degrees(Math.acos(hour)) * (event === "sunrise" ? 1 : -1);
    found = midnightMs + 60_000 * (720 - 4 * (lon + angle) - equation);
  }
  return found;
}
