import { seededRandom, type Fault } from "../simulator.ts";
import type { Wire } from "../media.ts";
import { exception, exceptions, type Device } from "./device.ts";

/** How one request is answered: the framing of its wire, and the wire itself. */
interface Reply extends Pick<Wire, "write" | "hangUp"> {
  frame(pdu: Uint8Array): Buffer;
}

/** Answers that may wait for their time at once; a client that asks for more gets no answer. */
const delayedMax = 64;

/** One unit id on a listener or a line: a device, its fault and its counts. */
export class Unit {
  readonly id: number;
  readonly device: Device;
  readonly counts: { requests: number; errors: number };
  fault: Fault | undefined;
  readonly title: string;
  readonly #random: () => number;
  readonly #delayed = new Set<NodeJS.Timeout>();
  #delayMs = 0;
  #lateSpent = false;
  #back: NodeJS.Timeout | undefined;

  constructor(id: number, device: Device, seed: number, counts = { requests: 0, errors: 0 }) {
    this.counts = counts;
    this.id = id;
    this.title = `unit ${id}`;
    this.device = device;
    this.#random = seededRandom(seed);
  }

  /** True while nothing listens for this unit. */
  get isAway(): boolean {
    return this.fault === "refuse" || this.fault === "restart";
  }

  /** Raises or ends a fault; `changed` is called when a restart is over. */
  raise(fault: Fault | undefined, delayMs: number, changed: () => void): void {
    clearTimeout(this.#back);
    this.fault = fault;
    this.#delayMs = delayMs;
    this.#lateSpent = false;
    if (fault !== "restart") return;
    this.forget();
    this.#back = setTimeout(() => {
      this.fault = undefined;
      changed();
    }, delayMs);
  }

  /** Answers one request as the fault of the moment has it. */
  serve(pdu: Buffer, reply: Reply): void {
    this.counts.requests += 1;
    switch (this.fault) {
      case "silent":
      case "restart":
        return;
      case "hangUp":
        return reply.hangUp();
      case "garbage":
        return reply.write(this.#noise());
      case "refuse":
        return this.#send(exception(pdu[0] ?? 0, exceptions.deviceFailure), reply);
      case "slow":
        return this.#sendLater(pdu, reply);
      case "late":
        if (this.#lateSpent) break;
        this.#lateSpent = true;
        return this.#sendLater(pdu, reply);
    }
    const answer = this.device.answer(pdu);
    // It may have fallen silent over what it was told.
    if ((this.fault as Fault | undefined) !== "silent") this.#send(answer, reply);
  }

  #send(answer: Buffer, reply: Reply): void {
    if ((answer[0] ?? 0) & 0x80) this.counts.errors += 1;
    reply.write(reply.frame(answer));
  }

  #sendLater(pdu: Buffer, reply: Reply): void {
    if (this.#delayed.size >= delayedMax) return;
    const timer = setTimeout(() => {
      this.#delayed.delete(timer);
      this.#send(this.device.answer(pdu), reply);
    }, this.#delayMs);
    this.#delayed.add(timer);
  }

  #noise(): Buffer {
    const length = 1 + Math.floor(this.#random() * 260);
    return Buffer.from(Array.from({ length }, () => Math.floor(this.#random() * 256)));
  }

  /** Drops the answers that wait for their time. */
  forget(): void {
    for (const timer of this.#delayed) clearTimeout(timer);
    this.#delayed.clear();
  }

  close(): void {
    clearTimeout(this.#back);
    this.forget();
  }
}
