import { errors } from "./message.ts";
import type { Mib } from "./mib.ts";

/** What a controller lets go of by itself, when the centre does not ask for it again in time. */
interface Lapse {
  /** The object that asks. */
  oid: string;
  /** The object with the time, in seconds; 0: for ever. */
  timeout: string;
  /** Where the device has no such object, s. */
  usualSeconds: number;
  fallsTo: number;
  /** The highest value that it takes now. */
  most: (now: number) => number;
}

const lapses: readonly Lapse[] = [
  {
    // UG405 utcType2OperationMode, utcType2OperationModeTimeout: to standalone; only the next greater or any lesser one.
    oid: "1.3.6.1.4.1.13267.3.2.4.1.0",
    timeout: "1.3.6.1.4.1.13267.3.2.2.4.0",
    usualSeconds: 90,
    fallsTo: 1,
    most: (now) => now + 1,
  },
  {
    // NTCIP 1202 systemPatternControl, unitBackupTime: to standby.
    oid: "1.3.6.1.4.1.1206.4.2.1.4.14.0",
    timeout: "1.3.6.1.4.1.1206.4.2.1.3.3.0",
    usualSeconds: 0,
    fallsTo: 0,
    most: () => 255,
  },
];

const numberOf = (value: Buffer | undefined): number =>
  value === undefined || value.length < 3 ? 0 : value.readUIntBE(2, value.length - 2);

/** Makes the objects of signal controllers lapse that do so; `after`: does something later. */
export function addLapses(mib: Mib, after: (delayMs: number, work: () => void) => void): void {
  for (const { oid, timeout, usualSeconds, fallsTo, most } of lapses) {
    const cell = mib.cell(oid);
    const set = cell?.set?.bind(cell);
    if (cell === undefined || set === undefined) continue;
    let turn = 0;
    mib.add(oid, {
      get: cell.get.bind(cell),
      set(value) {
        if (numberOf(value) > most(numberOf(cell.get()))) return errors.wrongValue;
        const status = set(value);
        const seconds = mib.has(timeout) ? numberOf(mib.get(timeout)) : usualSeconds;
        const mine = ++turn;
        if (status !== errors.none || seconds === 0 || numberOf(value) === fallsTo) return status;
        after(seconds * 1000, () => void (mine === turn && set(Buffer.from([2, 1, fallsTo]))));
        return status;
      },
    });
  }
}
