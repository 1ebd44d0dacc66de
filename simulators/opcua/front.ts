import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { seededRandom, type Fault } from "../simulator.ts";

/** One client, and its way to the real server behind. */
interface Line {
  client: Socket;
  server: Socket;
  /** Its bytes have been swallowed or falsified: nothing of it makes sense any more. */
  isBroken: boolean;
  /** What the server says passes at this moment at the earliest, `performance.now()`. */
  freeMs: number;
  timers: Set<NodeJS.Timeout>;
}

/**
 * The socket at which the pretend device listens; it passes bytes on to the server behind and does to them what a
 * bad device or wire does. What was swallowed once is missing in the stream: such a line never comes back.
 */
export class Front {
  readonly #host: string;
  readonly #wantedPort: number;
  readonly #random: () => number;
  readonly #lines = new Set<Line>();
  #listener: Server | undefined;
  #serverPort = 0;
  #fault: Fault | undefined;
  #delayMs = 0;
  #isFirst = false;
  #return: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** The socket's own port, also while it is closed. */
  port = 0;

  constructor(host: string, port: number, seed: number) {
    this.#host = host;
    this.#wantedPort = port;
    this.#random = seededRandom(seed);
  }

  async open(): Promise<void> {
    await this.#listen(this.#wantedPort);
  }

  /** Where the real server listens; connections before that wait in the backlog of a listener that answers none. */
  passTo(port: number): void {
    this.#serverPort = port;
  }

  async #listen(port: number): Promise<void> {
    const listener = createServer({ noDelay: true }, (client) => this.#accept(client));
    this.#listener = listener;
    listener.listen(port, this.#host);
    await once(listener, "listening");
    this.port = (listener.address() as AddressInfo).port;
  }

  #accept(client: Socket): void {
    const server = connect({ host: "127.0.0.1", port: this.#serverPort, noDelay: true });
    const line: Line = { client, server, isBroken: false, freeMs: 0, timers: new Set() };
    this.#lines.add(line);
    const end = (): void => {
      this.#lines.delete(line);
      for (const timer of line.timers) clearTimeout(timer);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on("error", end);
      socket.on("close", end);
    }
    client.on("data", (bytes: Buffer) => this.#fromClient(line, bytes));
    server.on("data", (bytes: Buffer) => this.#fromServer(line, bytes));
  }

  #fromClient(line: Line, bytes: Buffer): void {
    if (this.#fault === "hangUp") return void line.client.destroy();
    if (this.#fault === "garbage") {
      line.isBroken = true;
      line.client.write(Buffer.from(Array.from({ length: 64 }, () => Math.floor(256 * this.#random()))));
      return;
    }
    line.server.write(bytes);
  }

  #fromServer(line: Line, bytes: Buffer): void {
    if (this.#fault === "silent") line.isBroken = true;
    if (line.isBroken) return;
    const nowMs = performance.now();
    let delayMs = Math.max(0, line.freeMs - nowMs);
    if (this.#fault === "slow") delayMs = Math.max(delayMs, this.#delayMs);
    if (this.#fault === "late" && this.#isFirst) {
      this.#isFirst = false;
      delayMs = Math.max(delayMs, this.#delayMs);
    }
    if (delayMs === 0) return void line.client.write(bytes);
    // TCP keeps the order: what comes behind a late answer on the same line is not earlier.
    line.freeMs = nowMs + delayMs;
    const timer = setTimeout(() => {
      line.timers.delete(timer);
      line.client.write(bytes);
    }, delayMs);
    line.timers.add(timer);
  }

  /** Raises a fault, or ends it with undefined. */
  fault(fault: Fault | undefined, delayMs: number): void {
    clearTimeout(this.#return);
    this.#fault = fault;
    this.#delayMs = delayMs;
    this.#isFirst = true;
    const isGone = fault === "refuse" || fault === "restart";
    if (isGone) this.#shut();
    else if (this.#listener === undefined) this.#comeBack();
    if (fault === "restart")
      this.#return = setTimeout(() => {
        this.#fault = undefined;
        this.#comeBack();
      }, delayMs);
  }

  #comeBack(): void {
    if (!this.#isClosed) this.#listen(this.port).catch(() => {});
  }

  /** Cuts all connections. */
  cut(): void {
    for (const { client, server } of this.#lines) {
      client.destroy();
      server.destroy();
    }
  }

  #shut(): void {
    this.#listener?.close();
    this.#listener = undefined;
    this.cut();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#return);
    this.#shut();
  }
}
