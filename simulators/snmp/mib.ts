import type { SimulatedPoint } from "../simulator.ts";
import { compareOids, items, tags } from "./ber.ts";
import { errors } from "./message.ts";
import { Bitmap, PointValue, valueOf, type Address } from "./points.ts";

/** One object of the pretend device. */
export interface Cell {
  get(): Buffer;
  /** Takes a value (tag and content), or says why not: an error-status. Absent: it cannot be written. */
  set?(value: Buffer): number;
}

/** The objects of one pretend device in the order of their OIDs. */
export class Mib {
  readonly #cells = new Map<string, Cell>();
  #order: string[] | undefined;

  add(oid: string, cell: Cell): void {
    this.#cells.set(oid, cell);
    this.#order = undefined;
  }

  constant(oid: string, value: Buffer): void {
    this.add(oid, { get: () => value });
  }

  cell(oid: string): Cell | undefined {
    return this.#cells.get(oid);
  }

  has(oid: string): boolean {
    return this.#cells.has(oid);
  }

  get(oid: string): Buffer | undefined {
    return this.#cells.get(oid)?.get();
  }

  /** The first object behind this OID. */
  next(oid: string): { oid: string; value: Buffer } | undefined {
    this.#order ??= [...this.#cells.keys()].toSorted(compareOids);
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareOids(this.#order[middle]!, oid) <= 0) low = middle + 1;
      else high = middle;
    }
    const found = this.#order[low];
    return found === undefined ? undefined : { oid: found, value: this.#cells.get(found)!.get() };
  }

  /** True when some object lies under the object type of this OID: what is missing is then an instance. */
  hasSiblings(oid: string): boolean {
    const parent = oid.slice(0, oid.lastIndexOf("."));
    return this.next(parent)?.oid.startsWith(`${parent}.`) ?? false;
  }

  set(oid: string, value: Buffer): number {
    const cell = this.#cells.get(oid);
    if (cell === undefined) return errors.noAccess;
    return cell.set === undefined ? errors.notWritable : cell.set(value);
  }
}

/** Puts the points of a profile into the MIB; gives back what each says, by its name. */
export function addPoints(
  mib: Mib,
  points: readonly SimulatedPoint[],
  row: string,
  seed: number,
): Map<string, PointValue> {
  const values = new Map<string, PointValue>();
  const at = (oid: string): string => oid.replace("{row}", row);
  const bitmaps = new Map<string, Bitmap>();
  const bitmap = (oid: string, address: Address): Bitmap => {
    let found = bitmaps.get(oid);
    if (found === undefined) {
      const made = new Bitmap(address);
      mib.add(oid, { get: () => made.value() });
      bitmaps.set(oid, (found = made));
    }
    return found;
  };
  points.forEach((point, index) => {
    const value = new PointValue(point, seed + index * 7919);
    const { address } = value;
    values.set(point.name, value);
    const bit = address.bit ?? 0;
    if (address.states !== undefined) {
      const names = Object.keys(address.states);
      for (const [name, oid] of Object.entries(address.states))
        bitmap(at(oid), address).add(bit, () => value.state(names, bit) === name);
    } else if (address.walk !== undefined) {
      addRows(mib, address.walk, value);
    } else if (address.oid !== undefined && address.type === "bits") {
      bitmap(at(address.oid), address).add(bit, () => Number(value.raw()) >= 0.5);
    } else if (address.oid !== undefined) {
      addObject(mib, at(address.oid), value);
    }
  });
  return values;
}

/** What the device does by itself at this place (a sign's table) goes on, until somebody pins the point. */
function addObject(mib: Mib, oid: string, value: PointValue): void {
  const before = mib.cell(oid);
  const own = (): Buffer => valueOf(value.address, value.raw());
  if (before === undefined && value.point.isWritable === true)
    mib.add(oid, { get: own, set: (bytes) => setTo(value, bytes, own()) });
  else if (before === undefined) mib.add(oid, { get: own });
  else mib.add(oid, { ...before, get: () => (value.isPinned ? own() : before.get()) });
}

/** Takes a value of the kind that the object has now, or says why not. */
function setTo(value: PointValue, bytes: Buffer, now: Buffer): number {
  const [item] = items(bytes);
  const { scale, offset } = value.point;
  const { type } = value.address;
  if (item === undefined || item.tag !== now[0]) return errors.wrongType;
  if (item.tag === tags.octets && (type === "text" || type === "hex"))
    value.set(item.body.toString(type === "hex" ? "hex" : "utf8"));
  else if (item.body.length > 0 && item.body.length <= 5 && item.tag !== tags.octets)
    value.set(item.body.readIntBE(0, item.body.length) * scale + offset);
  else return errors.wrongValue;
  return errors.none;
}

/** A walk is answered by as many rows as the point counts, or by one with its text. */
function addRows(mib: Mib, column: string, value: PointValue): void {
  const text: Address = { type: "text" };
  mib.add(`${column}.1`, { get: () => valueOf(text, String(value.raw())) });
}
