import { exception, exceptions } from "./device.ts";
import { mbapFrame, rtuFrame, type Request } from "./frames.ts";
import type { Reply, Unit } from "./unit.ts";

/** What a wire gives to answer one request on it. */
export type Wire = Pick<Reply, "write" | "hangUp">;

export interface Medium {
  /** Where it is, as a person would type it; known after `open`. */
  readonly place: string;
  open(): Promise<void>;
  /** Closes the listener or the port and every connection; safe twice. */
  close(): Promise<void>;
}

const writeFunctions = new Set([5, 6, 15, 16, 22]);

/** One listener or one serial line and the units that live on it. */
export class Endpoint {
  readonly framing: "mbap" | "rtu";
  readonly medium: Medium;
  readonly #units = new Map<number, Unit>();
  /** A serial line cannot be closed for the other side, so its units stay and refuse with an exception. */
  readonly #hasListener: boolean;
  readonly #log: (text: string) => void;
  #turn: Promise<void> = Promise.resolve();
  #isOpen = false;
  #closed = false;

  constructor(
    framing: "mbap" | "rtu",
    hasListener: boolean,
    medium: (endpoint: Endpoint) => Medium,
    log: (text: string) => void,
  ) {
    this.framing = framing;
    this.#hasListener = hasListener;
    this.#log = log;
    this.medium = medium(this);
  }

  async open(): Promise<void> {
    await this.medium.open();
    this.#isOpen = true;
  }

  /** Throws an `Error` when the unit id is taken. */
  add(unit: Unit): void {
    if (this.#units.has(unit.id))
      throw new Error(`unit ${unit.id} at ${this.medium.place} is simulated already`);
    this.#units.set(unit.id, unit);
    this.reconcile();
  }

  /** Takes a unit away; true when it was the last one and the endpoint should be closed. */
  remove(unit: Unit): boolean {
    unit.close();
    this.#units.delete(unit.id);
    this.reconcile();
    return this.#units.size === 0;
  }

  /** Opens or closes the listener as the faults of the units want it: closed while all of them are away. */
  reconcile(): void {
    if (!this.#hasListener) return;
    this.#turn = this.#listenOrNot(this.#turn);
  }

  async #listenOrNot(before: Promise<void>): Promise<void> {
    await before;
    const shouldListen = !this.#closed && [...this.#units.values()].some((unit) => !unit.away);
    if (shouldListen === this.#isOpen) return;
    try {
      await (shouldListen ? this.medium.open() : this.medium.close());
      this.#isOpen = shouldListen;
    } catch (error) {
      this.#log(`modbus simulator: ${this.medium.place}: ${String(error)}`);
    }
  }

  /** True when a connection must be cut at the first byte. */
  cutsAtFirstByte(): boolean {
    const units = [...this.#units.values()];
    const cuts = units.length > 0 && units.every((unit) => unit.fault === "hangUp");
    if (cuts) for (const unit of units) unit.counts.requests += 1;
    return cuts;
  }

  /** One request from the wire; answered, or not, by the unit it is for. */
  handle(request: Request, wire: Wire): void {
    const { unit: id, pdu } = request;
    if (this.framing === "rtu" && id === 0) return this.#broadcast(pdu);
    const frame = (answer: Uint8Array) =>
      this.framing === "mbap" ? mbapFrame(request, answer) : rtuFrame(id, answer);
    const unit = this.#find(id);
    if (unit !== undefined) return unit.serve(pdu, { ...wire, frame });
    // A gateway knows that nobody is behind it; a single device does not answer for others.
    if (this.framing === "mbap" && this.#units.size > 1) {
      wire.write(frame(exception(pdu[0] ?? 0, exceptions.noTarget)));
    }
  }

  #find(id: number): Unit | undefined {
    const [only] = this.#units.values();
    const isWildcard = this.framing === "mbap" && (id === 0 || id === 255);
    return this.#units.get(id) ?? (isWildcard && this.#units.size === 1 ? only : undefined);
  }

  #broadcast(pdu: Buffer): void {
    if (!writeFunctions.has(pdu[0] ?? 0)) return;
    for (const unit of this.#units.values()) if (unit.fault === undefined) unit.device.answer(pdu);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
    this.#isOpen = false;
    await this.medium.close();
  }
}
