import { BerError, encode, integer, items, octets, tags, toInteger, toOctets, type Item } from "./ber.ts";
import type { Mib } from "./mib.ts";
import { errors } from "./message.ts";

/**
 * The message table and the activation of a dynamic message sign: NTCIP 1203 v03.05, 5.6 and 5.7. The check sum is
 * its own: ISO/IEC 3309 by table, low octet first, so that driver and simulator cannot be wrong together.
 */

const dms = "1.3.6.1.4.1.1206.4.2.3";
const memory = { changeable: 3, volatile: 4, current: 5, blank: 7 } as const;
const status = {
  notUsed: 1,
  modifying: 2,
  validating: 3,
  valid: 4,
  error: 5,
  modifyReq: 6,
  validateReq: 7,
  notUsedReq: 8,
};
const validateErrors = { none: 2, syntax: 5 } as const;
const activateErrors = {
  none: 2,
  priority: 3,
  status: 4,
  memoryType: 5,
  number: 6,
  crc: 7,
  local: 9,
} as const;
const syntaxErrors = {
  none: 2,
  unsupportedTag: 3,
  tooBig: 5,
  undefinedCharacter: 7,
  tooManyPages: 12,
} as const;
const sourceModes = { central: 8, endDuration: 14 } as const;
/** The message that is shown when the time of another is over: blank, run-time priority 1. */
const blankSource = Buffer.from([memory.blank, 0, 1, 0, 0]);
const rowsOfEach = 5;
const multiBytesMax = 256;
const pagesMax = 3;

interface Row {
  multi: Buffer;
  owner: Buffer;
  beacon: number;
  pixelService: number;
  priority: number;
  status: number;
  /** When a validation that runs will be over. */
  readyMs: number;
}

export interface SignOptions {
  /** Longest time that the sign thinks about a message. */
  validateMs: number;
  /** Character codes that its font has. */
  characters: ReadonlySet<number>;
  tags: Buffer;
}

export const usualSign: SignOptions = {
  validateMs: 60,
  characters: new Set(Array.from({ length: 95 }, (_, i) => 32 + i)),
  tags: Buffer.from("ffffff3f", "hex"),
};

const tagBits: Record<string, number> = {
  cb: 0,
  cf: 1,
  fl: 2,
  fo: 3,
  g: 4,
  hc: 5,
  jl: 6,
  jp: 7,
  ms: 8,
  mv: 9,
  nl: 10,
  np: 11,
  pt: 12,
  sc: 13,
  tr: 27,
  cr: 28,
  pb: 29,
};

export class Sign {
  readonly #rows = new Map<string, Row>();
  readonly #options: SignOptions;
  #current: Row;
  #source = blankSource;
  /** Who activated what is shown, 4 octets, and how. */
  #requester: Buffer = Buffer.alloc(4);
  #sourceMode: number = sourceModes.central;
  #activation = Buffer.alloc(12);
  #failedActivation = Buffer.alloc(12);
  #untilMs = Infinity;
  #validateError: number = validateErrors.none;
  #activateError: number = activateErrors.none;
  #syntaxError: number = syntaxErrors.none;
  #syntaxPosition = 0;
  controlMode = 4;

  constructor(mib: Mib, shown: string, options: SignOptions) {
    this.#options = options;
    this.#current = { ...unused(), multi: Buffer.from(shown, "latin1"), status: status.valid };
    for (const type of [memory.changeable, memory.volatile])
      for (let number = 1; number <= rowsOfEach; number++) this.#rows.set(`${type}.${number}`, unused());
    this.#addTable(mib);
    this.#addControl(mib);
    this.#addFont(mib);
  }

  /** What a test or a person wants to be shown at once, past the table. */
  show(multi: string): void {
    this.#current = { ...this.#current, multi: Buffer.from(multi, "latin1"), status: status.valid };
  }

  #addTable(mib: Mib): void {
    const column = (number: number, at: string): string => `${dms}.5.8.1.${number}.${at}`;
    for (const [at, row] of this.#rows) {
      const [type = 0, number = 0] = at.split(".").map(Number);
      const changing = (take: (item: Item) => void) => (value: Buffer) =>
        row.status === status.modifying ? taken(value, take) : errors.genErr;
      mib.constant(column(1, at), integer(type));
      mib.constant(column(2, at), integer(number));
      mib.add(column(3, at), {
        get: () => octets(row.multi),
        set: changing((item) => {
          row.multi = Buffer.from(toOctets(item));
        }),
      });
      mib.add(column(4, at), {
        get: () => octets(row.owner),
        set: changing((item) => {
          row.owner = Buffer.from(toOctets(item));
        }),
      });
      mib.add(column(5, at), { get: () => integer(checkSum(row)) });
      const numbers = [
        [6, "beacon", 0, 1],
        [7, "pixelService", 0, 1],
        [8, "priority", 1, 255],
      ] as const;
      for (const [index, field, low, high] of numbers) {
        mib.add(column(index, at), {
          get: () => integer(row[field]),
          set: changing((item) => {
            row[field] = within(toInteger(item), low, high);
          }),
        });
      }
      mib.add(column(9, at), {
        get: () => integer(this.#statusOf(row)),
        set: (value) => this.#command(row, value),
      });
    }
    const current = `${memory.current}.1`;
    mib.add(column(3, current), { get: () => octets(this.#shown().multi) });
    mib.add(column(4, current), { get: () => octets(this.#shown().owner) });
    mib.add(column(5, current), {
      get: () => integer(this.#shown().multi.length === 0 ? 0 : checkSum(this.#shown())),
    });
    mib.add(column(6, current), { get: () => integer(this.#shown().beacon) });
    mib.add(column(7, current), { get: () => integer(this.#shown().pixelService) });
    mib.add(column(8, current), { get: () => integer(this.#shown().priority) });
    mib.constant(column(9, current), integer(status.valid));
    // The blank messages: one for each run-time priority, with a check sum of 0.
    for (let number = 1; number <= 255; number++) {
      const numbers = { 1: memory.blank, 2: number, 5: 0, 6: 0, 7: 0, 8: number, 9: status.valid };
      for (const [index, value] of Object.entries(numbers))
        mib.constant(column(Number(index), `${memory.blank}.${number}`), integer(value));
      for (const index of [3, 4]) mib.constant(column(index, `${memory.blank}.${number}`), octets(""));
    }
    mib.add(`${dms}.5.9.0`, { get: () => integer(this.#validateError) });
  }

  #addControl(mib: Mib): void {
    mib.add(`${dms}.6.1.0`, {
      get: () => integer(this.controlMode),
      set: (value) =>
        taken(value, (item) => {
          this.controlMode = within(toInteger(item), 2, 5);
        }),
    });
    mib.add(`${dms}.6.3.0`, { get: () => octets(this.#activation), set: (value) => this.#activate(value) });
    mib.add(`${dms}.6.4.0`, {
      get: () => integer(this.#minutesLeft()),
      set: (value) => taken(value, (item) => this.#setMinutes(within(toInteger(item), 0, 65_535))),
    });
    mib.add(`${dms}.6.5.0`, { get: () => (this.#shown(), octets(this.#source)) });
    mib.add(`${dms}.6.6.0`, {
      get: () => (this.#shown(), encode(tags.ip, this.#requester)),
    });
    mib.add(`${dms}.6.7.0`, { get: () => (this.#shown(), integer(this.#sourceMode)) });
    mib.constant(`${dms}.6.15.0`, octets(blankSource));
    mib.add(`${dms}.6.17.0`, { get: () => integer(this.#activateError) });
    mib.add(`${dms}.6.18.0`, { get: () => integer(this.#syntaxError) });
    mib.add(`${dms}.6.19.0`, { get: () => integer(this.#syntaxPosition) });
    mib.constant(`${dms}.6.20.0`, octets(""));
    mib.add(`${dms}.6.24.0`, { get: () => octets(this.#failedActivation) });
    mib.constant(`${dms}.6.25.0`, integer(1));
    mib.constant(`${dms}.5.1.0`, integer(0));
    this.#addCounts(mib, 2, memory.changeable);
    this.#addCounts(mib, 5, memory.volatile);
  }

  /** How many messages of a kind are defined, how many may be, and the octets that are left for them. */
  #addCounts(mib: Mib, first: number, type: number): void {
    const own = [...this.#rows].filter(([at]) => at.startsWith(`${type}.`)).map(([, row]) => row);
    const defined = (): number => own.filter((row) => this.#statusOf(row) === status.valid).length;
    const used = (): number => own.reduce((sum, { multi }) => sum + multi.length, 0);
    mib.add(`${dms}.5.${first}.0`, { get: () => integer(defined()) });
    mib.constant(`${dms}.5.${first + 1}.0`, integer(rowsOfEach));
    mib.add(`${dms}.5.${first + 2}.0`, { get: () => integer(rowsOfEach * multiBytesMax - used()) });
  }

  #addFont(mib: Mib): void {
    const { characters, tags: supported } = this.#options;
    mib.constant(`${dms}.3.1.0`, integer(1));
    mib.constant(`${dms}.3.2.1.1.1`, integer(1));
    mib.constant(`${dms}.3.2.1.2.1`, integer(7));
    mib.constant(`${dms}.3.2.1.3.1`, octets("simulated"));
    mib.constant(`${dms}.3.3.0`, integer(255));
    for (let code = 1; code <= 255; code++)
      mib.constant(`${dms}.3.4.1.2.1.${code}`, integer(characters.has(code) ? 5 : 0));
    mib.constant(`${dms}.4.5.0`, integer(7));
    mib.constant(`${dms}.4.14.0`, octets(supported));
    mib.constant(`${dms}.4.15.0`, integer(pagesMax));
    mib.constant(`${dms}.4.16.0`, integer(multiBytesMax));
  }

  #statusOf(row: Row): number {
    if (row.status === status.validating && performance.now() >= row.readyMs) this.#validate(row);
    return row.status;
  }

  #command(row: Row, value: Buffer): number {
    const now = this.#statusOf(row);
    return taken(value, (item) => {
      const wanted = toInteger(item);
      if (wanted === status.modifyReq && now !== status.validating) row.status = status.modifying;
      else if (wanted === status.notUsedReq && now !== status.validating) Object.assign(row, unused());
      else if (wanted === status.validateReq && now === status.modifying) {
        row.status = status.validating;
        row.readyMs = performance.now() + this.#options.validateMs;
      } else throw new BerError("not from this state");
    });
  }

  #validate(row: Row): void {
    const fault = this.#faultIn(row.multi.toString("latin1"));
    row.status = fault === undefined ? status.valid : status.error;
    this.#validateError = fault === undefined ? validateErrors.none : validateErrors.syntax;
    [this.#syntaxError, this.#syntaxPosition] = fault ?? [syntaxErrors.none, 0];
  }

  /** The first mistake in a MULTI text and its offset. */
  #faultIn(multi: string): [number, number] | undefined {
    if (multi.length > multiBytesMax) return [syntaxErrors.tooBig, multiBytesMax];
    let pages = 1;
    for (let at = 0; at < multi.length;) {
      if (multi.startsWith("[[", at) || multi.startsWith("]]", at)) {
        at += 2;
        continue;
      }
      if (multi[at] === "[") {
        const end = multi.indexOf("]", at);
        const name = /^\[\/?([a-z]+)/i.exec(multi.slice(at))?.[1]?.toLowerCase();
        const bit = name === "f" ? 14 : tagBits[name ?? ""];
        const isSupported =
          bit !== undefined && (((this.#options.tags[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
        if (end < 0 || !isSupported) return [syntaxErrors.unsupportedTag, at];
        if (name === "np") pages++;
        if (pages > pagesMax) return [syntaxErrors.tooManyPages, at];
        at = end + 1;
        continue;
      }
      if (!this.#options.characters.has(multi.charCodeAt(at))) return [syntaxErrors.undefinedCharacter, at];
      at++;
    }
    return undefined;
  }

  #activate(value: Buffer): number {
    const [item] = items(value);
    if (item?.tag !== tags.octets) return errors.wrongType;
    if (item.body.length !== 12) return errors.wrongLength;
    const code = Buffer.from(item.body);
    this.#activateError = this.#tryActivation(code);
    if (this.#activateError === activateErrors.none) {
      this.#activation = code;
      return errors.none;
    }
    this.#failedActivation = code;
    return errors.genErr;
  }

  #tryActivation(code: Buffer): number {
    const [minutes, priority, type, number] = [
      code.readUInt16BE(0),
      code[2]!,
      code[3]!,
      code.readUInt16BE(4),
    ];
    if (this.controlMode === 2) return activateErrors.local;
    const isBlank = type === memory.blank;
    if (!isBlank && type !== memory.changeable && type !== memory.volatile) return activateErrors.memoryType;
    const row = isBlank ? { ...unused(), priority: number } : this.#rows.get(`${type}.${number}`);
    if (row === undefined || (isBlank && (number < 1 || number > 255))) return activateErrors.number;
    if (!isBlank && this.#statusOf(row) !== status.valid) return activateErrors.status;
    const sum = isBlank ? 0 : checkSum(row);
    if (code.readUInt16BE(6) !== sum) return activateErrors.crc;
    if (priority < this.#shown().priority) return activateErrors.priority;
    this.#current = { ...row };
    this.#source = Buffer.from([type, number >> 8, number & 255, sum >> 8, sum & 255]);
    this.#requester = code.subarray(8);
    this.#sourceMode = sourceModes.central;
    this.#setMinutes(minutes);
    return activateErrors.none;
  }

  /** What the face shows: blank when the time of the message is over. */
  #shown(): Row {
    if (performance.now() >= this.#untilMs) {
      this.#current = unused();
      this.#source = blankSource;
      this.#requester = Buffer.alloc(4);
      this.#sourceMode = sourceModes.endDuration;
      this.#untilMs = Infinity;
    }
    return this.#current;
  }

  #setMinutes(minutes: number): void {
    this.#untilMs = minutes === 65_535 ? Infinity : performance.now() + minutes * 60_000;
  }

  #minutesLeft(): number {
    this.#shown();
    return this.#untilMs === Infinity ? 65_535 : Math.ceil((this.#untilMs - performance.now()) / 60_000);
  }
}

function unused(): Row {
  const none = Buffer.alloc(0);
  return {
    multi: none,
    owner: none,
    beacon: 0,
    pixelService: 0,
    priority: 1,
    status: status.notUsed,
    readyMs: 0,
  };
}

function within(value: number, low: number, high: number): number {
  if (value < low || value > high) throw new BerError("out of range");
  return value;
}

/** Runs a change on one value; a value of another type or out of range is an error-status. */
function taken(value: Buffer, change: (item: Item) => void): number {
  try {
    const [item] = items(value);
    if (item === undefined) return errors.genErr;
    change(item);
    return errors.none;
  } catch (error) {
    if (error instanceof BerError) return errors.genErr;
    throw error;
  }
}

const table = Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0x8408 : value >> 1;
  return value;
});

/** dmsMessageCRC (5.6.8.5): over MULTI, beacon and pixel service; sent low octet first, as ISO/IEC 3309 does. */
export function checkSum({
  multi,
  beacon,
  pixelService,
}: Pick<Row, "multi" | "beacon" | "pixelService">): number {
  let register = 0xffff;
  for (const byte of [...multi, beacon, pixelService])
    register = (register >> 8) ^ table[(register ^ byte) & 0xff]!;
  const complement = ~register & 0xffff;
  return Buffer.from([complement & 0xff, complement >> 8]).readUInt16BE(0);
}
