import snmp, { type Varbind } from "net-snmp";
import type { Answer, Reading, Value } from "../../gateway/driver.ts";
import type { Address } from "./settings.ts";

/** What the objects of a device mean under an address: bits, texts, numbers in any of SNMP's types. */

export type Charset = "utf8" | "latin1";

export const types = {
  integer: snmp.ObjectType["Integer"],
  octets: snmp.ObjectType["OctetString"],
  null: snmp.ObjectType["Null"],
  oid: snmp.ObjectType["OID"],
  ip: snmp.ObjectType["IpAddress"],
  counter: snmp.ObjectType["Counter"],
  gauge: snmp.ObjectType["Gauge"],
  ticks: snmp.ObjectType["TimeTicks"],
  opaque: snmp.ObjectType["Opaque"],
  counter64: snmp.ObjectType["Counter64"],
  noSuchObject: snmp.ObjectType["NoSuchObject"],
  noSuchInstance: snmp.ObjectType["NoSuchInstance"],
  endOfMibView: snmp.ObjectType["EndOfMibView"],
} as const;

export const bad = (code: string, reason: string): Reading => ({ value: null, status: "bad", code, reason });

/** Why an object has no value, as a reading; undefined where it has one. */
export function exceptionOf({ type, value }: Varbind): Reading | undefined {
  if (type === types.noSuchObject) return bad("noSuchObject", "the device has no such object");
  if (type === types.noSuchInstance) return bad("noSuchInstance", "the device has no such row");
  if (type === types.endOfMibView) return bad("endOfMibView", "nothing lies behind this object");
  if (value === null || value === undefined) return bad("no-value", "the device answers without a value");
  return undefined;
}

/** A number of any of SNMP's types; a text that is one; undefined for anything else. */
export function numberOf({ type, value }: Varbind): number | bigint | undefined {
  if (typeof value === "number") return value;
  if (!Buffer.isBuffer(value)) return undefined;
  if (type === types.counter64) return wide(value);
  if (type === types.opaque) return opaqueNumber(value);
  const text = value.toString("latin1").replaceAll("\0", "").trim();
  return /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

function wide(bytes: Buffer): number | bigint | undefined {
  if (bytes.length === 0 || bytes.length > 9) return undefined;
  const value = BigInt.asUintN(64, BigInt(`0x${bytes.toString("hex")}`));
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** A float or double that is wrapped in an Opaque: 9F 78 04 …, 9F 79 08 …. */
function opaqueNumber(bytes: Buffer): number | undefined {
  const [first, kind, length] = bytes;
  if (first !== 0x9f || length !== bytes.length - 3) return undefined;
  if (kind === 0x78 && length === 4) return bytes.readFloatBE(3);
  if (kind === 0x79 && length === 8) return bytes.readDoubleBE(3);
  return undefined;
}

/** Octets as text: to the first NUL, in UTF-8 where they are, else Latin-1. */
export function textOf(bytes: Buffer, charset: Charset): string {
  const end = bytes.indexOf(0);
  const whole = end < 0 ? bytes : bytes.subarray(0, end);
  const text = charset === "utf8" ? whole.toString() : "";
  return charset === "latin1" || text.includes("\u{fffd}") ? whole.toString("latin1") : text;
}

/** Is the bit set? undefined where the bitmap has no such bit, or is none. */
export function bitOf(varbind: Varbind, bit: number, order: Address["order"]): boolean | undefined {
  const { value } = varbind;
  if (Buffer.isBuffer(value) && varbind.type === types.octets) {
    const at = order === "last-octet-low" ? value.length - 1 - (bit >> 3) : bit >> 3;
    const octet = value[at];
    // BITS leave out the octets at the end in which nothing is set.
    if (octet === undefined) return order === "bits" ? false : undefined;
    return ((octet >> (order === "bits" ? 7 - (bit & 7) : bit & 7)) & 1) === 1;
  }
  const number = numberOf(varbind);
  if (number === undefined || !Number.isInteger(Number(number))) return undefined;
  return ((BigInt.asUintN(64, BigInt(number)) >> BigInt(bit)) & 1n) === 1n;
}

/** Is one of the bits set that belong together? undefined where one of them is missing. */
function anyBitOf(varbind: Varbind, { bit: first = 0, width = 1, order }: Address): boolean | undefined {
  let isAny = false;
  for (let bit = first; bit < first + width; bit++) {
    const isSet = bitOf(varbind, bit, order);
    if (isSet === undefined) return undefined;
    isAny ||= isSet;
  }
  return isAny;
}

/** The numbers of the bits that are set, from 1; undefined where it is no bitmap. */
function setBits(varbind: Varbind, order: Address["order"]): number[] | undefined {
  const { value } = varbind;
  const length = Buffer.isBuffer(value) ? value.length * 8 : 64;
  const found: number[] = [];
  for (let bit = 0; bit < length; bit++) {
    const isSet = bitOf(varbind, bit, order);
    if (isSet === undefined) return undefined;
    if (isSet) found.push(bit + 1);
  }
  return found;
}

/** UG405: the one stage that runs. Stages 1 and 2 together mean that the outstation does not know. */
function stageOf(varbind: Varbind, order: Address["order"]): Answer {
  const stages = setBits(varbind, order);
  if (stages === undefined) return bad("not-a-bitmap", "neither a number nor octets");
  const [stage, other] = stages;
  if (stages.length === 2 && stage === 1 && other === 2)
    return bad(
      "stage-unknown",
      "G1 and G2 together: lamps off, manual control, controller off or failed, or its interface disconnected",
    );
  if (stages.length > 1) return bad("conflicting-stages", `stages ${stages.join(", ")} at once`);
  // Between two stages none is confirmed.
  return stage ?? 0;
}

function bcdOf({ value }: Varbind): Answer {
  if (!Buffer.isBuffer(value)) return typeof value === "number" ? value : bad("not-a-number", "no digits");
  const digits = value.toString("hex");
  return /^\d{1,15}$/.test(digits) ? Number(digits) : bad("bad-bcd", `octets ${digits.slice(0, 40)}`);
}

function plain(varbind: Varbind, charset: Charset): Value {
  const { type, value } = varbind;
  if (!Buffer.isBuffer(value)) return value as Value;
  if (type !== types.octets) return numberOf(varbind) ?? value.toString("hex");
  const text = textOf(value, charset);
  return /^[\t\n\r -~\u{a0}-\u{ffff}]*$/u.test(text) ? text : value.toString("hex");
}

/** One object under an address, as a reading or a bare value. */
export function decode(varbind: Varbind, address: Address, charset: Charset): Answer {
  const exception = exceptionOf(varbind);
  if (exception !== undefined) return exception;
  const { value } = varbind;
  switch (address.type) {
    case "number": {
      const number = numberOf(varbind);
      const isNumber =
        number !== undefined && !Number.isNaN(Number(number)) && Math.abs(Number(number)) !== Infinity;
      return isNumber ? number : bad("not-a-number", shown(varbind));
    }
    case "text":
      return Buffer.isBuffer(value) ? textOf(value, charset) : String(value);
    case "hex":
      return Buffer.isBuffer(value) ? value.toString("hex") : bad("not-octets", shown(varbind));
    case "bcd":
      return bcdOf(varbind);
    case "bits":
      return anyBitOf(varbind, address) ?? bad("not-a-bitmap", shown(varbind));
    case "stage":
      return stageOf(varbind, address.order);
    case "oid":
      return String(plain(varbind, charset));
    default: {
      const found = plain(varbind, charset);
      return typeof found === "number" && !Number.isFinite(found)
        ? bad("not-a-number", String(found))
        : found;
    }
  }
}

function shown({ value }: Varbind): string {
  return Buffer.isBuffer(value)
    ? `octets ${value.subarray(0, 20).toString("hex")}`
    : `value ${String(value)}`.slice(0, 60);
}

/** The content octets of a value as BER writes them. */
export function rawOf({ value, type }: Varbind): Uint8Array {
  if (Buffer.isBuffer(value)) return new Uint8Array(value);
  if (typeof value === "number" && Number.isSafeInteger(value)) return integerOctets(value);
  if (type === types.ip && typeof value === "string") return Uint8Array.from(value.split(".").map(Number));
  return new Uint8Array(Buffer.from(String(value)));
}

function integerOctets(value: number): Uint8Array {
  const octets: number[] = [];
  let rest = BigInt(value);
  do {
    octets.unshift(Number(rest & 0xffn));
    rest >>= 8n;
  } while (!(rest === 0n && octets[0]! < 0x80) && !(rest === -1n && octets[0]! >= 0x80));
  return Uint8Array.from(octets);
}
