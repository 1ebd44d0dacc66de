import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "../ports.ts";

/** What a link does: `refuse` = nothing listens; `black-hole` = connections stand, and no byte moves. */
export type LinkState = "pass" | "refuse" | "black-hole";

/** A thin line: each direction carries so many bits a second, and what is sent faster waits in its buffer. */
export interface Line {
  bitsPerSecond: number;
  /** Between the end of sending and arrival, each way. */
  delayMs: number;
  /** The modem's: when it is full the sender's TCP has to wait. */
  bufferBytes: number;
}

const segmentBytes = 1400;

/** One direction of a line, shared by all connections. */
class Lane {
  readonly #line: Line;
  #busyUntilMs = 0;
  bytes = 0;

  constructor(line: Line) {
    this.#line = line;
  }

  /** Carries what `from` says to `to`. */
  join(from: Socket, to: Socket, passes: () => boolean): void {
    const { bitsPerSecond, delayMs, bufferBytes } = this.#line;
    const bytesPerMs = bitsPerSecond / 8000;
    let ended = false;
    const arrivals: { atMs: number; bytes: Buffer }[] = [];
    let timer: NodeJS.Timeout | undefined;
    const deliver = (): void => {
      timer = undefined;
      if (!passes()) {
        // Cut, not lossy: TCP would send it again.
        timer = setTimeout(deliver, 50);
        return;
      }
      while (arrivals[0] !== undefined && arrivals[0].atMs <= performance.now()) {
        const bytes = arrivals.shift()?.bytes as Buffer;
        this.bytes += bytes.length;
        if (!to.destroyed) to.write(bytes);
      }
      const waiting = (this.#busyUntilMs - performance.now()) * bytesPerMs;
      if (from.isPaused() && waiting < bufferBytes / 2) from.resume();
      if (arrivals[0] !== undefined)
        timer = setTimeout(deliver, Math.max(0, arrivals[0].atMs - performance.now()));
      else if (ended) to.end();
    };
    from.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += segmentBytes) {
        const bytes = chunk.subarray(at, at + segmentBytes);
        this.#busyUntilMs = Math.max(this.#busyUntilMs, performance.now()) + (bytes.length + 40) / bytesPerMs;
        arrivals.push({ atMs: this.#busyUntilMs + delayMs, bytes });
      }
      if ((this.#busyUntilMs - performance.now()) * bytesPerMs > bufferBytes) from.pause();
      timer ??= setTimeout(deliver, Math.max(0, (arrivals[0]?.atMs ?? 0) - performance.now()));
    });
    from.on("end", () => {
      ended = true;
      if (arrivals.length === 0) to.end();
    });
  }
}

/** A TCP link between gateway and broker that can be cut, and made thin. */
export class LinkProxy {
  readonly #target: number;
  readonly #lanes: { up: Lane; down: Lane } | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #waiting: Socket[] = [];
  #state: LinkState = "pass";
  port = 0;
  /** Connections that reached the far end. */
  joined = 0;

  constructor(targetPort: number, line?: Line) {
    this.#target = targetPort;
    if (line !== undefined) this.#lanes = { up: new Lane(line), down: new Lane(line) };
  }

  /** Bytes that a thin line has carried towards the broker. */
  get bytesUp(): number {
    return this.#lanes?.up.bytes ?? 0;
  }

  async open(): Promise<void> {
    // Refused and black-holed connections must not be read: what arrives stays where it is.
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#accept(socket));
    if (this.port === 0) this.port = await freePort();
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }

  async set(state: LinkState): Promise<void> {
    const before = this.#state;
    this.#state = state;
    if (state === "refuse") return this.close();
    if (state === "black-hole") for (const socket of this.#sockets) socket.pause();
    if (state !== "pass") return undefined;
    if (before === "refuse") return this.open();
    for (const socket of this.#sockets) socket.resume();
    for (const socket of this.#waiting.splice(0)) if (!socket.destroyed) this.#join(socket);
    return undefined;
  }

  /** The connections of now end with a reset, as a middlebox does that has forgotten them. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  #accept(socket: Socket): void {
    this.#keep(socket);
    if (this.#state === "black-hole") this.#waiting.push(socket);
    else this.#join(socket);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#target, host: "127.0.0.1", noDelay: true });
    this.#keep(far);
    far.once("connect", () => this.joined++);
    if (this.#lanes === undefined) {
      near.on("data", (bytes) => far.write(bytes));
      far.on("data", (bytes) => near.write(bytes));
    } else {
      const passes = (): boolean => this.#state === "pass";
      this.#lanes.up.join(near, far, passes);
      this.#lanes.down.join(far, near, passes);
    }
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.resume();
  }
}
