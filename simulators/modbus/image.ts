import { checkRoom, seededRandom, type SimulatedPoint } from "../simulator.ts";
import { encode, parseAddress, roomOf, tables, type Address, type Order, type Table } from "./words.ts";

/** Unused registers up to this far from a used one read 0; beyond it the device refuses them. */
const gapRegisters = 16;
const walkStepMs = 1000;
const walkStepsMax = 60;

interface Cell {
  readonly point: SimulatedPoint;
  readonly address: Address;
  readonly random: () => number;
  value: number;
  walkedAtMs: number;
  pinned: number | string | undefined;
}

/** A cell that lies at a register, and which of its words that is. */
interface Place {
  readonly cell: Cell;
  readonly word: number;
}

/** Bits of one register stand side by side; of whole values at one place the one that somebody set is shown. */
function shownOf(here: readonly Place[]): readonly Place[] {
  const set = here.filter(({ cell }) => cell.pinned !== undefined && cell.address.type !== "bool");
  return set.length === 0 ? here : set;
}

/** The registers and coils of one pretend device: what its points say now, and what was written over them. */
export class Image {
  readonly #cells = new Map<string, Cell>();
  /** By place (table and register): the cells that lie there and which of their words it is. */
  readonly #places = new Map<number, Place[]>();
  readonly #gaps = new Set<number>();
  readonly #written = new Map<number, number>();

  constructor(points: readonly SimulatedPoint[], order: Order, seed: number) {
    points.forEach((point, index) => this.#add(point, order, seed + index * 7919));
    this.#findGaps();
  }

  #add(point: SimulatedPoint, order: Order, seed: number): void {
    const random = seededRandom(seed);
    const [low, high] = point.typical ?? [0, 0];
    const cell: Cell = {
      point,
      random,
      address: parseAddress(point.address, order),
      value: low + (high - low) * (0.25 + random() / 2),
      walkedAtMs: performance.now(),
      pinned: undefined,
    };
    this.#cells.set(point.name, cell);
    for (let word = 0; word < cell.address.length; word++) {
      const place = placeOf(cell.address.table, cell.address.register + word);
      this.#places.set(place, [...(this.#places.get(place) ?? []), { cell, word }]);
    }
  }

  #findGaps(): void {
    const used = [...this.#places.keys()].toSorted((a, b) => a - b);
    used.forEach((place, index) => {
      const next = used[index + 1];
      if (next === undefined || tableOf(next) !== tableOf(place)) return;
      for (let step = 1; step <= gapRegisters; step++) {
        if (place + step < next) this.#gaps.add(place + step);
        if (next - step > place) this.#gaps.add(next - step);
      }
    });
  }

  /** The registers (or bits, 0 or 1) from `start`; undefined when the device has no such registers. */
  read(table: Table, start: number, count: number): number[] | undefined {
    const now = performance.now();
    const encoded = new Map<Cell, number[]>();
    const words: number[] = [];
    for (let register = start; register < start + count; register++) {
      const place = placeOf(table, register);
      const here = this.#places.get(place);
      if (register > 0xffff || (here === undefined && !this.#gaps.has(place))) return undefined;
      let word = 0;
      for (const { cell, word: index } of shownOf(here ?? [])) {
        let all = encoded.get(cell);
        if (all === undefined) encoded.set(cell, (all = encode(cell.address, this.#raw(cell, now))));
        word |= all[index] ?? 0;
      }
      word = this.#written.get(place) ?? word;
      words.push(table === "coil" || table === "discrete" ? Number(word !== 0) : word);
    }
    return words;
  }

  /** Writes over the image until the point is set again; false (and nothing written) outside the points. */
  write(table: Table, start: number, words: readonly number[]): boolean {
    if (!words.every((_, index) => this.#places.has(placeOf(table, start + index)))) return false;
    words.forEach((word, index) => this.#written.set(placeOf(table, start + index), word));
    return true;
  }

  /** Pins an engineering value, or lets it wander again. Throws an `Error` for a point that does not exist. */
  set(name: string, value: number | string | undefined): void {
    const cell = this.#cells.get(name);
    if (cell === undefined) throw new Error(`the simulated device has no point "${name}"`);
    this.#check(cell, value);
    cell.pinned = value;
    for (let word = 0; word < cell.address.length; word++) {
      this.#written.delete(placeOf(cell.address.table, cell.address.register + word));
    }
  }

  #check({ point, address }: Cell, value: number | string | undefined): void {
    const power = point.scaleFactor === undefined ? 0 : this.#power(point.scaleFactor, performance.now());
    checkRoom(point, value, roomOf(address), power);
    const most = address.length * 2;
    if (address.type === "text" && Buffer.byteLength(String(value ?? "")) > most)
      throw new Error(`${point.name} cannot show "${value}": its registers hold ${most} bytes`);
  }

  #raw(cell: Cell, now: number): number | string {
    const { point } = cell;
    if (cell.pinned === undefined && point.fixed !== undefined) return point.fixed;
    if (cell.pinned === undefined && point.typical !== undefined) walk(cell, point.typical, now);
    const value = cell.pinned ?? cell.value;
    if (typeof value === "string") return value;
    const raw = (value - point.offset) / point.scale;
    const power = point.scaleFactor === undefined ? 0 : this.#power(point.scaleFactor, now);
    return power < 0 ? raw * 10 ** -power : raw / 10 ** power;
  }

  #power(name: string, now: number): number {
    const cell = this.#cells.get(name);
    const power =
      cell === undefined || cell.point.scaleFactor !== undefined ? 0 : Number(this.#raw(cell, now));
    return Math.abs(power) <= 10 ? Math.round(power) : 0;
  }
}

function placeOf(table: Table, register: number): number {
  return tables.indexOf(table) * 0x20000 + register;
}

function tableOf(place: number): number {
  return Math.floor(place / 0x20000);
}

/** Catches up with the seconds since the last read: small steps that are drawn back to the middle. */
function walk(cell: Cell, [low, high]: readonly [number, number], now: number): void {
  const steps = Math.floor((now - cell.walkedAtMs) / walkStepMs);
  if (steps < 1) return;
  cell.walkedAtMs += steps * walkStepMs;
  for (let step = 0; step < Math.min(steps, walkStepsMax); step++) {
    const push = (cell.random() - 0.5) * (high - low) * 0.04;
    const pull = ((low + high) / 2 - cell.value) * 0.01;
    cell.value = Math.min(Math.max(cell.value + push + pull, low), high);
  }
}
