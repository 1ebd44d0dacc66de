import { createSocket } from "node:dgram";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Cassette } from "./cassette.ts";
import { bytewise, counterOffsets, type Fit, findTurn } from "./matching.ts";
import { startCaller } from "./player-calls.ts";
import { startPublisher } from "./player-mqtt.ts";
import { startServer } from "./player-opcua.ts";
import type { Player, PlayerOptions } from "./playing.ts";
import { isTree, treewise } from "./tree.ts";
import { type Side, sidesOf, type Turn } from "./turns.ts";

/** Plays a cassette: a listener that answers as the device did. */

/** A request that is not on the tape grows no further. */
const pendingBytesMax = 65_536;

type Placed = PlayerOptions & { host: string; port: number };

interface Said {
  bytes: Buffer;
  gapMs: number;
}

/** The tape, and how far it has been played by all who are connected. */
class Reel {
  readonly counts = { answered: 0, unknown: 0 };
  readonly #sides: readonly Side[];
  readonly #turns: readonly Turn[];
  readonly #fits: readonly Fit[];
  readonly #log: (text: string) => void;
  #cursor = 0;
  #callers = 0;
  #busy = 0;
  #lastMs = performance.now();

  constructor(cassette: Cassette, log: (text: string) => void) {
    this.#sides = sidesOf(cassette);
    this.#turns = this.#sides.flatMap(({ turns }) => turns);
    const isOfTrees = cassette.over === "udp" && this.#turns.every(({ request }) => isTree(request.bytes));
    this.#fits = [bytewise(new Set()), isOfTrees ? treewise : bytewise(counterOffsets(this.#turns))];
    this.#log = log;
  }

  /** What the device says to the next who connects. */
  greeting(): readonly Said[] {
    const side = this.#sides[Math.min(this.#callers++, this.#sides.length - 1)];
    return side?.greeting ?? [];
  }

  busy(by: 1 | -1): void {
    this.#busy += by;
    this.#lastMs = performance.now();
  }

  quietMs(): number {
    return this.#busy > 0 ? 0 : performance.now() - this.#lastMs;
  }

  /** What is answered to the request at the beginning of `live`; "begins": the rest of it has not come yet. */
  ask(live: Buffer): { answers: Said[]; used: number } | "begins" | undefined {
    this.#lastMs = performance.now();
    const found = findTurn(this.#turns, this.#cursor, live, this.#fits);
    if (found === "begins") return found;
    if (found !== undefined) {
      this.#cursor = found.index + 1;
      this.counts.answered++;
      return found;
    }
    this.counts.unknown++;
    const text = live
      .subarray(0, 48)
      .toString("latin1")
      .replaceAll(/[^ -~]/g, ".");
    this.#log(`not on the tape, no answer: ${live.subarray(0, 48).toString("hex")}  ${text}`);
    return undefined;
  }
}

/** What is said to one caller, at its pace and in its order. */
class Mouth {
  readonly #reel: Reel;
  readonly #say: (bytes: Buffer) => void;
  readonly #gapMsMax: number;
  readonly #left: Said[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(reel: Reel, gapMsMax: number, say: (bytes: Buffer) => void) {
    this.#reel = reel;
    this.#gapMsMax = gapMsMax;
    this.#say = say;
  }

  /** What is still to be said goes before it at once. */
  tell(said: readonly Said[]): void {
    clearTimeout(this.#timer);
    for (const { bytes } of this.#take()) this.#say(bytes);
    if (said.length === 0) return;
    this.#left.push(...said);
    this.#reel.busy(1);
    this.#next();
  }

  #take(): Said[] {
    if (this.#left.length > 0) this.#reel.busy(-1);
    return this.#left.splice(0);
  }

  #next(): void {
    const [first] = this.#left;
    if (first === undefined) return this.#reel.busy(-1);
    this.#timer = setTimeout(
      () => {
        this.#left.shift();
        this.#say(first.bytes);
        this.#next();
      },
      Math.min(first.gapMs, this.#gapMsMax),
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#take();
  }
}

function serve(socket: Socket, reel: Reel, gapMsMax: number): void {
  let pending: Buffer = Buffer.alloc(0);
  const mouth = new Mouth(reel, gapMsMax, (bytes) => {
    if (bytes.length === 0) socket.end();
    else if (socket.writable) socket.write(bytes);
  });
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => mouth.close());
  socket.on("data", (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      const found = reel.ask(pending);
      if (found === "begins" && pending.length <= pendingBytesMax) return;
      if (found === undefined || found === "begins") {
        pending = Buffer.alloc(0);
        return;
      }
      pending = pending.subarray(found.used);
      mouth.tell(found.answers);
    }
  });
  mouth.tell(reel.greeting());
}

async function streamPlayer(reel: Reel, { host, port, gapMsMax }: Placed): Promise<Player> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    serve(socket, reel, gapMsMax);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    place: { host, port: (server.address() as AddressInfo).port },
    counts: reel.counts,
    quietMs: () => reel.quietMs(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

async function datagramPlayer(reel: Reel, { host, port, gapMsMax }: Placed): Promise<Player> {
  const socket = createSocket("udp4");
  const mouths = new Map<number, Mouth>();
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, host, resolve);
  });
  socket.on("error", () => {});
  socket.on("message", (chunk, { port: caller, address }) => {
    const mouth =
      mouths.get(caller) ?? new Mouth(reel, gapMsMax, (bytes) => socket.send(bytes, caller, address));
    mouths.set(caller, mouth);
    const found = reel.ask(chunk);
    if (found !== undefined && found !== "begins") mouth.tell(found.answers);
  });
  return {
    place: { host, port: socket.address().port },
    counts: reel.counts,
    quietMs: () => reel.quietMs(),
    async close() {
      for (const mouth of mouths.values()) mouth.close();
      socket.close();
    },
  };
}

/** Starts a player. Rejects with the socket's error when the place is taken. */
export function startPlayer(cassette: Cassette, options: PlayerOptions): Promise<Player> {
  if (cassette.over === "calls") return startCaller(cassette, options);
  if (cassette.over === "mqtt") return startPublisher(cassette, options);
  if (cassette.over === "opcua") return startServer(cassette, options);
  const reel = new Reel(cassette, options.log);
  const place = { host: "127.0.0.1", port: 0, ...options };
  return cassette.over === "udp" ? datagramPlayer(reel, place) : streamPlayer(reel, place);
}
