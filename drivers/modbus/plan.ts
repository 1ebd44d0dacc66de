import type { Answer, PointRequest, Reading } from "../../gateway/driver.ts";
import { Batch, Request } from "./batch.ts";
import { exceptionName, isBitTable, readFunction, readPdu, type Framing, type Table } from "./codec.ts";
import { compileDecoder, decode, rawBytes, widthOf, type Decoder, type Layout } from "./decode.ts";
import type { Address, Settings } from "./settings.ts";

/** What limits a plan. */
export type Limits = Pick<
  Settings,
  "unit" | "order" | "functions" | "maxRegistersPerRead" | "maxBitsPerRead" | "evenCount" | "gapRegisters"
>;

/** Points with the same range of registers `[start, end)`: the smallest thing that can be asked for. */
export interface Atom {
  readonly start: number;
  readonly end: number;
  readonly points: number[];
}

/** One request of a plan: `[start, start + count)` of a table. */
export interface Block {
  readonly table: Table;
  readonly start: number;
  readonly count: number;
  readonly atoms: readonly Atom[];
  readonly layout: Layout;
}

/** A range that the device refused with an exception. */
interface Refusal {
  readonly start: number;
  readonly end: number;
  readonly exception: number;
}

/** What a connection has learnt about its device. Bounded by the number of ranges that its points have. */
export class Knowledge {
  /** Counts the changes: a plan made for an older number must be made again. */
  version = 0;
  readonly #refused = new Map<Table, Refusal[]>();
  readonly #barriers = new Map<Table, [number, number][]>();
  readonly #silent = new Set<string>();

  /** The device refuses `[start, end)` by itself. */
  refuse(table: Table, start: number, end: number, exception: number): void {
    add(this.#refused, table, { start, end, exception });
    this.version++;
  }

  /** The device refuses to read these two registers with one request. */
  separate(table: Table, one: number, other: number): void {
    add(this.#barriers, table, [Math.min(one, other), Math.max(one, other)]);
    this.version++;
  }

  /** The device did not answer this request: it is to be asked last. */
  postpone(block: Block): void {
    const key = `${block.table} ${block.start}`;
    if (this.#silent.has(key)) return;
    this.#silent.add(key);
    this.version++;
  }

  forget(): void {
    this.#refused.clear();
    this.#barriers.clear();
    this.version++;
  }

  isPostponed(block: Block): boolean {
    return this.#silent.has(`${block.table} ${block.start}`);
  }

  /** The exception that the device has for something inside `[start, end)`. */
  refusalOf(table: Table, start: number, end: number): number | undefined {
    return this.#refused.get(table)?.find((refused) => start <= refused.start && refused.end <= end)
      ?.exception;
  }

  isSeparated(table: Table, start: number, end: number): boolean {
    return this.#barriers.get(table)?.some(([left, right]) => start <= left && right < end) ?? false;
  }
}

function add<Item>(map: Map<Table, Item[]>, table: Table, item: Item): void {
  const list = map.get(table);
  if (list === undefined) map.set(table, [item]);
  else list.push(item);
}

/** The part of a plan that does not change while it is used. */
type PlanLayout = Pick<Plan, "decoder" | "blocks" | "isProbe"> & { known: readonly [number, Reading][] };

const layouts = new WeakMap<readonly PointRequest<Address>[], Map<string, PlanLayout>>();

/** Equal devices that have the same array of points, and of which nothing is known yet, share it. */
function layoutOf(
  points: readonly PointRequest<Address>[],
  limits: Limits,
  knowledge: Knowledge,
): PlanLayout {
  if (knowledge.version > 0) return makeLayout(points, limits, knowledge);
  const { order, functions, maxRegistersPerRead, maxBitsPerRead, evenCount, gapRegisters } = limits;
  const key = JSON.stringify([
    order,
    functions,
    maxRegistersPerRead,
    maxBitsPerRead,
    evenCount,
    gapRegisters,
  ]);
  const ofPoints = layouts.get(points) ?? new Map<string, PlanLayout>();
  layouts.set(points, ofPoints);
  const layout = ofPoints.get(key) ?? makeLayout(points, limits, knowledge);
  ofPoints.set(key, layout);
  return layout;
}

function makeLayout(
  points: readonly PointRequest<Address>[],
  limits: Limits,
  knowledge: Knowledge,
): PlanLayout {
  const { atoms, known } = sort(points, limits, knowledge);
  const isProbe = known.refused !== undefined && [...atoms.values()].every((list) => list.length === 0);
  const probe = isProbe ? known.refused : undefined;
  const blocks =
    probe === undefined ? join(atoms, limits, knowledge) : [makeBlock(probe.table, [probe.atom], limits)];
  return { decoder: compileDecoder(points, limits.order), blocks, isProbe, known: known.readings };
}

/** How a list of points is read: the requests, where each value lies, and what is bad without asking. */
export class Plan {
  readonly version: number;
  readonly decoder: Decoder;
  readonly blocks: readonly Block[];
  readonly batch: Batch;
  /** The device refuses every point: one of them is asked all the same, to see that the device is there. */
  readonly isProbe: boolean;
  readonly #known: readonly [number, Reading][];
  /** As long as the answers; copying it is the fastest way to a new array. */
  readonly #blank: Answer[];
  answers: Answer[] = [];
  /** What has arrived since `timed` was called, in order. Most reads have no use for a time of each answer. */
  #arrivals: { points: Iterable<number>; atMs: number }[] | undefined;
  #timedMs = 0;
  #raw = false;

  constructor(
    points: readonly PointRequest<Address>[],
    limits: Limits,
    knowledge: Knowledge,
    framing: Framing,
  ) {
    const layout = layoutOf(points, limits, knowledge);
    this.version = knowledge.version;
    this.decoder = layout.decoder;
    this.#known = layout.known;
    this.#blank = Array.from<Answer>({ length: points.length });
    this.isProbe = layout.isProbe;
    this.blocks = layout.blocks;
    this.batch = this.batchOf(this.blocks, limits.unit, framing);
  }

  /** A batch whose answers go into this plan's `answers`. */
  batchOf(blocks: readonly Block[], unit: number, framing: Framing): Batch {
    return new Batch(
      blocks.map(({ table, start, count }) => {
        const bytes = isBitTable(table) ? (count + 7) >> 3 : 2 * count;
        return new Request(readPdu(table, start, count), `read ${range(table, start, count)}`, bytes);
      }),
      framing,
      unit,
      (index, bytes, at) => this.#accept(blocks[index]!, bytes, at + 2),
    );
  }

  begin(raw: boolean): void {
    this.answers = this.#blank.slice();
    this.#arrivals = undefined;
    this.#raw = raw;
    this.batch.reset();
    for (const [point, reading] of this.#known) this.answers[point] = { ...reading };
  }

  /** From now on note when each answer arrives. */
  timed(): void {
    if (this.#arrivals !== undefined) return;
    this.#arrivals = [];
    this.#timedMs = performance.now();
  }

  /** Arrival of each answer, once `timed` has been called; of those that came before, of that call. */
  get atMs(): number[] | undefined {
    if (this.#arrivals === undefined) return undefined;
    const times = this.answers.map(() => this.#timedMs);
    for (const { points, atMs } of this.#arrivals) for (const point of points) times[point] = atMs;
    return times;
  }

  /** Makes all points of some atoms bad. */
  fail(atoms: readonly Atom[], code: string, reason: string): void {
    for (const atom of atoms) {
      for (const point of atom.points) this.answers[point] = bad(code, reason);
      this.#arrivals?.push({ points: atom.points, atMs: performance.now() });
    }
  }

  #accept(block: Block, bytes: Uint8Array, at: number): void {
    decode(this.decoder, block.layout, bytes, at, this.answers);
    const { points, offsets } = block.layout;
    this.#arrivals?.push({ points, atMs: performance.now() });
    if (!this.#raw) return;
    points.forEach((point, index) => {
      const answer = this.answers[point]!;
      const raw = rawBytes(this.decoder, point, bytes, at, offsets[index]!);
      this.answers[point] =
        typeof answer === "object" ? { ...answer, raw } : { value: answer, status: "good", raw };
    });
  }
}

/** "holding 0-9", "coil 3". */
export function range(table: Table, start: number, count: number): string {
  return count === 1 ? `${table} ${start}` : `${table} ${start}-${start + count - 1}`;
}

/** The reading of a point that the device refused: code "modbus-<exception>". */
export function refusal(exception: number): [code: string, reason: string] {
  return [`modbus-${exception}`, exceptionName(exception)];
}

function bad(code: string, reason: string): Reading {
  return { value: null, status: "bad", code, reason };
}

interface Sorted {
  atoms: Map<Table, Atom[]>;
  known: { readings: [number, Reading][]; refused: { table: Table; atom: Atom } | undefined };
}

/** Sorts points into atoms by table and start, and out those that need not be asked for. */
function sort(points: readonly PointRequest<Address>[], limits: Limits, knowledge: Knowledge): Sorted {
  const byRange = new Map<Table, Map<number, Atom>>();
  const known: Sorted["known"] = { readings: [], refused: undefined };
  points.forEach(({ address }, point) => {
    const { table, register: start } = address;
    const end = start + widthOf(address);
    const problem = problemOf(address, end, limits);
    const exception = problem === undefined ? knowledge.refusalOf(table, start, end) : undefined;
    if (problem !== undefined) known.readings.push([point, problem]);
    if (exception !== undefined) {
      known.readings.push([point, bad(...refusal(exception))]);
      known.refused ??= { table, atom: { start, end, points: [] } };
      if (
        known.refused.table === table &&
        known.refused.atom.start === start &&
        known.refused.atom.end === end
      ) {
        known.refused.atom.points.push(point);
      }
    }
    if (problem !== undefined || exception !== undefined) return;
    const ranges = byRange.get(table) ?? new Map<number, Atom>();
    byRange.set(table, ranges);
    const atom = ranges.get(start * 256 + end - start) ?? { start, end, points: [] };
    ranges.set(start * 256 + end - start, atom);
    atom.points.push(point);
  });
  const atoms = new Map(
    [...byRange].map(([table, ranges]) => [
      table,
      [...ranges.values()].sort((a, b) => a.start - b.start || a.end - b.end),
    ]),
  );
  return { atoms, known };
}

function problemOf(address: Address, end: number, limits: Limits): Reading | undefined {
  const code = readFunction[address.table];
  if (!limits.functions.includes(code)) {
    return bad("unsupported-function", `the device does not answer function ${code}`);
  }
  if (end > 65536) return bad("bad-address", "the value reaches beyond register 65535");
  const [start, alignedEnd] = align(address.register, end, limits);
  if (alignedEnd - start > countMax(address.table, limits)) {
    return bad("too-long", `the device answers at most ${countMax(address.table, limits)} with one request`);
  }
  return undefined;
}

function countMax(table: Table, limits: Limits): number {
  return isBitTable(table) ? limits.maxBitsPerRead : limits.maxRegistersPerRead;
}

function align(start: number, end: number, limits: Limits): [number, number] {
  return limits.evenCount ? [start - (start % 2), end + (end % 2)] : [start, end];
}

/** Joins neighbours greedily from the left, which gives the fewest requests of limited length. */
function join(atomsOf: Map<Table, Atom[]>, limits: Limits, knowledge: Knowledge): Block[] {
  const blocks: Block[] = [];
  for (const [table, atoms] of atomsOf) {
    // A register is 16 bits on the wire: as many bits are worth skipping.
    const gapMax = isBitTable(table) ? 16 * limits.gapRegisters : limits.gapRegisters;
    let members: Atom[] = [];
    let end = 0;
    for (const atom of atoms) {
      const first = members[0];
      if (first !== undefined) {
        const joinedEnd = Math.max(end, atom.end);
        const [from, to] = align(first.start, joinedEnd, limits);
        if (
          atom.start - end > gapMax ||
          to - from > countMax(table, limits) ||
          knowledge.refusalOf(table, from, to) !== undefined ||
          knowledge.isSeparated(table, first.start, joinedEnd)
        ) {
          blocks.push(makeBlock(table, members, limits));
          members = [];
          end = 0;
        }
      }
      members.push(atom);
      end = Math.max(end, atom.end);
    }
    if (members.length > 0) blocks.push(makeBlock(table, members, limits));
  }
  return blocks.sort((a, b) => Number(knowledge.isPostponed(a)) - Number(knowledge.isPostponed(b)));
}

/** One request for some atoms, sorted by their start. */
export function makeBlock(table: Table, atoms: readonly Atom[], limits: Limits): Block {
  const end = atoms.reduce((last, atom) => Math.max(last, atom.end), 0);
  const [start, alignedEnd] = align(atoms[0]!.start, end, limits);
  const unit = isBitTable(table) ? 1 : 2;
  return {
    table,
    start,
    count: alignedEnd - start,
    atoms,
    layout: {
      points: Int32Array.from(atoms.flatMap((atom) => atom.points)),
      offsets: Int32Array.from(atoms.flatMap((atom) => atom.points.map(() => (atom.start - start) * unit))),
    },
  };
}
