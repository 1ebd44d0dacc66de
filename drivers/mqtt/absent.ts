import type { IPublishPacket } from "mqtt";
import type { Listener } from "./broker.ts";
import type { Held } from "./custody.ts";
import { overlap } from "./topics.ts";

/** A device that is looked after anew listens again within this time: its longest pause, and some. */
export const awayMsMax = 45_000;
const bytesMax = 16 * 1024 * 1024;
/** What has waited for less is as good as live, ms. */
export const freshMs = 5000;

/** Somebody who listens to a filter. */
export interface Listening {
  readonly filter: string;
  /** Of its filter. */
  readonly id: number;
  readonly tell: Listener;
  readonly held: Held | undefined;
  /** The device that it listens for, and by which it is known when it comes back. */
  readonly owner: string | undefined;
}

/** What listening has begun. `granted`: once the broker has agreed. `stop` is safe twice. */
export interface Granting {
  readonly granted: Promise<void>;
  readonly stop: () => void;
}

interface Waiting {
  readonly packet: IPublishPacket;
  readonly fromMs: number;
  /** It may have come while we were away. */
  readonly queued: boolean;
  readonly told: PromiseWithResolvers<Held | undefined>;
}

interface Absence {
  readonly of: Listening;
  /** Listens again, and has not yet been told all. */
  back: Listening | undefined;
  waiting: Waiting[];
  timer: NodeJS.Timeout | undefined;
}

/**
 * Devices of one connection that do not listen for a moment, because they are being opened anew: what comes for
 * them waits without its acknowledgement until they do. Bounded in time, number and bytes; what is given up is
 * acknowledged, and lies in the gap that tells of the time in which nobody listened.
 */
export class Absent {
  readonly #absences = new Map<string, Absence[]>();
  readonly #waiting = new Set<Waiting>();
  readonly #countMax: number;
  readonly #tell: (listening: Listening, packet: IPublishPacket, queued: boolean) => void;
  #bytes = 0;
  /** The connection is about to be closed: nothing is given up, for the broker keeps what is not acknowledged. */
  isClosing = false;

  constructor(
    countMax: number,
    tell: (listening: Listening, packet: IPublishPacket, queued: boolean) => void,
  ) {
    this.#countMax = countMax;
    this.#tell = tell;
  }

  /** Does not listen any more. */
  left(listening: Listening): void {
    const { owner, held } = listening;
    if (owner === undefined || held === undefined) return;
    const key = keyOf(listening);
    const known = this.#absences.get(key) ?? [];
    const again = known.find(({ back }) => back === listening);
    const absence = again ?? { of: listening, back: undefined, waiting: [], timer: undefined };
    absence.back = undefined;
    absence.timer = setTimeout(() => this.#end(key, absence), awayMsMax).unref();
    if (again === undefined) this.#absences.set(key, [...known, absence]);
  }

  /** Listens again; it is told what has waited, before anything newer. */
  back(listening: Listening): void {
    const key = keyOf(listening);
    const absence = this.#absences.get(key)?.find(({ back }) => back === undefined);
    if (absence === undefined) return;
    clearTimeout(absence.timer);
    absence.back = listening;
    // Not before all that it listens to is listened to.
    setTimeout(() => this.#release(key, absence, listening), 0);
  }

  /** Is to be told by us, behind what has waited. */
  has(listening: Listening): boolean {
    if (this.#absences.size === 0) return false;
    return this.#absences.get(keyOf(listening))?.some(({ back }) => back === listening) === true;
  }

  /**
   * For each who is away and would be told of it, by filter identifiers where the broker names them: who knows when it is
   * kept, once it has been told. undefined: given up. Rejects when the connection ends.
   */
  park(
    packet: IPublishPacket,
    ids: readonly number[] | undefined,
    queued: boolean,
  ): Promise<Held | undefined>[] {
    if (this.#absences.size === 0) return [];
    const told: Promise<Held | undefined>[] = [];
    for (const { of, waiting } of [...this.#absences.values()].flat()) {
      if (ids === undefined ? !overlap(of.filter, packet.topic) : !ids.includes(of.id)) continue;
      const fromMs = performance.now();
      const one = { packet, fromMs, queued, told: Promise.withResolvers<Held | undefined>() };
      waiting.push(one);
      this.#waiting.add(one);
      this.#bytes += packet.payload.length;
      told.push(one.told.promise);
    }
    for (const oldest of this.#waiting) {
      if ((this.isClosing || this.#waiting.size <= this.#countMax) && this.#bytes <= bytesMax) break;
      this.#forget(oldest);
      if (this.isClosing) oldest.told.reject(new Error("no room"));
      else oldest.told.resolve(undefined);
    }
    return told;
  }

  /** The connection is over: the broker sends it again. */
  stop(): void {
    for (const { timer } of [...this.#absences.values()].flat()) clearTimeout(timer);
    this.#absences.clear();
    for (const { told } of this.#waiting) told.reject(new Error("the connection is over"));
    this.#waiting.clear();
  }

  #release(key: string, absence: Absence, listening: Listening): void {
    while (absence.back === listening) {
      const next = absence.waiting.shift();
      if (next === undefined) {
        this.#end(key, absence);
        return;
      }
      if (!this.#waiting.has(next)) continue;
      this.#forget(next);
      this.#tell(listening, next.packet, next.queued || performance.now() - next.fromMs > freshMs);
      next.told.resolve(listening.held);
    }
  }

  #end(key: string, absence: Absence): void {
    const others = this.#absences.get(key)?.filter((one) => one !== absence) ?? [];
    if (others.length > 0) this.#absences.set(key, others);
    else this.#absences.delete(key);
    for (const one of absence.waiting.splice(0)) {
      this.#forget(one);
      one.told.resolve(undefined);
    }
  }

  #forget(one: Waiting): void {
    if (this.#waiting.delete(one)) this.#bytes -= one.packet.payload.length;
  }
}

function keyOf({ filter, owner = "" }: Listening): string {
  return `${filter}\0${owner}`;
}
