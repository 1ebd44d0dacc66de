import type { Unit, Wire } from "./unit.ts";

export interface Medium {
  /** Where it is, as a person would type it; known after `open`. */
  readonly place: string;
  open(): Promise<void>;
  /** Closes the listener or the port and every connection; safe twice. */
  close(): Promise<void>;
  /** To everybody who is connected. */
  write(bytes: Buffer): void;
  hangUp(): void;
}

/** A text that has no end is forgotten at this length. */
const requestCharactersMax = 256;

/** Gathers what comes over one connection into requests. */
export class Receiver {
  readonly #endpoint: Endpoint;
  readonly #wire: Wire;
  #kept = "";

  constructor(endpoint: Endpoint, wire: Wire) {
    this.#endpoint = endpoint;
    this.#wire = wire;
  }

  push(bytes: Buffer): void {
    this.#kept += bytes.toString("latin1");
    for (;;) {
      const length = this.#endpoint.requestLength(this.#kept);
      if (length <= 0) break;
      const request = this.#kept.slice(0, length);
      this.#kept = this.#kept.slice(length);
      this.#endpoint.serve(request, this.#wire);
    }
    this.#kept = this.#kept.slice(-requestCharactersMax);
  }
}

/** One listener or one serial line and the instruments that live on it. */
export class Endpoint implements Wire {
  readonly medium: Medium;
  readonly hasListener: boolean;
  readonly #units = new Set<Unit>();
  readonly #log: (text: string) => void;
  #turn: Promise<void> = Promise.resolve();
  #isOpen = false;
  #isClosed = false;

  constructor(hasListener: boolean, medium: (endpoint: Endpoint) => Medium, log: (text: string) => void) {
    this.hasListener = hasListener;
    this.#log = log;
    this.medium = medium(this);
  }

  async open(): Promise<void> {
    await this.medium.open();
    this.#isOpen = true;
  }

  /** Throws an `Error` when the station is taken. */
  add(unit: Unit): void {
    if ([...this.#units].some(({ station }) => station === unit.station))
      throw new Error(`station "${unit.station}" at ${this.medium.place} is simulated already`);
    this.#units.add(unit);
    this.reconcile();
  }

  /** Takes a unit away; true when it was the last one and the endpoint should be closed. */
  remove(unit: Unit): boolean {
    unit.close();
    this.#units.delete(unit);
    this.reconcile();
    return this.#units.size === 0;
  }

  /** Opens or closes the listener as the faults of the units want it: closed while all of them are away. */
  reconcile(): void {
    if (this.hasListener) this.#turn = this.#listenOrNot(this.#turn);
  }

  async #listenOrNot(before: Promise<void>): Promise<void> {
    await before;
    const shouldListen = !this.#isClosed && [...this.#units].some((unit) => !unit.isAway);
    if (shouldListen === this.#isOpen) return;
    try {
      await (shouldListen ? this.medium.open() : this.medium.close());
      this.#isOpen = shouldListen;
    } catch (error) {
      this.#log(`serial simulator: ${this.medium.place}: ${String(error)}`);
    }
  }

  /** True when a connection must be cut at the first byte. */
  cutsAtFirstByte(): boolean {
    const units = [...this.#units];
    return this.hasListener && units.length > 0 && units.every(({ fault }) => fault === "hangUp");
  }

  requestLength(text: string): number {
    const [unit] = this.#units;
    return unit?.requestLength(text) ?? 0;
  }

  serve(request: string, wire: Wire): void {
    for (const unit of this.#units) unit.serve(request, wire);
  }

  write(bytes: Buffer): void {
    if (this.#isOpen) this.medium.write(bytes);
  }

  hangUp(): void {
    this.medium.hangUp();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    this.#isOpen = false;
    await this.medium.close();
  }
}
