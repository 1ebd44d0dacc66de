import { anyNumber, checkRoom, seededRandom, type Room, type SimulatedPoint } from "../simulator.ts";

/** Where a point or field stands in the dialect, as the profile's address has it. */
interface Address {
  readonly request?: string;
  readonly frame?: string;
  readonly item?: string;
  readonly field?: string;
}

interface Cell {
  readonly point: SimulatedPoint;
  readonly address: Address;
  readonly random: () => number;
  value: number;
  pinned: number | string | undefined;
}

/** What the points of one pretend instrument say now, as raw numbers and texts. */
export class Values {
  readonly #cells = new Map<string, Cell>();
  readonly #room: Room;

  constructor(points: readonly SimulatedPoint[], seed: number, room: Room = anyNumber) {
    this.#room = room;
    points.forEach((point, index) => {
      const random = seededRandom(seed + index * 7919);
      const [low, high] = point.typical ?? [0, 0];
      const value = low + (high - low) * (0.25 + random() / 2);
      this.#cells.set(point.name, {
        point,
        address: point.address as Address,
        random,
        value,
        pinned: undefined,
      });
    });
  }

  /** Pins an engineering value. Throws for a name that the device does not have. */
  set(name: string, value: number | string | undefined): void {
    const cell = this.#cells.get(name);
    if (cell === undefined) throw new Error(`the device has no point "${name}"`);
    checkRoom(cell.point, value, this.#room);
    cell.pinned = value;
  }

  /** Lets the values that are not pinned wander a little. */
  walk(): void {
    for (const cell of this.#cells.values()) {
      const [low, high] = cell.point.typical ?? [0, 0];
      const step = (cell.random() - 0.5) * 0.02 * (high - low);
      cell.value = Math.min(high, Math.max(low, cell.value + step));
    }
  }

  /** The raw value of a field; undefined when no point reads it. */
  raw(field: string, item?: string): number | string | undefined {
    for (const { point, address, value, pinned } of this.#cells.values()) {
      if (address.field !== field || address.item !== item) continue;
      if (point.fixed !== undefined && pinned === undefined) return point.fixed;
      const shown = pinned ?? value;
      if (typeof shown === "string") return shown;
      return Number(((shown - point.offset) / point.scale).toPrecision(9));
    }
    return undefined;
  }

  /** Whether somebody has pinned a point that is read from this field. */
  isPinned(field: string): boolean {
    return [...this.#cells.values()].some(
      ({ address, pinned }) => address.field === field && pinned !== undefined,
    );
  }

  /** The raw value of a measurement of a certain request (SDI-12), by number. */
  measured(request: string, field: string): number | undefined {
    const cell = [...this.#cells.values()].find(
      ({ address }) => address.request === request && address.field === field,
    );
    if (cell === undefined) return undefined;
    const { point, value, pinned } = cell;
    return Number(((Number(pinned ?? value) - point.offset) / point.scale).toPrecision(9));
  }

  number(field: string, otherwise = 0): number {
    const raw = Number(this.raw(field) ?? otherwise);
    return Number.isFinite(raw) ? raw : otherwise;
  }

  /** The items (channels) that the points are read from. */
  items(): string[] {
    return [...new Set([...this.#cells.values()].flatMap(({ address }) => address.item ?? []))];
  }
}

/** A number with at most so many digits after the point, and no more of them than it has. */
export function short(value: number, decimals: number): string {
  return String(Number(value.toFixed(decimals)));
}
