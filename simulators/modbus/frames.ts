import type { Receiver } from "../media.ts";

/** One request as it came off the wire, without its framing. */
export interface Request {
  unit: number;
  pdu: Buffer;
  /** TCP only: comes back with the answer. */
  transaction: number;
}

/** Longest RTU request: unit, function, address, count, byte count, 255 bytes, CRC. */
const rtuBytesMax = 264;
/** No byte for this long ends a frame; far above 3.5 characters, for serial ports that deliver in lumps. */
const quietMs = 100;

/** CRC-16/MODBUS of `bytes` (specification over serial line 1.02, appendix B). */
function crc16(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}

/** A PDU as an RTU frame. */
export function rtuFrame(unit: number, pdu: Uint8Array): Buffer {
  const frame = Buffer.concat([Buffer.from([unit]), pdu, Buffer.alloc(2)]);
  frame.writeUInt16LE(crc16(frame.subarray(0, -2)), frame.length - 2);
  return frame;
}

/** A PDU as a Modbus TCP frame. */
export function mbapFrame({ transaction, unit }: Omit<Request, "pdu">, pdu: Uint8Array): Buffer {
  const header = Buffer.alloc(7);
  header.writeUInt16BE(transaction, 0);
  header.writeUInt16BE(pdu.length + 1, 4);
  header[6] = unit;
  return Buffer.concat([header, pdu]);
}

/** Modbus TCP: a header that is not one desynchronises the stream, so the connection must end. */
export function mbapReceiver(onRequest: (request: Request) => boolean): Receiver {
  let held = Buffer.alloc(0);
  return {
    push(chunk) {
      held = Buffer.concat([held, chunk]);
      let at = 0;
      while (held.length - at >= 8) {
        const length = held.readUInt16BE(at + 4);
        if (held.readUInt16BE(at + 2) !== 0 || length < 2 || length > 254) return false;
        if (held.length - at < 6 + length) break;
        const pdu = Buffer.from(held.subarray(at + 7, at + 6 + length));
        const carryOn = onRequest({ transaction: held.readUInt16BE(at), unit: held[at + 6]!, pdu });
        if (!carryOn) return false;
        at += 6 + length;
      }
      held = Buffer.from(held.subarray(at));
      return true;
    },
    close() {
      held = Buffer.alloc(0);
    },
  };
}

/** Bytes of the request that begins at `at`; 0: not yet to be seen; undefined: a function we do not know. */
function rtuLength(bytes: Buffer, at: number): number | undefined {
  const functionCode = bytes[at + 1] ?? 0;
  if (functionCode >= 1 && functionCode <= 6) return 8;
  if (functionCode === 8) return 8;
  if (functionCode === 22) return 10;
  if (functionCode === 43) return 7;
  if (functionCode !== 15 && functionCode !== 16) return undefined;
  const count = bytes[at + 6];
  return count === undefined ? 0 : 9 + count;
}

function hasCrc(frame: Buffer): boolean {
  return crc16(frame.subarray(0, -2)) === frame.readUInt16LE(frame.length - 2);
}

/** RTU: frames have no mark, so bytes that fit no request are skipped one by one until a CRC agrees. */
export function rtuReceiver(onRequest: (request: Request) => void): Receiver {
  let held = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  function take(from: number, to: number): void {
    const frame = Buffer.from(held.subarray(from, to));
    onRequest({ transaction: 0, unit: frame[0]!, pdu: frame.subarray(1, -2) });
  }
  function scan(quiet: boolean): void {
    let at = 0;
    while (held.length - at >= 4) {
      const length = rtuLength(held, at);
      const left = held.length - at;
      if (length === undefined && quiet && hasCrc(held.subarray(at))) {
        take(at, held.length);
        at = held.length;
      } else if (length !== undefined && length > 0 && left >= length) {
        const whole = hasCrc(held.subarray(at, at + length));
        if (whole) take(at, at + length);
        at += whole ? length : 1;
      } else if (quiet || left > rtuBytesMax) {
        at += 1;
      } else {
        break;
      }
    }
    held = quiet ? Buffer.alloc(0) : Buffer.from(held.subarray(at));
  }
  return {
    push(chunk) {
      clearTimeout(timer);
      held = Buffer.concat([held, chunk]);
      scan(false);
      if (held.length > 0) timer = setTimeout(scan, quietMs, true);
      return true;
    },
    close() {
      clearTimeout(timer);
      held = Buffer.alloc(0);
    },
  };
}
