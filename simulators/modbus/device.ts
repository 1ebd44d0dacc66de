import type { Image } from "./image.ts";
import type { Table } from "./words.ts";

/** What the device is not able to do, from its settings. */
export interface Quirks {
  functions: ReadonlySet<number>;
  maxRegistersPerRead: number;
  maxBitsPerRead: number;
  evenCount: boolean;
}

export interface Identity {
  vendor?: string;
  model?: string;
  firmware?: string;
  serial?: string;
}

/** Exception codes of the Modbus application protocol 1.1b3, clause 7. */
export const exceptions = {
  illegalFunction: 1,
  illegalAddress: 2,
  illegalValue: 3,
  deviceFailure: 4,
  noTarget: 11,
} as const;

/** The answer "no, because …" to a request with this function code. */
export function exception(functionCode: number, code: number): Buffer {
  return Buffer.from([functionCode | 0x80, code]);
}

class Refusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exception ${code}`);
    this.code = code;
  }
}

/** The largest single object of a device identification: one answer of 253 bytes holds it. */
const objectBytesMax = 240;

/** The functions that change something, with the table that they change. */
const writing = new Map<number, Table>([
  [5, "coil"],
  [6, "holding"],
  [15, "coil"],
  [16, "holding"],
  [22, "holding"],
]);

/** One device without its wire: a request's PDU in, the answer's PDU out. Never throws. */
export class Device {
  readonly #image: Image;
  readonly #quirks: Quirks;
  readonly #identity: Identity;
  /** Told of each request that writes. */
  readonly #wrote: (what: string, isTaken: boolean) => void;

  constructor(
    image: Image,
    quirks: Quirks,
    identity: Identity,
    wrote: (what: string, isTaken: boolean) => void = () => {},
  ) {
    this.#wrote = wrote;
    this.#image = image;
    this.#quirks = quirks;
    this.#identity = identity;
  }

  get #objects(): Map<number, Buffer> {
    const identity = this.#identity;
    const named: [number, string | undefined][] = [
      [0, identity.vendor],
      [1, identity.model],
      [2, identity.firmware],
      [5, identity.model],
      [0x80, identity.serial],
    ];
    return new Map(
      named
        .filter((entry): entry is [number, string] => entry[1] !== undefined)
        .map(([id, text]) => [id, Buffer.from(text).subarray(0, objectBytesMax)]),
    );
  }

  /** The answer to one request PDU (function code and data), an exception included. */
  answer(pdu: Buffer): Buffer {
    const functionCode = pdu[0] ?? 0;
    const answer = this.#answer(functionCode, pdu);
    const table = writing.get(functionCode);
    if (table !== undefined && pdu.length >= 5)
      this.#wrote(
        `function ${functionCode} ${table} ${pdu.readUInt16BE(1)} = ${pdu.toString("hex", 3)}`,
        answer[0] === functionCode,
      );
    return answer;
  }

  #answer(functionCode: number, pdu: Buffer): Buffer {
    try {
      if (!this.#quirks.functions.has(functionCode)) throw new Refusal(exceptions.illegalFunction);
      return this.#serve(functionCode, pdu);
    } catch (error) {
      // A RangeError is a read past the end of a request that is too short.
      return exception(functionCode, error instanceof Refusal ? error.code : exceptions.illegalValue);
    }
  }

  #serve(functionCode: number, pdu: Buffer): Buffer {
    switch (functionCode) {
      case 1:
        return this.#readBits("coil", pdu);
      case 2:
        return this.#readBits("discrete", pdu);
      case 3:
        return this.#readRegisters("holding", pdu);
      case 4:
        return this.#readRegisters("input", pdu);
      case 5:
        return this.#writeCoil(pdu);
      case 6:
        return this.#write("holding", pdu.readUInt16BE(1), [pdu.readUInt16BE(3)], pdu);
      case 15:
        return this.#writeCoils(pdu);
      case 16:
        return this.#writeRegisters(pdu);
      case 22:
        return this.#maskRegister(pdu);
      case 43:
        return this.#identify(pdu);
      default:
        throw new Refusal(exceptions.illegalFunction);
    }
  }

  #read(table: Table, pdu: Buffer, countMax: number): number[] {
    const start = pdu.readUInt16BE(1);
    const count = pdu.readUInt16BE(3);
    if (count < 1 || count > countMax) throw new Refusal(exceptions.illegalValue);
    const words = this.#image.read(table, start, count);
    if (words === undefined) throw new Refusal(exceptions.illegalAddress);
    return words;
  }

  #readBits(table: Table, pdu: Buffer): Buffer {
    const bits = this.#read(table, pdu, this.#quirks.maxBitsPerRead);
    const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
    bits.forEach((bit, index) => (bytes[index >> 3]! |= bit << (index & 7)));
    return Buffer.concat([Buffer.from([pdu[0]!, bytes.length]), bytes]);
  }

  #readRegisters(table: Table, pdu: Buffer): Buffer {
    this.#checkEven(pdu);
    const words = this.#read(table, pdu, this.#quirks.maxRegistersPerRead);
    const answer = Buffer.alloc(2 + words.length * 2);
    answer[0] = pdu[0]!;
    answer[1] = words.length * 2;
    words.forEach((word, index) => answer.writeUInt16BE(word, 2 + index * 2));
    return answer;
  }

  #checkEven(pdu: Buffer): void {
    if (!this.#quirks.evenCount) return;
    if (pdu.readUInt16BE(1) % 2 !== 0) throw new Refusal(exceptions.illegalAddress);
    if (pdu.readUInt16BE(3) % 2 !== 0) throw new Refusal(exceptions.illegalValue);
  }

  #write(table: Table, start: number, words: readonly number[], pdu: Buffer): Buffer {
    if (!this.#image.write(table, start, words)) throw new Refusal(exceptions.illegalAddress);
    return pdu.subarray(0, 5);
  }

  #writeCoil(pdu: Buffer): Buffer {
    const value = pdu.readUInt16BE(3);
    if (value !== 0 && value !== 0xff00) throw new Refusal(exceptions.illegalValue);
    return this.#write("coil", pdu.readUInt16BE(1), [value === 0 ? 0 : 1], pdu);
  }

  #writeCoils(pdu: Buffer): Buffer {
    const count = pdu.readUInt16BE(3);
    const data = pdu.subarray(6);
    if (count < 1 || count > 1968 || data.length !== Math.ceil(count / 8) || pdu[5] !== data.length) {
      throw new Refusal(exceptions.illegalValue);
    }
    const bits = Array.from({ length: count }, (_, index) => ((data[index >> 3] ?? 0) >> (index & 7)) & 1);
    return this.#write("coil", pdu.readUInt16BE(1), bits, pdu);
  }

  #writeRegisters(pdu: Buffer): Buffer {
    this.#checkEven(pdu);
    const count = pdu.readUInt16BE(3);
    const data = pdu.subarray(6);
    if (count < 1 || count > 123 || data.length !== count * 2 || pdu[5] !== data.length) {
      throw new Refusal(exceptions.illegalValue);
    }
    const words = Array.from({ length: count }, (_, index) => data.readUInt16BE(index * 2));
    return this.#write("holding", pdu.readUInt16BE(1), words, pdu);
  }

  #maskRegister(pdu: Buffer): Buffer {
    const register = pdu.readUInt16BE(1);
    const and = pdu.readUInt16BE(3);
    const or = pdu.readUInt16BE(5);
    const [now] = this.#image.read("holding", register, 1) ?? [];
    if (now === undefined) throw new Refusal(exceptions.illegalAddress);
    this.#write("holding", register, [(now & and) | (or & ~and & 0xffff)], pdu);
    return pdu.subarray(0, 7);
  }

  /** Read device identification, Modbus application protocol 1.1b3, clause 6.21. */
  #identify(pdu: Buffer): Buffer {
    const code = pdu.readUInt8(2);
    const asked = pdu.readUInt8(3);
    const objects = this.#objects;
    if (pdu[1] !== 14 || objects.size === 0) throw new Refusal(exceptions.illegalFunction);
    if (code < 1 || code > 4) throw new Refusal(exceptions.illegalValue);
    if (code === 4 && !objects.has(asked)) throw new Refusal(exceptions.illegalAddress);
    const last = [0, 2, 0x7f, 0xff, asked][code]!;
    const first = objects.has(asked) ? asked : 0;
    const wanted = [...objects].filter(([id]) => id >= first && id <= last);
    const parts: Buffer[] = [];
    let left = objectBytesMax + 2;
    for (const [id, text] of wanted) {
      if (text.length + 2 > left) break;
      left -= text.length + 2;
      parts.push(Buffer.from([id, text.length]), text);
    }
    const next = wanted[parts.length / 2]?.[0];
    const conformity = objects.has(0x80) ? 0x83 : 0x82;
    const more = next === undefined ? [0, 0] : [0xff, next];
    return Buffer.concat([Buffer.from([43, 14, code, conformity, ...more, parts.length / 2]), ...parts]);
  }
}
