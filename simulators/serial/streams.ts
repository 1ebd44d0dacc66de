import { localTime, type MakeDialect, type Told } from "./dialect.ts";
import { short } from "./values.ts";

/** Instruments that tell by themselves: a weigh indicator, a weather station, a weigh-in-motion station. */

const weightLine = (motion: string, mode: string, weight: number): string => {
  const sign = weight < 0 ? "-" : " ";
  const digits = short(Math.abs(weight), 3).slice(0, 7).padStart(7, " ");
  return `${motion},${mode}${sign}${digits},kg\r\n`;
};

/** Tiger TI-02-P, "auto": two letters of motion, two of net or gross, sign and seven digits, unit. */
export const weighIndicator: MakeDialect = ({ values }) => {
  let tellingUntilMs = 0;
  /** The weight that somebody has pinned, until a vehicle took its place and left. */
  let leftWeight: number | undefined;
  return {
    everyMs: 200,
    // While a vehicle drives on, there is one weight on the scale and not two; without one it is empty.
    stream: () =>
      performance.now() < tellingUntilMs
        ? ""
        : weightLine(
            "ST",
            String(values.raw("mode") ?? "GS"),
            values.isPinned("weight") && values.number("weight") !== leftWeight ? values.number("weight") : 0,
          ),
    tell(_, told) {
      const mode = String(told["mode"] ?? "GS");
      const weight = Number(told["weight"] ?? 1000);
      leftWeight = values.number("weight");
      tellingUntilMs = performance.now() + 300;
      const moving = [0.3, 0.8, 1.02].map((part) => weightLine("US", mode, Math.round(weight * part)));
      return [
        weightLine("ST", mode, 0),
        ...moving,
        weightLine("ST", mode, weight),
        weightLine("ST", mode, weight),
        weightLine("US", mode, Math.round(weight * 0.4)),
        weightLine("ST", mode, 0),
      ];
    },
  };
};

function sentence(body: string): string {
  const sum = [...Buffer.from(body, "latin1")].reduce((all, byte) => all ^ byte, 0);
  return `$${body}*${sum.toString(16).toUpperCase().padStart(2, "0")}\r\n`;
}

/** NMEA 0183 of a weather instrument, talker WI. */
export const nmeaWeather: MakeDialect = ({ values }) => ({
  everyMs: 500,
  stream() {
    const wind = `WIMWV,${short(values.number("windDirection"), 1)},R,${short(values.number("windSpeed"), 2)},M,A`;
    const item = (type: string, unit: string, name: string): string =>
      `${type},${short(Number(values.raw("value", name) ?? 0), 4)},${unit},${name}`;
    const air = `WIXDR,${item("C", "C", "TEMP")},${item("H", "P", "RH")},${item("P", "B", "PRESS")}`;
    return sentence(wind) + sentence(air);
  },
});

/** What a ticket says of vehicle, cargo and instrument beside the weights. */
const theRest = (told: Told): Told => ({
  route: told["route"] ?? "QL5",
  mode: told["mode"] ?? "auto",
  colour: told["colour"] ?? "white",
  tanker: told["tanker"] ?? false,
  tractorMass: told["tractorMass"] ?? 7.2,
  trailerMass: told["trailerMass"] ?? 5.5,
  persons: told["personsAllowed"] ?? 2,
  cargoAllowed: told["cargoAllowed"] ?? 11.2,
  cargoOverload: told["cargoOverload"] ?? 0,
  cargoPercent: told["cargoOverloadPercent"] ?? 0,
  legalUse: told["legalUse"] ?? false,
  certificate: told["certificate"] ?? "V01.KD.0001",
  certificateExpiry: told["certificateExpiry"] ?? "2027-03-04",
});

/** A made-up, typical format: JSON objects, one a line. The person at the wheel is in it, as stations have it. */
export const wimJson: MakeDialect = (instrument) => {
  const { values, station } = instrument;
  let sequence = 0;
  const time = (): string => localTime(instrument).replace(" ", "T");
  const ticket = (told: Told): Record<string, unknown> => {
    const number = (field: string, otherwise: number): number => Number(told[field] ?? otherwise);
    const text = (field: string, otherwise: string): string => String(told[field] ?? otherwise);
    sequence = number("sequence", sequence + 1);
    const axles = Array.from({ length: 6 }, (_, i) => {
      const of = (name: string, otherwise: number | string) =>
        told[`axle${i + 1}.${name}`] ?? (i < 3 ? otherwise : undefined);
      return {
        type: of("type", "single"),
        weight: of("weight", 6.1 + i),
        error: of("weightError", 0.3),
        after: of("weightAfterTolerance", 5.8 + i),
        allowed: of("weightAllowed", 10),
        overload: of("overload", 0),
        percent: of("overloadPercent", 0),
      };
    });
    return {
      type: "ticket",
      station,
      seq: sequence,
      time: time(),
      lane: number("lane", 1),
      plate: text("plate", "51C-123.45"),
      trailer: text("trailerPlate", "51R-067.89"),
      class: text("vehicleClass", "4"),
      axleCount: number("axleCount", 3),
      speed: number("speed", 42.5),
      gross: number("grossWeight", 21.3),
      grossAfter: number("grossWeightAfterTolerance", 20.2),
      allowed: number("grossWeightAllowed", 24),
      overload: number("overloadPercent", 0),
      ...theRest(told),
      axles: axles.filter(({ weight }) => weight !== undefined),
      driver: { name: "Nguyễn Văn An", licence: "790123456789" },
    };
  };
  return {
    everyMs: 500,
    stream: () =>
      `${JSON.stringify({ type: "status", station, time: time(), temperature: values.number("temperature") })}\n`,
    tell: (_, told) => [`${JSON.stringify(ticket(told))}\n`],
  };
};
