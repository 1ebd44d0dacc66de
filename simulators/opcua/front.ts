import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { seededRandom, type Fault } from "../simulator.ts";

/** One client, and its way to the real server behind. */
interface Line {
  client: Socket;
  server: Socket;
  /** Its bytes have been swallowed or falsified: nothing of it makes sense any more. */
  isBroken: boolean;
  /** What waits for its time, in the order of the stream. */
  late: { bytes: Buffer; dueMs: number }[];
  timer: NodeJS.Timeout | undefined;
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
    const line: Line = { client, server, isBroken: false, late: [], timer: undefined };
    this.#lines.add(line);
    const end = (): void => {
      this.#lines.delete(line);
      clearTimeout(line.timer);
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
    let delayMs = this.#fault === "slow" ? this.#delayMs : 0;
    if (this.#fault === "late" && this.#isFirst) {
      this.#isFirst = false;
      delayMs = this.#delayMs;
    }
    if (delayMs === 0 && line.late.length === 0) return void line.client.write(bytes);
    // TCP keeps the order: what comes behind a late answer on the same line is not earlier.
    line.late.push({ bytes, dueMs: Math.max(nowMs + delayMs, line.late.at(-1)?.dueMs ?? 0) });
    line.timer ??= setTimeout(() => this.#flush(line), delayMs);
  }

  #flush(line: Line): void {
    const nowMs = performance.now();
    line.timer = undefined;
    while (line.late[0] !== undefined && line.late[0].dueMs <= nowMs + 1)
      line.client.write(line.late.shift()!.bytes);
    const [next] = line.late;
    if (next !== undefined) line.timer = setTimeout(() => this.#flush(line), next.dueMs - nowMs);
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
