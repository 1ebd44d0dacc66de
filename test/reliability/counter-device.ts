import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { freePort } from "../ports.ts";

/** Where the first frame ends: MBAP counts what follows its length. A question of who it is is shorter than a read. */
const frameEnd = (bytes: Buffer): number => (bytes.length < 6 ? Infinity : 6 + bytes.readUInt16BE(4));

/** A Modbus TCP device whose registers 0 and 1 hold a number that grows by one with each read; the rest is noise. */
export class CounterDevice {
  readonly id: string;
  /** When each number was served, wall-clock ms; number n is at n - 1. */
  readonly servedMs: number[] = [];
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  port = 0;

  constructor(id = "counter") {
    this.id = id;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    this.#server = server;
    if (this.port === 0) this.port = await freePort();
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
  }

  /** Goes away and comes back by turns; each time is an urgent event. */
  flicker(periodMs: number): void {
    this.#timer = setInterval(() => {
      if (this.#server === undefined) void this.start();
      else this.#close();
    }, periodMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#close();
  }

  #close(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let rest = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = frameEnd(rest); rest.length >= end; end = frameEnd(rest)) {
        this.#answer(socket, rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    });
  }

  #answer(socket: Socket, request: Buffer): void {
    if (request[7] !== 3) {
      socket.write(Buffer.from([...request.subarray(0, 4), 0, 3, 1, (request[7] ?? 0) | 128, 1]));
      return;
    }
    const count = request.readUInt16BE(10);
    const answer = Buffer.alloc(9 + 2 * count);
    request.copy(answer, 0, 0, 8);
    answer.writeUInt16BE(3 + 2 * count, 4);
    answer[8] = 2 * count;
    for (let i = 9; i < answer.length; i++) answer[i] = 33 + Math.floor(Math.random() * 90);
    if (request.readUInt16BE(8) === 0 && count >= 2) answer.writeUInt32BE(this.servedMs.push(Date.now()), 9);
    socket.write(answer);
  }
}
