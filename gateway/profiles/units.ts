/**
 * UCUM units that profiles may use, and the spellings of registers and data sheets that are not UCUM.
 * Source: UCUM 2.1, case-sensitive codes.
 */
export const units: ReadonlySet<string> = new Set(
  [
    "1 % deg Cel [degF] K V mV A mA W kW MW V.A kV.A V.A{reactive} kV.A{reactive}",
    "W.h kW.h MW.h V.A.h kV.A.h V.A.h{reactive} kV.A.h{reactive} Hz",
    "ug/m3 ug/m3{N} mg/m3 g/m3 [ppb] [ppm] {NTU} [pH] mg/L uS/cm",
    "m mm cm km m/s km/h hPa kPa Pa bar mm[Hg] mm/h lx W/m2 MJ/m2",
    "kg t g ms s min h d L m3 m3/h m3/s L/s L/min",
    "{vehicles} {vehicles}/h dB dB{A} dB{mW} bit/s By Ohm kOhm",
  ].flatMap((line) => line.split(" ")),
);

const aliases: Record<string, string> = {
  "°C": "Cel",
  C: "Cel",
  "°F": "[degF]",
  "°": "deg",
  VA: "V.A",
  kVA: "kV.A",
  var: "V.A{reactive}",
  kvar: "kV.A{reactive}",
  Wh: "W.h",
  kWh: "kW.h",
  MWh: "MW.h",
  VAh: "V.A.h",
  varh: "V.A.h{reactive}",
  kvarh: "kV.A.h{reactive}",
  NTU: "{NTU}",
  "[NTU]": "{NTU}",
  pH: "[pH]",
  ppm: "[ppm]",
  ppb: "[ppb]",
  dBm: "dB{mW}",
  "dB(A)": "dB{A}",
  mmHg: "mm[Hg]",
  "µg/m³": "ug/m3",
  "ug/Nm3": "ug/m3{N}",
  "mg/l": "mg/L",
  lux: "lx",
  Pct: "%",
};

/** UCUM of a unit as a device writes it: "°C" is "Cel"; undefined where kerb knows no such unit. */
export function ucumOf(text: string): string | undefined {
  if (units.has(text)) return text;
  return Object.hasOwn(aliases, text) ? aliases[text] : undefined;
}

/** Says what is wrong with a unit and what to write instead; undefined when it is good. */
export function unitProblem(unit: string): string | undefined {
  if (units.has(unit)) return undefined;
  const alias = aliases[unit];
  return alias === undefined
    ? `"${unit}" is not a unit that kerb knows (UCUM, case-sensitive)`
    : `"${unit}" is not UCUM: write "${alias}"`;
}
