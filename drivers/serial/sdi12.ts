import type { Answer } from "../../gateway/driver.ts";
import { writeChecksum } from "./checksum.ts";
import type { Flag } from "./grammar.ts";
import { judge } from "./values.ts";

/**
 * SDI-12 as a serial bridge speaks it: the break and the 1200 baud 7E1 are the bridge's. Source: SDI-12 1.3/1.4,
 * 4.4.5 (start measurement), 4.4.6 (send data), 4.4.12 (checksum).
 */

/** What `aM!` is answered with: seconds until the values are there, and how many they are. */
export interface Promised {
  readonly seconds: number;
  readonly count: number;
}

/** "00013" = station 0 has three values in 1 s; undefined when it is no such answer. */
export function promisedBy(text: string, station: string): Promised | undefined {
  const found = /^(.)(\d{3})(\d{1,2})$/.exec(text);
  if (found === null || found[1] !== station) return undefined;
  return { seconds: Number(found[2]), count: Number(found[3]) };
}

/** The values of one answer to `aD0!` … `aD9!`; undefined when it is none, or its checksum is wrong. */
export function valuesOf(text: string, station: string, hasChecksum: boolean): string[] | undefined {
  if (text[0] !== station) return undefined;
  let data = text;
  if (hasChecksum) {
    data = text.slice(0, -3);
    const right = writeChecksum({ kind: "crc16", as: "sdi12", digits: 3 }, Buffer.from(data, "latin1"));
    if (right !== text.slice(-3)) return undefined;
  }
  const values = data.slice(1);
  if (!/^([+-](\d+\.?\d*|\.\d+))*$/.test(values)) return undefined;
  return values.match(/[+-][\d.]+/g) ?? [];
}

/** Value number `field` ("value1") of those that a station sent, digits kept. */
export function answerOf(
  values: readonly string[],
  flags: readonly Flag[],
  field: string,
  raw: Uint8Array | undefined,
): Answer {
  const rest = raw === undefined ? {} : { raw };
  const number = /^value([1-9]\d?)$/.exec(field)?.[1];
  const text = values[Number(number) - 1];
  if (text === undefined) {
    const reason =
      number === undefined ? "the values are value1, value2 …" : `the sensor sent ${values.length} values`;
    return { value: null, status: "bad", code: "sdi12-no-value", reason, ...rest };
  }
  const verdict = judge(
    flags,
    (at) => (typeof at === "number" ? values.at(at)?.replace("+", "") : undefined),
    field,
    values.length,
  );
  if (verdict.status === "bad") return { ...verdict, value: null, ...rest };
  const value = Number(text);
  return verdict.status === "good" && raw === undefined ? value : { ...verdict, value, ...rest };
}
