import { seededRandom, type Fault } from "../simulator.ts";
import type { Wire } from "../media.ts";
import type { Dialect, Reply, Told } from "./dialect.ts";

const delayedMax = 64;
const noiseBytesMax = 512;
/** Frames of one record come one after the other. */
const tellPauseMs = 10;

/** One instrument on a listener or a line: its dialect, its fault and its counts. */
export class Unit {
  readonly title: string;
  readonly counts = { requests: 0, errors: 0 };
  fault: Fault | undefined;
  readonly #dialect: Dialect;
  readonly #random: () => number;
  readonly #hasListener: boolean;
  readonly #timers = new Set<NodeJS.Timeout>();
  #streaming: NodeJS.Timeout | undefined;
  #delayMs = 0;
  #isLateSpent = false;
  #back: NodeJS.Timeout | undefined;

  readonly #walk: () => void;

  constructor(station: string, dialect: Dialect, hasListener: boolean, seed: number, walk: () => void) {
    this.#walk = walk;
    this.title = `station "${station}"`;
    this.#dialect = dialect;
    this.#hasListener = hasListener;
    this.#random = seededRandom(seed);
  }

  /** True while nothing listens for this unit. */
  get isAway(): boolean {
    return this.fault === "refuse" || this.fault === "restart";
  }

  /** Begins to tell what it tells by itself. */
  begin(wire: Wire): void {
    const dialect = this.#dialect;
    if (dialect.everyMs === undefined) return;
    this.#streaming = setInterval(() => {
      this.#walk();
      this.push([dialect.stream?.() ?? ""], wire);
    }, dialect.everyMs);
    this.#streaming.unref();
  }

  /** Raises or ends a fault; `changed` is called when a restart is over. */
  raise(fault: Fault | undefined, delayMs: number, changed: () => void): void {
    clearTimeout(this.#back);
    this.fault = fault;
    this.#delayMs = delayMs;
    this.#isLateSpent = false;
    if (fault !== "restart") return;
    this.#forget();
    this.#back = setTimeout(() => {
      this.fault = undefined;
      changed();
    }, delayMs);
  }

  requestLength(text: string): number {
    return this.#dialect.requestLength?.(text) ?? 0;
  }

  /** Answers a request, if it is for this unit, as the fault of the moment has it. */
  serve(request: string, wire: Wire): void {
    const isRefusing = this.fault === "refuse" && !this.#hasListener;
    const answer = this.#dialect.answer?.(request);
    const reply = isRefusing ? (this.#dialect.refusal?.(request) ?? answer) : answer;
    if (reply === undefined) return;
    this.#walk();
    this.counts.requests += 1;
    if (isRefusing) this.counts.errors += 1;
    this.#act(() => this.#send(reply, wire), wire);
  }

  /** Frames that nobody asked for. */
  push(frames: readonly string[], wire: Wire): void {
    if (this.fault === "refuse") return;
    frames.forEach((frame, index) => {
      if (frame === "") return;
      const send = () => this.#act(() => wire.write(Buffer.from(frame, "utf8")), wire);
      if (index === 0) send();
      else this.#later(send, index * tellPauseMs);
    });
  }

  tell(record: string, told: Told, wire: Wire): void {
    this.push(this.#dialect.tell?.(record, told) ?? [], wire);
  }

  #act(send: () => void, wire: Wire): void {
    switch (this.fault) {
      case "silent":
      case "restart":
        return;
      case "hangUp":
        return wire.hangUp();
      case "garbage":
        return wire.write(this.#noise());
      case "slow":
        return this.#later(send, this.#delayMs);
      case "late":
        if (this.#isLateSpent) break;
        this.#isLateSpent = true;
        return this.#later(send, this.#delayMs);
    }
    send();
  }

  #send({ bytes, after }: Reply, wire: Wire): void {
    wire.write(Buffer.from(bytes, "latin1"));
    if (after !== undefined) this.#later(() => wire.write(Buffer.from(after.bytes, "latin1")), after.ms);
  }

  #later(work: () => void, ms: number): void {
    if (this.#timers.size >= delayedMax) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  #noise(): Buffer {
    const length = 1 + Math.floor(this.#random() * noiseBytesMax);
    return Buffer.from(Array.from({ length }, () => Math.floor(this.#random() * 256)));
  }

  #forget(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  close(): void {
    clearInterval(this.#streaming);
    clearTimeout(this.#back);
    this.#forget();
  }
}
