import type { CommandValue } from "./command.ts";
import type { Moment } from "./journal.ts";
import type { Entry, Happening } from "./journal-lines.ts";
import { type CommandState, isFinal } from "./state.ts";

/** What the desk remembers of commands, leases and writes under way; the journal brings all of it back at a start. */

/** A command that an issuer has signed, and where it stands. */
export interface Known {
  digest: string;
  state: CommandState;
  atMs: number;
  writes: Write[];
}

/** One point of a command that was about to be written, and what came of it: undefined = nobody has said. */
export interface Write {
  point: string;
  value: CommandValue;
  state?: "done" | "failed" | "unknown";
  /** Of one for good: when it was ordered. */
  order?: Pick<Order, "atMs" | "mono" | "boot">;
}

/** A point that goes back by itself. `boot`, `fromMono`: when the time began to run. */
export interface Lease {
  id: string;
  dev: string;
  point: string;
  value: CommandValue;
  returnTo: CommandValue;
  ms: number;
  /** Ordered by somebody on site: his taking over is no reason against it. */
  isLocal?: boolean | undefined;
  /** How often it is written again meanwhile. */
  refreshMs?: number | undefined;
  boot: string;
  fromMono: number;
  /** What held for the point before, where this one is not executed after all. */
  previous?: Lease;
}

/** A point that somebody has ordered for good, and when: ms since 1970 UTC, and of the boot. */
export interface Order {
  id: string;
  dev: string;
  point: string;
  atMs: number;
  mono: number;
  boot: string;
}

/** Until a lease is over, ms. Of another boot nobody knows how long ago it began: it is over. */
export function leaseLeftMs({ boot, fromMono, ms }: Lease, now: Pick<Moment, "boot" | "monoMs">): number {
  return boot === now.boot ? Math.max(0, fromMono + ms - now.monoMs) : 0;
}

const knownMsMax = 7 * 86_400_000;
export const knownMax = 10_000;
const untoldMax = 256;
/** A schedule says something else at least once a week. */
const orderMsMax = 8 * 86_400_000;
const ordersMax = 1000;

export class Memory {
  #boot = "";
  readonly #known = new Map<string, Known>();
  readonly #leases = new Map<string, Lease>();
  readonly #orders = new Map<string, Order>();
  /** Results that are on the record, and of which nobody knows whether anybody has heard them. */
  readonly #untold = new Map<string, CommandState>();

  known(id: string): Known | undefined {
    return this.#known.get(id);
  }

  lease(dev: string, point: string): Lease | undefined {
    return this.#leases.get(`${dev}/${point}`);
  }

  /** The last order for good of a point, of the last days. */
  order(dev: string, point: string): Order | undefined {
    return this.#orders.get(`${dev}/${point}`);
  }

  get leases(): Lease[] {
    return [...this.#leases.values()];
  }

  get untold(): CommandState[] {
    return [...this.#untold.values()];
  }

  /** Commands without a result, and those whose result is not known. */
  get open(): Known[] {
    return [...this.#known.values()].filter(({ state }) => !isFinal(state));
  }

  /** What a new segment of the journal begins with. */
  standing(): Record<string, unknown> {
    return { leases: this.leases, orders: [...this.#orders.values()], open: this.open, untold: this.untold };
  }

  /** A record that is on the disk, or was there at the start: the same makes the same memory. */
  take(entry: Entry): void {
    const happening: Happening = entry;
    const { ev, at, mono } = entry;
    if (ev === "opened" || ev === "standing") this.#boot = happening["boot"] as string;
    if (ev === "standing") this.#stand(happening);
    else if (ev === "accepted" || (ev === "refused" && happening["state"] !== undefined)) {
      const { digest, state } = happening as unknown as Known;
      this.#remember(state.id, { digest, state, atMs: at, writes: [] });
      if (ev === "refused") this.#toTell(state);
    } else if (ev === "executing") this.#executing(happening, at, mono);
    else if (ev === "wrote") this.#wrote(happening);
    else if (ev === "result") this.#result(happening, at);
    else if (ev === "told") this.#untold.delete(happening["id"] as string);
    else if (ev === "returned" || ev === "lease-end")
      this.#leases.delete(`${String(happening["dev"])}/${String(happening["point"])}`);
  }

  #remember(id: string, known: Known): void {
    this.#known.set(id, known);
    if (
      this.#known.size <= knownMax &&
      (this.#known.values().next().value?.atMs ?? 0) > known.atMs - knownMsMax
    )
      return;
    for (const [old, { state, atMs }] of this.#known) {
      if (this.#known.size <= knownMax && atMs > known.atMs - knownMsMax) return;
      // What is under way is never forgotten; there is a limit to how much that can be.
      if (isFinal(state)) this.#known.delete(old);
    }
  }

  #executing(happening: Happening, atMs: number, mono: number): void {
    const { id, dev, point, value, lease } = happening as unknown as {
      id: string;
      dev: string;
      point: string;
      value: CommandValue;
      lease?: Pick<Lease, "ms" | "returnTo" | "refreshMs" | "isLocal">;
    };
    const order = lease === undefined ? { order: { atMs, mono, boot: this.#boot } } : {};
    this.#known.get(id)?.writes.push({ point, value, ...order });
    if (lease === undefined) return;
    const previous = this.lease(dev, point);
    if (previous !== undefined) delete previous.previous;
    this.#leases.set(`${dev}/${point}`, {
      id,
      dev,
      point,
      value,
      ...lease,
      boot: this.#boot,
      fromMono: mono,
      ...(previous === undefined ? {} : { previous }),
    });
  }

  #wrote(happening: Happening): void {
    const { id, dev, point, state, writtenMs, resolved } = happening as unknown as Write & {
      id: string;
      dev: string;
      writtenMs?: number;
      resolved?: true;
    };
    const write = this.#known.get(id)?.writes.find((one) => one.point === point);
    // What the device took, or may have taken, it may come to show late.
    const wasSent = writtenMs !== undefined || resolved === true || write?.state === "unknown";
    if (write !== undefined && state !== undefined) write.state = state;
    const key = `${dev}/${point}`;
    this.#ordered(key, id, write);
    const lease = this.#leases.get(key);
    if (lease === undefined) return;
    if (lease.id === id && state === "failed" && !wasSent) {
      if (lease.previous === undefined) this.#leases.delete(key);
      else this.#leases.set(key, lease.previous);
    }
    // What was ordered since, and for good, does not go back.
    if (lease.id !== id && state === "done") this.#leases.delete(key);
  }

  /** What was ordered for good stands until the schedule of the point says something else. */
  #ordered(key: string, id: string, write: Write | undefined): void {
    const isScheduled = this.#known.get(id)?.state.source === "schedule";
    if (write?.order === undefined || write.state === undefined) return;
    const [dev = "", point = ""] = key.split("/");
    if (write.state === "failed" ? this.#orders.get(key)?.id === id : isScheduled) this.#orders.delete(key);
    if (write.state === "failed" || isScheduled) return;
    this.#orders.delete(key);
    this.#orders.set(key, { id, dev, point, ...write.order });
    for (const [old, { atMs }] of this.#orders) {
      if (this.#orders.size <= ordersMax && atMs > write.order.atMs - orderMsMax) return;
      this.#orders.delete(old);
    }
  }

  #result(happening: Happening, atMs: number): void {
    const { state, digest } = happening as unknown as Pick<Known, "state"> & Partial<Known>;
    this.#toTell(state);
    const known = this.#known.get(state.id);
    // Nobody sends that again: it is not to push out what somebody might.
    if (state.source === "schedule" && isFinal(state)) this.#known.delete(state.id);
    else if (known !== undefined) known.state = state;
    // That it was accepted could not be recorded: how it has ended could.
    else if (digest !== undefined) this.#remember(state.id, { digest, state, atMs, writes: [] });
  }

  #toTell(state: CommandState): void {
    this.#untold.set(state.id, state);
    const [oldest = ""] = this.#untold.keys();
    if (this.#untold.size > untoldMax) this.#untold.delete(oldest);
  }

  #stand(happening: Happening): void {
    const {
      leases,
      orders = [],
      open,
      untold,
    } = happening as unknown as ReturnType<Memory["standing"]> & {
      leases: Lease[];
      orders?: Order[];
      open: Known[];
      untold: CommandState[];
    };
    this.#leases.clear();
    this.#untold.clear();
    for (const lease of leases) this.#leases.set(`${lease.dev}/${lease.point}`, lease);
    this.#orders.clear();
    for (const order of orders) this.#orders.set(`${order.dev}/${order.point}`, order);
    for (const known of open) if (!this.#known.has(known.state.id)) this.#remember(known.state.id, known);
    for (const state of untold) this.#untold.set(state.id, state);
  }
}
