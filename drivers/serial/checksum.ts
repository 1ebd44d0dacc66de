import type { Checksum } from "./grammar.ts";

type Kind = Checksum["kind"];
type Written = Pick<Checksum, "kind" | "as" | "digits">;

const sums: Record<Kind, (bytes: Uint8Array) => number> = {
  xor: (bytes) => bytes.reduce((sum, byte) => sum ^ byte, 0),
  sum8: (bytes) => bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0),
  sum16: (bytes) => bytes.reduce((sum, byte) => (sum + byte) & 0xffff, 0),
  crc16: (bytes) => reflected(bytes, 0),
  "crc16-modbus": (bytes) => reflected(bytes, 0xffff),
  "crc16-ccitt": straight,
};

/** The checksum of some bytes as a number. crc16 is CRC-16/ARC, crc16-ccitt CRC-16/CCITT-FALSE (start 0xFFFF). */
export function checksumOf(kind: Kind, bytes: Uint8Array): number {
  return sums[kind](bytes);
}

function reflected(bytes: Uint8Array, from: number): number {
  let crc = from;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xa001;
  }
  return crc;
}

function straight(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc;
}

const forms: Record<Checksum["as"], (sum: number, digits: number) => string> = {
  hex: (sum, digits) => sum.toString(16).toUpperCase().padStart(digits, "0"),
  decimal: (sum, digits) => String(sum).padStart(digits, "0"),
  binary: (sum, digits) =>
    String.fromCharCode(...Array.from({ length: digits }, (_, i) => (sum >>> (8 * i)) & 0xff)),
  // SDI-12 1.3, 4.4.12.2: four, six and six bits, each above 0x40.
  sdi12: (sum) => String.fromCharCode(0x40 | (sum >> 12), 0x40 | ((sum >> 6) & 0x3f), 0x40 | (sum & 0x3f)),
};

/** A checksum as it stands in a frame, one character a byte. */
export function writeChecksum({ kind, as, digits }: Written, bytes: Uint8Array): string {
  return forms[as](checksumOf(kind, bytes), digits);
}

/** Whether the written checksum is that of the bytes; hexadecimal digits may be of either case. */
export function isChecksum(how: Written, bytes: Uint8Array, written: string): boolean {
  const right = writeChecksum(how, bytes);
  return right === (how.as === "hex" ? written.toUpperCase() : written);
}
