/**
 * UCUM codes of units by their common code of UN/CEFACT Recommendation 20, which is what an EUInformation carries
 * (OPC 10000-8, 5.6.3.3). Source: UNECE_to_OPCUA.csv of the OPC Foundation.
 */
const ucumByCode: Record<string, string> = {
  C62: "1",
  P1: "%",
  DD: "deg",
  CEL: "Cel",
  FAH: "[degF]",
  KEL: "K",
  VLT: "V",
  "2Z": "mV",
  AMP: "A",
  "4K": "mA",
  WTT: "W",
  KWT: "kW",
  MAW: "MW",
  WHR: "W.h",
  KWH: "kW.h",
  MWH: "MW.h",
  HTZ: "Hz",
  GQ: "ug/m3",
  GP: "mg/m3",
  A93: "g/m3",
  M1: "mg/L",
  "59": "[ppm]",
  Q30: "[pH]",
  MTR: "m",
  MMT: "mm",
  CMT: "cm",
  KMT: "km",
  KTM: "km",
  MTS: "m/s",
  KMH: "km/h",
  A97: "hPa",
  KPA: "kPa",
  PAL: "Pa",
  BAR: "bar",
  HN: "mm[Hg]",
  H67: "mm/h",
  LUX: "lx",
  D54: "W/m2",
  KGM: "kg",
  TNE: "t",
  GRM: "g",
  C26: "ms",
  SEC: "s",
  MIN: "min",
  HUR: "h",
  DAY: "d",
  LTR: "L",
  MTQ: "m3",
  MQH: "m3/h",
  MQS: "m3/s",
  G51: "L/s",
  L2: "L/min",
  "2N": "dB",
  AD: "By",
};

/** The only namespace in which a unit's number is such a code. */
const unece = "http://www.opcfoundation.org/UA/units/un/cefact";

/** UCUM of an EUInformation; undefined where it has no code, or one of a unit that kerb does not know. */
export function ucumOf(namespaceUri: unknown, unitId: unknown): string | undefined {
  if (namespaceUri !== unece || typeof unitId !== "number" || unitId <= 0) return undefined;
  const bytes = [unitId >>> 24, unitId >>> 16, unitId >>> 8, unitId].map((byte) => byte & 0xff);
  const code = String.fromCharCode(...bytes.filter((byte) => byte !== 0));
  return Object.hasOwn(ucumByCode, code) ? ucumByCode[code] : undefined;
}
