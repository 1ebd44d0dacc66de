import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** A Modbus TCP device whose registers 0-1 hold a 32-bit number that grows by one with each read. */
export class CounterDevice {
  readonly id: string;
  /** When number n was served, ms since 1970, at index n − 1. */
  readonly servedMs: number[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(id: string) {
    this.id = id;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing is served from here on. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let rest = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (; rest.length >= 12; rest = rest.subarray(12)) socket.write(this.#answer(rest.subarray(0, 12)));
    });
  }

  #answer(request: Buffer): Buffer {
    if (request[7] !== 3)
      return Buffer.from([...request.subarray(0, 4), 0, 3, request[6] ?? 1, (request[7] ?? 0) | 128, 1]);
    const answer = Buffer.from("0000000000070103040000000000", "hex").subarray(0, 13);
    request.copy(answer, 0, 0, 2);
    this.servedMs.push(Date.now());
    answer.writeUInt32BE(this.servedMs.length, 9);
    return answer;
  }
}
