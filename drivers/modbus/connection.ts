import {
  DeviceError,
  type Browsed,
  type BrowseRequest,
  type Connection,
  type DriverContext,
  type Identity,
  type LeftOut,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Value,
} from "../../gateway/driver.ts";
import { Batch, type Request } from "./batch.ts";
import { identificationFunction, readFunction } from "./codec.ts";
import { identify } from "./identify.ts";
import { aborted, closed, Turn, type Link } from "./link.ts";
import { Knowledge, makeBlock, Plan, range, refusal, type Atom, type Block } from "./plan.ts";
import type { Address, Settings } from "./settings.ts";
import { identifySunSpec } from "./sunspec.ts";
import { writeRefusal, writeRequest } from "./write.ts";

type Points = readonly PointRequest<Address>[];

/** Requests that one read may spend to find out which registers of a refused block are at fault. */
const searchRequestsMax = 32;
/** Unanswered requests after which a read asks no further ones. */
const lostMax = 2;
/** Answers that arrived within this time need no times of their own. */
const momentMs = 10;

/** One search for the registers at fault, within one read. */
interface Search {
  readonly plan: Plan;
  readonly signal: AbortSignal;
  requestsLeft: number;
  isLost: boolean;
  /** "holding 11", for the log. */
  readonly refused: string[];
}

/** One Modbus device. See `Connection` in the driver contract. */
export class ModbusConnection implements Connection<Address> {
  readonly #link: Link;
  readonly #settings: Settings;
  readonly #place: string;
  readonly #context: DriverContext;
  readonly #turn = new Turn();
  readonly #knowledge = new Knowledge();
  readonly #plans = new WeakMap<Points, Plan>();
  #closed = false;

  constructor(link: Link, settings: Settings, place: string, context: DriverContext) {
    this.#link = link;
    this.#settings = settings;
    this.#place = place;
    this.#context = context;
  }

  async identify(signal: AbortSignal): Promise<Identity> {
    await this.#enter(signal);
    try {
      const { functions, unit, sunspec } = this.#settings;
      // Function 43 may be answered by a gateway in front of the device.
      if (sunspec && functions.includes(readFunction.holding)) {
        const found = await identifySunSpec(this.#link, this.#settings, this.#place, signal);
        if (found !== undefined) return found;
      }
      if (!functions.includes(identificationFunction)) {
        const none = sunspec ? "there is no SunSpec marker, and " : "";
        throw new DeviceError("unsupported", `${this.#place}: ${none}function 43 is not among its functions`);
      }
      return await identify(this.#link, unit, this.#place, signal);
    } finally {
      this.#turn.give();
    }
  }

  async read(points: Points, options: ReadOptions): Promise<ReadResult> {
    const { signal } = options;
    await this.#enter(signal);
    try {
      const plan = this.#planFor(points);
      const { batch } = plan;
      const total = batch.requests.length;
      plan.begin(options.raw === true);
      const begunMs = performance.now();
      if (total > 1) plan.timed();
      if (total > 0) await this.#link.run(batch, signal);
      if (batch.answered !== total) await this.#account(plan, signal);
      else if (plan.isProbe && total > 0) this.#knowledge.forget();
      const { answers } = plan;
      // Requests sent together and answered at once have one time.
      const isOneMoment =
        total <= this.#link.inFlightMax && batch.answered === total && performance.now() - begunMs < momentMs;
      const atMs = isOneMoment ? undefined : plan.atMs;
      return atMs === undefined ? { answers } : { answers, atMs };
    } finally {
      this.#turn.give();
    }
  }

  async write(point: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    const request = writeRequest(point, value, this.#settings, this.#place);
    await this.#enter(signal);
    try {
      if (this.#link.isEchoed === undefined) await this.#hear(point, signal);
      const batch = new Batch([request], this.#link.framing, this.#settings.unit, () => {});
      await this.#link.run(batch, signal);
      if (request.state === "answered") return;
      const refused = request.state === "refused" ? writeRefusal(request, this.#place) : this.#gone(batch);
      if (refused !== undefined) throw refused;
    } finally {
      this.#turn.give();
    }
  }

  /** Where nobody knows yet whether the wire gives requests back, a write could be taken for its own answer. */
  async #hear({ name, address }: PointRequest<Address>, signal: AbortSignal): Promise<void> {
    const { batch } = new Plan([{ name, address }], this.#settings, new Knowledge(), this.#link.framing);
    if (batch.requests.length > 0) await this.#link.run(batch, signal);
    if (this.#link.isEchoed !== undefined) return;
    if (batch.requests.length > 0) throw this.#gone(batch);
    throw new DeviceError("unsupported", `${this.#place}: ${name} is not read, and the line may echo`);
  }

  async *browse(request: BrowseRequest): AsyncGenerator<Browsed | LeftOut> {
    await this.#enter(request.signal);
    try {
      // Nobody who only polls pays for it.
      const { browse } = await import("./browse.ts");
      yield* browse(this.#link, this.#settings, this.#place, request);
    } finally {
      this.#turn.give();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#link.close();
  }

  /** Calls never overlap; should they all the same, they wait for each other, since they share the plan. */
  async #enter(signal: AbortSignal): Promise<void> {
    const waiting = this.#turn.take(signal, () => aborted(this.#place));
    if (waiting !== undefined) await waiting;
    if (!this.#closed && !signal.aborted) return;
    this.#turn.give();
    throw this.#closed ? closed(this.#place) : aborted(this.#place);
  }

  #planFor(points: Points): Plan {
    const known = this.#plans.get(points);
    if (known !== undefined && known.version === this.#knowledge.version) return known;
    const plan = new Plan(points, this.#settings, this.#knowledge, this.#link.framing);
    this.#plans.set(points, plan);
    return plan;
  }

  /** Goes on after a lost request, then gives every point of an unanswered request its reading. */
  async #account(plan: Plan, signal: AbortSignal): Promise<void> {
    const { batch, blocks } = plan;
    while (batch.next < batch.requests.length && batch.lost < lostMax && !batch.hopeless) {
      plan.timed();
      await this.#link.run(batch, signal);
    }
    if (batch.answered + batch.refused === 0) throw this.#gone(batch);
    const search: Search = {
      plan,
      signal,
      requestsLeft: searchRequestsMax,
      isLost: batch.lost > 0,
      refused: [],
    };
    for (const [index, request] of batch.requests.entries()) {
      const block = blocks[index]!;
      if (request.state === "lost") this.#knowledge.postpone(block);
      if (request.state === "refused" && isAddressFault(request)) {
        await this.#search(search, block, request.exception);
      } else if (request.state !== "answered") plan.fail(block.atoms, ...this.#reasonOf(request));
    }
    this.#tellRefused(search.refused);
  }

  #reasonOf(request: Request): [code: string, reason: string] {
    if (request.state === "refused") return refusal(request.exception);
    if (request.state === "unsent")
      return ["timeout", "not asked: earlier requests of this read were not answered"];
    return request.strayBytes > 0
      ? ["garbage", `${request.strayBytes} bytes came, but no valid answer`]
      : ["timeout", `no answer within ${this.#settings.timeout} ms`];
  }

  /** Nothing answered: the device is lost. */
  #gone(batch: Batch): DeviceError {
    const request = batch.requests.find(({ state }) => state === "lost") ?? batch.requests[0]!;
    const where = `${this.#place}: no answer to ${request.text}`;
    if (request.state !== "lost") {
      return new DeviceError("silent", `${where}: gateway target device failed to respond (exception 11)`);
    }
    const within = `${where} within ${this.#settings.timeout} ms`;
    const damaged = request.isDamaged ? ", an answer among them whose checksum is wrong" : "";
    return request.strayBytes > 0
      ? new DeviceError("garbage", `${within}, only ${request.strayBytes} bytes that are none${damaged}`)
      : new DeviceError("silent", within);
  }

  /** Finds the registers for which the device refused a block, and remembers them until the next connect. */
  async #search(search: Search, block: Block, exception: number): Promise<void> {
    if (block.atoms.length === 1) {
      this.#refuse(search, block, exception);
      return;
    }
    search.plan.timed();
    await this.#halve(search, block, exception);
  }

  /** Asks for the halves of a refused block; two good halves mean that it cannot be read in one. */
  async #halve(search: Search, block: Block, exception: number): Promise<void> {
    const { table, atoms } = block;
    const middle = atoms.length >> 1;
    const left = makeBlock(table, atoms.slice(0, middle), this.#settings);
    const right = makeBlock(table, atoms.slice(middle), this.#settings);
    const isLeftGood = await this.#probe(search, left, exception);
    const isRightGood = await this.#probe(search, right, exception);
    if (isLeftGood && isRightGood) {
      this.#knowledge.separate(table, lastRegister(left.atoms), right.atoms[0]!.start);
    }
  }

  async #probe(search: Search, block: Block, parentException: number): Promise<boolean> {
    const { plan, signal } = search;
    if (search.isLost || search.requestsLeft === 0) {
      const [code, reason] = refusal(parentException);
      plan.fail(block.atoms, code, `${reason} (not yet known which register)`);
      return false;
    }
    search.requestsLeft--;
    const batch = plan.batchOf([block], this.#settings.unit, this.#link.framing);
    await this.#link.run(batch, signal);
    const request = batch.requests[0]!;
    if (request.state === "answered") return true;
    if (request.state === "lost") search.isLost = true;
    if (request.state === "refused" && isAddressFault(request)) {
      await this.#search(search, block, request.exception);
    } else plan.fail(block.atoms, ...this.#reasonOf(request));
    return false;
  }

  #refuse(search: Search, block: Block, exception: number): void {
    const { plan, refused } = search;
    const { start, end } = block.atoms[0]!;
    plan.fail(block.atoms, ...refusal(exception));
    if (plan.isProbe) return;
    this.#knowledge.refuse(block.table, start, end, exception);
    refused.push(range(block.table, start, end - start));
  }

  #tellRefused(refused: readonly string[]): void {
    if (refused.length === 0) return;
    const more = refused.length > 8 ? ` and ${refused.length - 8} more` : "";
    this.#context.log(
      "info",
      `${this.#place}: refuses ${refused.slice(0, 8).join(", ")}${more}; not asked again until the next connect`,
    );
  }
}

/** Exceptions 2 and 3 depend on which registers were asked for, and how many. */
function isAddressFault(request: Request): boolean {
  return request.exception === 2 || request.exception === 3;
}

function lastRegister(atoms: readonly Atom[]): number {
  return atoms.reduce((last, atom) => Math.max(last, atom.end - 1), 0);
}
