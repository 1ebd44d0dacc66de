import type { Socket } from "node:net";
import type { Cassette } from "./cassette.ts";
import { beganMs, Likeness, type Packet, Packets, packetsOf } from "./packets.ts";
import type { Player, PlayerOptions } from "./player.ts";
import { call, freePort } from "./tap-calls.ts";

/** Plays a device that calls: it says what it said, once kerb has said what it said before that. */

/** What kerb says by its own clock (a watchdog) may not come: it is waited for no longer. */
const patienceMs = 1500;
const againMs = 1000;

/** One recorded connection, played on one socket. */
class Conversation {
  readonly #socket: Socket;
  readonly #packets: readonly Packet[];
  readonly #likeness: Likeness;
  readonly #options: PlayerOptions;
  readonly #counts: Player["counts"];
  /** Packets of kerb that have been said now, or are waited for no longer. */
  readonly #done = new Set<Packet>();
  readonly #beganMs: number | undefined;
  #heard: () => void = () => {};

  constructor(socket: Socket, packets: readonly Packet[], counts: Player["counts"], options: PlayerOptions) {
    this.#socket = socket;
    this.#packets = packets;
    this.#likeness = new Likeness(packets);
    this.#counts = counts;
    this.#options = options;
    this.#beganMs = beganMs(packets);
    const live = new Packets();
    socket.on("data", (chunk: Buffer) => {
      for (const { text, value } of live.push(chunk)) this.#take(text, value);
      this.#heard();
    });
    socket.on("close", () => this.#heard());
  }

  #take(text: string, value: unknown): void {
    const open = this.#packets.filter((one) => one.from === "kerb" && !this.#done.has(one));
    const same = open.find((one) => this.#likeness.isSame(one.value, value));
    // A profile that asks for something else now still asks at this place.
    const found = same ?? open.find((one) => kindOf(one.value) === kindOf(value));
    if (same === undefined) {
      this.#counts.unknown++;
      this.#options.log(`not on the tape: ${text.slice(0, 200)}`);
    } else this.#counts.answered++;
    if (found === undefined) return;
    this.#likeness.learn(found.value, value);
    this.#done.add(found);
  }

  /** Waits until kerb has said all that it said before this; then for as long as the device did, or less. */
  async #turn(index: number): Promise<void> {
    const before = this.#packets.slice(0, index).filter(({ from }) => from === "kerb");
    const isOpen = () => before.some((one) => !this.#done.has(one)) && !this.#socket.destroyed;
    const endMs = performance.now() + patienceMs;
    while (isOpen() && performance.now() < endMs) await this.#news(endMs - performance.now());
    for (const one of before) this.#done.add(one);
    const gapMs = (this.#packets[index]?.ms ?? 0) - (this.#packets[index - 1]?.ms ?? 0);
    const pauseMs = Math.min(Math.max(0, gapMs), this.#options.gapMsMax);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
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
      if (packet.from === "kerb") continue;
      await this.#turn(index);
      if (this.#socket.destroyed) return;
      const shiftMs = this.#beganMs === undefined ? 0 : Date.now() - (this.#beganMs + packet.ms);
      const told = this.#likeness.told(packet, shiftMs);
      if (told !== undefined) this.#socket.write(told);
    }
  }
}

/** What a message is, by its own word for it. */
function kindOf(value: unknown): string {
  const { type } = value as { type?: unknown };
  return typeof type === "string" ? type : "";
}

/** Calls `place` and plays one recorded connection after the other; again from the beginning when it was cut off. */
export async function startCaller(cassette: Cassette, options: PlayerOptions): Promise<Player> {
  const place = { host: options.host ?? "127.0.0.1", port: options.port || (await freePort()) };
  const counts = { answered: 0, unknown: 0 };
  const tapes = cassette.connections.map(packetsOf).filter((packets) => packets.length > 0);
  let socket: Socket | undefined;
  let quietFromMs = Infinity;
  let isClosed = false;
  const isOver = () => isClosed;
  const run = async (): Promise<void> => {
    for (let next = 0; !isClosed; next = (next + 1) % Math.max(1, tapes.length)) {
      socket = await call(place.port, place.host, Infinity, isOver);
      if (socket === undefined) return;
      const gone = new Promise((resolve) => socket?.once("close", resolve));
      await new Conversation(socket, tapes[next] ?? [], counts, options).play();
      const isLast = next >= tapes.length - 1;
      if (isLast) quietFromMs = Math.min(quietFromMs, performance.now());
      else socket.destroySoon();
      await gone;
      if (isLast && !isClosed) await new Promise((resolve) => setTimeout(resolve, againMs).unref());
    }
  };
  const running = run();
  return {
    place,
    counts,
    quietMs: () => Math.max(0, performance.now() - quietFromMs),
    async close() {
      isClosed = true;
      socket?.destroy();
      await running;
    },
  };
}
