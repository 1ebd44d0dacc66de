import type { Point } from "../../gateway/profiles/profiles.ts";

/**
 * What the wire of a point can carry, told from the protocols' own documents and not from kerb's codecs: the oracle
 * of the round trip.
 */
export interface Wire {
  /** Raw values that fit; numbers outside must be refused. */
  low: number;
  high: number;
  /** The wire carries whole numbers only. */
  isWhole?: boolean;
  /** It can carry NaN and the infinities. */
  hasNan?: boolean;
  /** Significant bits of a float of 32 bits, else those of a double. */
  isSingle?: boolean;
  /** Significant decimal digits that the format writes; absent: as many as a double has. */
  digits?: number;
  /** Digits after the point that the format writes. */
  fraction?: number;
  /** Texts of free choice: none, only such as ASCII has, or any; and the bytes that they may take. */
  texts: "none" | "ascii" | "any";
  textBytes?: number;
}

type Tree = Record<string, unknown>;
type Spec = Pick<Point, "address" | "typical" | "kind">;

const double: Wire = { low: -Number.MAX_VALUE, high: Number.MAX_VALUE, texts: "any" };
const whole = (low: number, high: number): Wire => ({ low, high, isWhole: true, texts: "none" });
/** The largest double that 64 bits hold lies a few hundred below the largest number. */
const largest = (bits: number): number => 2 ** bits - (bits > 53 ? 2 ** (bits - 53) : 1);
const unsigned = (bits: number): Wire => whole(0, largest(bits));
const signed = (bits: number): Wire => whole(-(2 ** (bits - 1)), largest(bits - 1));
const single: Wire = { low: -3.4028234e38, high: 3.4028234e38, hasNan: true, isSingle: true, texts: "none" };
const bit = whole(0, 1);

/** Modbus application protocol 1.1b3: registers of 16 bits. */
function modbus({ table, type = "uint16", length = 1 }: Tree): Wire {
  if (table === "coil" || table === "discrete" || type === "bool") return bit;
  if (type === "text") return { ...double, textBytes: Number(length) * 2 };
  if (type === "float32") return single;
  if (type === "float64") return { ...double, hasNan: true, texts: "none" };
  if (type === "bcd16") return whole(0, 9999);
  if (type === "bcd32") return whole(0, 99_999_999);
  const [, sign, bits] = /^(u?)int(\d+)$/.exec(String(type)) ?? [];
  return sign === "u" ? unsigned(Number(bits)) : signed(Number(bits));
}

/** RFC 2578: Integer32, Gauge32, Counter32, TimeTicks, Counter64, octets. */
function snmp({ type, syntax, states, walk, sign }: Tree): Wire {
  if (states !== undefined) return bit;
  if (sign !== undefined) return { ...double, texts: "ascii" };
  if (walk !== undefined || type === "text") return double;
  if (type === "hex") return { ...double, texts: "none" };
  if (type === "bits") return bit;
  if (type === "stage") return whole(0, 2000);
  if (type === "bcd") return whole(0, 99_999_999);
  if (syntax === "counter64") return unsigned(64);
  if (syntax === "counter" || syntax === "gauge" || syntax === "ticks") return unsigned(32);
  if (syntax === "float") return single;
  // A number as text: nine digits, as `snprintf("%.9g")` would write it.
  if (syntax === "octets") return { ...double, digits: 9, texts: "none" };
  return signed(32);
}

/** OPC 10000-6, 5.2.2: built-in types. */
function opcua({ type, layout, member }: Tree): Wire {
  const name = layout === undefined ? type : (layout as Tree)[String(member)];
  const integers: Record<string, Wire> = {
    Boolean: bit,
    SByte: signed(8),
    Byte: unsigned(8),
    Int16: signed(16),
    UInt16: unsigned(16),
    Int32: signed(32),
    UInt32: unsigned(32),
    Int64: signed(64),
    UInt64: unsigned(64),
  };
  const integer = integers[String(name)];
  if (integer !== undefined) return integer;
  return name === "Float" ? single : { ...double, hasNan: true };
}

/** Each dialect's own numbers; see `simulators/serial`. */
function serial(_: Tree, settings: Tree): Wire {
  const { dialect } = (settings["grammar"] ?? {}) as { dialect?: string };
  const widest: Wire = { low: -9_999_999, high: 9_999_999, texts: "none" };
  switch (dialect) {
    // ±dddd±ee
    case "bayern-hessen-line":
    case "bayern-hessen-framed":
      return { low: -9999e99, high: 9999e99, digits: 4, texts: "none" };
    // SDI-12 1.4, 4.4.8.1: a sign and at most seven digits.
    case "sdi12":
      return { ...widest, digits: 7, fraction: 4 };
    // Seven characters, its point among them; the scale of a truck shows kilograms.
    case "weigh-indicator":
      return { ...widest, digits: 6, fraction: 3 };
    case "bam-escape":
    case "bam-csv":
      return { ...widest, fraction: 3 };
    case "nmea-weather":
      return { ...widest, fraction: 1 };
    default:
      return double;
  }
}

const rules: Record<string, (address: Tree, settings: Tree, point: Spec) => Wire> = {
  modbus,
  snmp,
  opcua,
  serial,
  mqtt: ({ type }, { format }, { typical }) => {
    if (format !== "sparkplug-b" || type !== undefined) return double;
    // The pretend node's own choice of a type: INT64 for what is large and whole.
    const isWhole = typical?.every((one) => Number.isInteger(one) && one > 1000) === true;
    return isWhole ? signed(64) : { ...double, hasNan: true };
  },
  rsmp: () => ({ low: -999_999_999, high: 999_999_999, digits: 9, texts: "any" }),
};

/** What the wire of a point carries, of a device with these settings. */
export function wireOf(driver: string, point: Spec, settings: Tree): Wire {
  return rules[driver]?.((point.address ?? {}) as Tree, settings, point) ?? double;
}
