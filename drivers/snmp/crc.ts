/**
 * dmsMessageCRC: the CRC-16 of ISO/IEC 3309 over MULTI, beacon and pixel service (an octet each), low octet first as
 * ISO/IEC 3309 sends it: "[jp3]TEST [fl]Flashing[/fl]" without either has 95 F9.
 * Source: NTCIP 1203 v03.05, 5.6.8.5, and the example at MessageActivationCode in 5.1.
 */
export function messageCrc(multi: Uint8Array, beacon: number, pixelService: number): number {
  return swapped(crc16([...multi, beacon, pixelService]));
}

/** CRC-16/X-25: x^16 + x^12 + x^5 + 1, reflected, from FFFF, complemented. */
export function crc16(bytes: Iterable<number>): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >> 1) ^ 0x8408 : crc >> 1;
  }
  return crc ^ 0xffff;
}

export function swapped(crc: number): number {
  return ((crc & 0xff) << 8) | (crc >> 8);
}

/** The 12 octets that activate a message: MessageActivationCode of NTCIP 1203 v03.05, 5.1. */
export function activationCode(message: {
  minutes: number;
  priority: number;
  memory: number;
  number: number;
  crc: number;
  source: Uint8Array;
}): Buffer {
  const code = Buffer.alloc(12);
  code.writeUInt16BE(message.minutes, 0);
  code[2] = message.priority;
  code[3] = message.memory;
  code.writeUInt16BE(message.number, 4);
  code.writeUInt16BE(message.crc, 6);
  code.set(message.source, 8);
  return code;
}
