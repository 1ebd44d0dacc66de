import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** What a link does: `refuse` = nothing listens; `black-hole` = connections stand, and no byte moves. */
export type LinkState = "pass" | "refuse" | "black-hole";

/** A TCP link between gateway and broker that the bench can cut. */
export class LinkProxy {
  readonly #target: number;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #waiting: Socket[] = [];
  #state: LinkState = "pass";
  port = 0;

  constructor(targetPort: number) {
    this.#target = targetPort;
  }

  async open(): Promise<void> {
    // Refused and black-holed connections must not be read: what arrives stays where it is.
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#accept(socket));
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
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
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => near.write(bytes));
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.resume();
  }
}
