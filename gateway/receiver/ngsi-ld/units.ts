/**
 * Conversion between units of one quantity. What is not listed here is not converted: µg/m³ at normal conditions and
 * ppb need temperature, pressure and molar mass, and annotated units such as {NTU} are only equal to themselves.
 */
const quantities: readonly Record<string, number>[] = [
  { "1": 1, "%": 0.01 },
  { W: 1, kW: 1e3, MW: 1e6 },
  { V: 1, mV: 1e-3, kV: 1e3 },
  { A: 1, mA: 1e-3 },
  { "V.A": 1, "kV.A": 1e3 },
  { "V.A{reactive}": 1, "kV.A{reactive}": 1e3 },
  { "W.h": 1, "kW.h": 1e3, "MW.h": 1e6 },
  { "V.A.h{reactive}": 1, "kV.A.h{reactive}": 1e3 },
  { m: 1, mm: 1e-3, cm: 1e-2, km: 1e3 },
  { "m/s": 3.6, "km/h": 1 },
  { Pa: 1, hPa: 100, kPa: 1e3, bar: 1e5, "mm[Hg]": 133.322 },
  { "ug/m3": 1, "mg/m3": 1e3, "g/m3": 1e6 },
  { kg: 1, g: 1e-3, t: 1e3 },
  { s: 1, ms: 1e-3, min: 60, h: 3600, d: 86_400 },
  { m3: 1, L: 1e-3 },
  { "m3/h": 1, "m3/s": 3600, "L/s": 3.6, "L/min": 0.06 },
];

const toCelsius: Record<string, (value: number) => number> = {
  K: (value) => value - 273.15,
  "[degF]": (value) => ((value - 32) * 5) / 9,
};

/** UN/CEFACT codes of UCUM units, for `unitCode`. Source: UNECE Recommendation 20. */
const codes: Record<string, string> = {
  "1": "C62",
  "%": "P1",
  Cel: "CEL",
  deg: "DD",
  V: "VLT",
  A: "AMP",
  W: "WTT",
  kW: "KWT",
  "kW.h": "KWH",
  Hz: "HTZ",
  m: "MTR",
  cm: "CMT",
  mm: "MMT",
  "m/s": "MTS",
  "km/h": "KMH",
  hPa: "A97",
  "ug/m3": "GQ",
  "mg/m3": "GP",
  "mg/L": "M1",
  "W/m2": "D54",
  lx: "LUX",
  kg: "KGM",
  t: "TNE",
  s: "SEC",
  min: "MIN",
  h: "HUR",
  m3: "MTQ",
  "m3/h": "MQH",
  "dB{mW}": "DBM",
  dB: "2N",
};

/** The UN/CEFACT code of a unit; undefined where kerb knows none. */
export function unitCode(unit: string): string | undefined {
  return codes[unit];
}

/** `value` in another unit of the same quantity; undefined when there is no such conversion or no finite result. */
export function convert(value: number, from: string, to: string): number | undefined {
  let converted: number | undefined;
  if (from === to) converted = value;
  else if (to === "Cel") converted = toCelsius[from]?.(value);
  else {
    const quantity = quantities.find((units) => from in units && to in units);
    if (quantity !== undefined) converted = value * ((quantity[from] ?? 1) / (quantity[to] ?? 1));
  }
  if (converted === undefined || !Number.isFinite(converted)) return undefined;
  // What binary fractions add (72 % = 0.7200000000000001) is no digit of the instrument.
  return from === to ? converted : Number(converted.toPrecision(12));
}
