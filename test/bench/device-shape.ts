/**
 * The device that farm and site file share: 100 points in four ranges of holding registers that lie too far
 * apart to be bridged. The first point is the uint32 number of the change, the others are those of a meter with
 * eleven circuits.
 */

export interface Quantity {
  name: string;
  unit: string;
  type: "uint16" | "int16";
  /** Power of ten of the scale. */
  decimals: number;
  /** Register value around which it walks, and the most counts that it moves in one change. */
  middle: number;
  step: number;
}

const quantities: readonly Quantity[] = [
  { name: "voltage", unit: "V", type: "uint16", decimals: 1, middle: 2304, step: 4 },
  { name: "current", unit: "A", type: "uint16", decimals: 2, middle: 1250, step: 9 },
  { name: "activePower", unit: "kW", type: "int16", decimals: 2, middle: 287, step: 6 },
  { name: "reactivePower", unit: "kV.A{reactive}", type: "int16", decimals: 2, middle: -45, step: 4 },
  { name: "powerFactor", unit: "1", type: "uint16", decimals: 3, middle: 955, step: 3 },
  { name: "frequency", unit: "Hz", type: "uint16", decimals: 2, middle: 5000, step: 2 },
  { name: "harmonics", unit: "%", type: "uint16", decimals: 1, middle: 31, step: 2 },
  { name: "temperature", unit: "Cel", type: "int16", decimals: 1, middle: 318, step: 1 },
  { name: "demand", unit: "kW", type: "int16", decimals: 2, middle: 301, step: 2 },
];

/** Registers of one range; range 0 begins with the two of the number. */
export interface RegisterRange {
  start: number;
  registers: number;
}

export const ranges: readonly RegisterRange[] = [
  { start: 0, registers: 26 },
  { start: 200, registers: 25 },
  { start: 400, registers: 25 },
  { start: 600, registers: 25 },
];

export const pointsPerDevice = 100;
/** Name of the point that holds the number of the change. */
export const numberPoint = "number";

/** The 99 points behind the number, in the order of their registers. */
export const meterPoints: readonly (Quantity & { register: number; point: string })[] = ranges.flatMap(
  ({ start, registers }, range) => {
    const skipped = range === 0 ? 2 : 0;
    return Array.from({ length: registers - skipped }, (_, i) => {
      const position = range === 0 ? i : 24 + (range - 1) * 25 + i;
      const quantity = quantities[position % quantities.length] as Quantity;
      const circuit = Math.floor(position / quantities.length) + 1;
      return { ...quantity, register: start + skipped + i, point: `${quantity.name}.c${circuit}` };
    });
  },
);

/** Bytes of the answer to each range on Modbus TCP: seven of MBAP, function, length, data. */
export const answerBytes = ranges.map(({ registers }) => 9 + 2 * registers);

/** The id of device `index` in the site file. */
export function deviceId(index: number): string {
  return `meter-${String(index).padStart(4, "0")}`;
}
