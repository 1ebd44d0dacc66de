import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { WirePlace } from "../driver.ts";
import type { Cassette } from "./cassette.ts";
import {
  answersTo,
  beganMs,
  type Json,
  kindOf,
  Likeness,
  type Packet,
  Packets,
  packetsOf,
  textOf,
  uuidsOf,
} from "./packets.ts";
import type { Player, PlayerOptions } from "./playing.ts";
import { call, freePort } from "./tap-calls.ts";

/** Plays a device that calls: it says what it said, once kerb has said what it said before that. */

/** What kerb says by its own clock (a watchdog) may not come: it is waited for no longer. */
const patienceMs = 1500;
const againMs = 1000;
const freshMax = 10_000;
/** What kerb asks for earlier than by this is not kept waiting. */
const aheadMsMax = 1000;

/** One recorded connection, played on one socket. */
class Conversation {
  readonly #socket: Socket;
  readonly #packets: readonly Packet[];
  readonly #likeness: Likeness;
  readonly #options: PlayerOptions;
  readonly #counts: Player["counts"];
  /** What each answer of the device was to. */
  readonly #asked = new Map<Packet, Packet>();
  readonly #quiet: () => void;
  #position = 0;
  /** Packets of kerb that have been said now, or are waited for no longer. */
  readonly #done = new Set<Packet>();
  readonly #beganMs: number | undefined;
  /** Ids of what was answered again: kerb's word for them is on no tape. */
  readonly #fresh = new Set<string>();
  #heard: () => void = () => {};

  /** `quiet` is called when the device has nothing more to say by itself. */
  constructor(
    socket: Socket,
    packets: readonly Packet[],
    { counts, quiet }: { counts: Player["counts"]; quiet: () => void },
    options: PlayerOptions,
  ) {
    this.#socket = socket;
    this.#quiet = quiet;
    for (const asked of packets)
      if (asked.from === "kerb")
        for (const answer of answersTo(packets, asked)) this.#asked.set(answer, asked);
    this.#packets = packets;
    this.#likeness = new Likeness(packets);
    this.#counts = counts;
    this.#options = options;
    this.#beganMs = beganMs(packets);
    const live = new Packets();
    socket.on("data", (chunk: Buffer) => {
      for (const packet of live.push(chunk)) this.#take(packet);
      this.#heard();
    });
    socket.on("close", () => this.#heard());
  }

  #take(live: { text: string; value: unknown }): void {
    const asked = this.#packets.filter(({ from }) => from === "kerb");
    const alike = asked.filter((one) => this.#likeness.isSame(one.value, live.value));
    const same = alike.find((one) => !this.#done.has(one));
    if (same !== undefined || alike.length > 0) this.#counts.answered++;
    else if (uuidsOf(live.text).every((id) => !this.#fresh.has(id))) {
      this.#counts.unknown++;
      this.#options.log(`not on the tape: ${live.text.slice(0, 200)}`);
    }
    // A profile that asks for something else now still asks at this place.
    const kind = kindOf(live);
    const found =
      same ??
      (alike.length > 0 ? undefined : asked.find((one) => !this.#done.has(one) && kindOf(one) === kind));
    const [again] = alike.slice(-1);
    const composed = alike.length > 0 ? undefined : this.#composed(live.value);
    if (composed !== undefined) {
      if (found !== undefined) this.#done.add(found);
      for (const id of uuidsOf(composed)) this.#fresh.add(id);
      if (this.#socket.writable) this.#socket.write(composed);
    } else if (same !== undefined && this.#msUntil(same) > aheadMsMax) this.#answerAgain(same, live.text);
    else if (found !== undefined) {
      this.#likeness.learn(found.value, live.value);
      this.#done.add(found);
    } else if (again !== undefined) this.#answerAgain(again, live.text);
  }

  /** What the device would have said to this, by what it has said on the tape. */
  #composed(live: unknown): string | undefined {
    const told = this.#packets.filter(({ from }) => from === "device").map(({ value }) => value as Json);
    return this.#options
      .retold?.(live as Json, told)
      ?.map(textOf)
      .join("");
  }

  /** How long the tape goes on until this one. */
  #msUntil(packet: Packet): number {
    const index = this.#packets.indexOf(packet);
    return this.#packets
      .slice(this.#position, index)
      .reduce((sum, _, i) => sum + this.#pauseMs(this.#position + i), 0);
  }

  /** For how long the device said nothing before this one, or less. */
  #pauseMs(index: number): number {
    const [before, packet] = [this.#packets[index - 1], this.#packets[index]];
    if (before === undefined || packet === undefined) return 0;
    return Math.min(Math.max(0, packet.ms - before.ms), this.#options.gapMsMax);
  }

  /** What has been asked before, too early or too late is answered as it was. */
  #answerAgain(asked: Packet, live: string): void {
    const answers = answersTo(this.#packets, asked);
    const ids = this.#likeness.idsOf(asked, live, answers);
    for (const id of ids.values()) this.#fresh.add(id);
    if (this.#fresh.size > freshMax) this.#fresh.clear();
    for (const answer of answers) this.#say(answer, ids);
  }

  #say(packet: Packet, ids?: ReadonlyMap<string, string>): void {
    const shiftMs = this.#beganMs === undefined ? 0 : Date.now() - (this.#beganMs + packet.ms);
    const told = this.#likeness.told(packet, shiftMs, ids);
    if (told !== undefined && this.#socket.writable) this.#socket.write(told);
  }

  /** Is all that is left an answer to what kerb has not said yet? */
  #isOnlyAnswering(index: number): boolean {
    return this.#packets.slice(index).every((one) => {
      const asked = this.#asked.get(one);
      return one.from === "kerb" || (asked !== undefined && !this.#done.has(asked));
    });
  }

  /** Waits until kerb has said all that it said before this; then for as long as the device did, or less. */
  async #turn(index: number): Promise<void> {
    const before = this.#packets.slice(0, index).filter(({ from }) => from === "kerb");
    const isOpen = () => before.some((one) => !this.#done.has(one)) && !this.#socket.destroyed;
    const endMs = performance.now() + patienceMs;
    while (isOpen() && performance.now() < endMs) {
      if (this.#isOnlyAnswering(index)) this.#quiet();
      await this.#news(endMs - performance.now());
    }
    for (const one of before) this.#done.add(one);
    const pauseMs = this.#pauseMs(index);
    if (pauseMs > 0) await pause(pauseMs);
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#heard = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async play(): Promise<void> {
    for (const [index, packet] of this.#packets.entries()) {
      this.#position = index;
      if (packet.from === "kerb") continue;
      await this.#turn(index);
      if (this.#socket.destroyed) return;
      this.#say(packet);
    }
  }
}

/** Calls a place and plays one recorded connection after the other; all again when the last was cut off. */
class Caller {
  readonly counts = { answered: 0, unknown: 0 };
  readonly #place: WirePlace;
  readonly #tapes: readonly Packet[][];
  readonly #options: PlayerOptions;
  readonly #closing = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  #socket: Socket | undefined;
  #quietFromMs = Infinity;
  #isClosed = false;

  constructor(cassette: Cassette, place: WirePlace, options: PlayerOptions) {
    this.#place = place;
    this.#tapes = cassette.connections.map(packetsOf).filter((packets) => packets.length > 0);
    this.#options = options;
    if (this.#tapes.length === 0) this.#quietFromMs = performance.now();
    this.#running = this.#run();
  }

  quietMs(): number {
    return Math.max(0, performance.now() - this.#quietFromMs);
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      for (const [i, tape] of this.#tapes.entries()) await this.#play(tape, i === this.#tapes.length - 1);
      await Promise.race([this.#closing.promise, pause(againMs)]);
    }
  }

  async #play(tape: readonly Packet[], isLast: boolean): Promise<void> {
    const { port, host } = this.#place;
    const socket = await call(port, host, Infinity, () => this.#isClosed);
    if (socket === undefined) return;
    this.#socket = socket;
    const gone = new Promise((resolve) => socket.once("close", resolve));
    const quiet = () => {
      if (isLast) this.#quietFromMs = Math.min(this.#quietFromMs, performance.now());
    };
    await new Conversation(socket, tape, { counts: this.counts, quiet }, this.#options).play();
    quiet();
    if (!isLast) socket.destroySoon();
    await gone;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.resolve();
    this.#socket?.destroy();
    await this.#running;
  }
}

/** Calls `options.port`, or one that nobody has. */
export async function startCaller(cassette: Cassette, options: PlayerOptions): Promise<Player> {
  const { host = "127.0.0.1", port = 0 } = options;
  const place = { host, port: port === 0 ? await freePort() : port };
  const caller = new Caller(cassette, place, options);
  return {
    place,
    counts: caller.counts,
    quietMs: () => caller.quietMs(),
    close: () => caller.close(),
  };
}
