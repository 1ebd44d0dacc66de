import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

/** One listener and the pretend devices behind it, each below a path of its own. */

export interface Site {
  readonly basePath: string;
  /** Its listener is to be closed. */
  readonly isAway: boolean;
  handle(request: IncomingMessage, response: ServerResponse, path: string): void;
}

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Who must have signed the client's certificate. */
  readonly clientCa?: string;
}

const endpoints = new Map<number, Endpoint>();

export class Endpoint {
  readonly #host: string;
  readonly #tls: ServerTls | undefined;
  readonly #sites = new Set<Site>();
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #port: number;
  #turn: Promise<void> = Promise.resolve();
  #isOpen = false;

  private constructor(host: string, port: number, tls: ServerTls | undefined) {
    this.#host = host;
    this.#port = port;
    this.#tls = tls;
    this.#server = this.#newServer();
  }

  /** The endpoint at this port; port 0 takes any free one. */
  static async at(host: string, port: number, tls: ServerTls | undefined): Promise<Endpoint> {
    const known = endpoints.get(port);
    if (known !== undefined) return known;
    const endpoint = new Endpoint(host, port, tls);
    await endpoint.#open();
    endpoints.set(endpoint.#port, endpoint);
    return endpoint;
  }

  get port(): number {
    return this.#port;
  }

  add(site: Site): void {
    this.#sites.add(site);
    this.reconcile();
  }

  async remove(site: Site): Promise<void> {
    this.#sites.delete(site);
    if (this.#sites.size === 0) endpoints.delete(this.#port);
    this.reconcile();
    await this.#turn;
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Opens or closes the listener: closed while all its devices are away. */
  reconcile(): void {
    this.#turn = this.#listenOrNot(this.#turn);
  }

  async #listenOrNot(before: Promise<void>): Promise<void> {
    await before;
    const shouldListen = [...this.#sites].some(({ isAway }) => !isAway);
    if (shouldListen !== this.#isOpen) await (shouldListen ? this.#open() : this.#shut()).catch(() => {});
  }

  #newServer(): Server {
    const handle = (request: IncomingMessage, response: ServerResponse) => this.#route(request, response);
    const tls = this.#tls;
    const mutual =
      tls?.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true };
    const server = tls === undefined ? createServer(handle) : createTlsServer({ ...tls, ...mutual }, handle);
    server.keepAliveTimeout = 30_000;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
    });
    server.on("tlsClientError", () => {});
    return server;
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => {});
    const url = request.url ?? "/";
    const site = [...this.#sites]
      .toSorted((a, b) => b.basePath.length - a.basePath.length)
      .find(({ basePath }) => url === basePath || url.startsWith(`${basePath}/`));
    if (site === undefined) response.writeHead(404).end();
    else site.handle(request, response, url.slice(site.basePath.length));
  }

  async #open(): Promise<void> {
    this.#server = this.#newServer();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(this.#port, this.#host, resolve);
    await promise;
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#isOpen = true;
  }

  async #shut(): Promise<void> {
    this.#isOpen = false;
    this.dropConnections();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await promise;
  }
}
