import type { MakeDialect } from "./dialect.ts";
import { short } from "./values.ts";

const signed = (value: number): string => `${value < 0 ? "-" : "+"}${short(Math.abs(value), 4)}`;

/** A sensor behind an SDI-12 bridge that passes commands and answers on as lines. */
export const sdi12: MakeDialect = ({ values, station, identity }) => {
  const address = station || "0";
  let measured: { values: string[]; hasChecksum: boolean } = { values: [], hasChecksum: false };
  return {
    requestLength: (text) => text.indexOf("!") + 1,
    answer(request) {
      if (!request.startsWith(address)) return undefined;
      const command = request.slice(1, -1);
      const start = /^M(C?)([1-9]?)$/.exec(command);
      if (start !== null) {
        const list = Array.from({ length: 9 }, (_, i) => values.measured(`m${start[2]}`, `value${i + 1}`));
        const numbers = list.filter((value) => value !== undefined).map(signed);
        measured = { values: numbers, hasChecksum: start[1] === "C" };
        // One second at most; the service request comes earlier.
        const promise = { bytes: `${address}001${numbers.length}\r\n` };
        return numbers.length === 0
          ? { bytes: `${address}0000\r\n` }
          : { ...promise, after: { bytes: `${address}\r\n`, ms: 15 } };
      }
      const page = /^D(\d)$/.exec(command)?.[1];
      if (page !== undefined) {
        // Two values a page, so that a longer list takes several.
        const text = address + measured.values.slice(2 * Number(page), 2 * Number(page) + 2).join("");
        return { bytes: `${text}${measured.hasChecksum ? checksum(text) : ""}\r\n` };
      }
      if (command !== "I") return command === "" ? { bytes: `${address}\r\n` } : undefined;
      const { vendor = "", model = "", firmware = "", serial = "" } = identity;
      const fixed = [
        vendor.slice(0, 8).padEnd(8),
        model.slice(0, 6).padEnd(6),
        firmware.slice(0, 3).padEnd(3),
      ];
      return { bytes: `${address}13${fixed.join("")}${serial.slice(0, 13)}\r\n` };
    },
    refusal: (request) => (request.startsWith(address) ? { bytes: `${address}0000\r\n` } : undefined),
  };
};

/** CRC-16 with the reversed polynomial A001, by table, in three printable characters. */
function checksum(text: string): string {
  const table = Array.from({ length: 256 }, (_, byte) => {
    let entry = byte;
    for (let bit = 0; bit < 8; bit++) entry = entry % 2 === 1 ? Math.floor(entry / 2) ^ 0xa001 : entry / 2;
    return entry;
  });
  let crc = 0;
  for (const byte of Buffer.from(text, "latin1")) crc = (crc >> 8) ^ table[(crc ^ byte) & 0xff]!;
  return String.fromCharCode(64 + (crc >> 12), 64 + ((crc >> 6) & 63), 64 + (crc & 63));
}
