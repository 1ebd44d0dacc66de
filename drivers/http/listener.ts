import { createHash } from "node:crypto";
import {
  createServer as createPlain,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTls } from "node:https";
import type { Socket } from "node:net";
import { DeviceError } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** The listeners to which devices post: one for each address and port, shared by the devices of a host. */

type Webhook = NonNullable<Settings["webhook"]>;

/** What one device's token leads to. */
export interface Hook {
  readonly token: string;
  readonly bodyBytesMax: number;
  readonly perMinuteMax: number;
  /** Takes a whole message; the status is the answer: 204 only when the gateway has it. */
  take(body: Buffer, request: IncomingMessage): Promise<number>;
  /** Says what was refused, at most once a minute. */
  warn(text: string): void;
}

interface Budget {
  sinceMs: number;
  count: number;
}

const connectionsMax = 64;
/** Of one address, so that one that opens many and says nothing leaves room for the others. */
const connectionsOfAddressMax = 32;
/** Of all messages that are under way. */
const bytesUnderWayMax = 16_777_216;
const warnEveryMs = 60_000;
const minuteMs = 60_000;

const listeners = new Map<string, Listener>();

/** The token is never compared, only its hash looked up: how long that takes tells nothing about it. */
const hashOf = (token: string): string => createHash("sha256").update(token).digest("hex");

/** One server. It lives from the first hook to the last. */
class Listener {
  readonly place: string;
  readonly ready: Promise<void>;
  readonly #server: Server;
  readonly #hooks = new Map<string, Hook>();
  /** Devices that are expected back: what they post meanwhile shall be posted again. */
  readonly #away = new Set<string>();
  readonly #budgets = new Map<string, Budget>();
  readonly #connections = new Map<string, number>();
  readonly #tlsText: string;
  #bytesUnderWay = 0;
  #refused = 0;
  #warnedMs = -Infinity;

  constructor({ listen, tls }: Webhook) {
    this.place = listen;
    this.#tlsText = JSON.stringify(tls ?? null);
    // Slow or endless requests, and connections that say nothing, end by themselves.
    const bounds = {
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: 16_384,
    };
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => {
        // It was cut off, or the gateway has not taken it.
        if (!response.headersSent) response.writeHead(500, { Connection: "close" }).end();
      });
    };
    const mutual = tls?.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true };
    this.#server =
      tls === undefined
        ? createPlain(bounds, onRequest)
        : createTls({ ...bounds, ...mutual, ...ownTls(tls) }, onRequest);
    this.#server.maxConnections = connectionsMax;
    this.#server.maxHeadersCount = 64;
    this.#server.on("connection", (socket: Socket) => this.#count(socket));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
    this.ready = this.#listen();
    // Whoever joins waits for it; a listener that nobody could join must not end the host.
    this.ready.catch(() => {});
  }

  async #listen(): Promise<void> {
    const [, host = "", port = "0"] = /^\[?([^\]]+)\]?:(\d+)$/.exec(this.place) ?? [];
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE" ? "busy" : error.code === "EACCES" ? "denied" : "unreachable";
      reject(new DeviceError(code, `cannot listen on ${this.place}: ${error.message}`, { cause: error }));
    });
    this.#server.listen(Number(port), host, resolve);
    await promise;
    this.#server.on("error", () => {});
  }

  /** Throws `DeviceError`: `busy` for a token that another device has, `unsupported` for other certificates. */
  add(hook: Hook, { tls }: Webhook): void {
    const key = hashOf(hook.token);
    if (this.#tlsText !== JSON.stringify(tls ?? null))
      throw new DeviceError("unsupported", `${this.place}: devices that share it need the same webhook.tls`);
    if (this.#hooks.has(key))
      throw new DeviceError("busy", `${this.place}: another device has the same webhook token`);
    this.#away.delete(key);
    this.#hooks.set(key, hook);
  }

  /** Takes a hook away; the last one closes the server. */
  async remove(hook: Hook): Promise<void> {
    const key = hashOf(hook.token);
    if (this.#hooks.get(key) !== hook) return;
    this.#hooks.delete(key);
    this.#away.add(key);
    if (this.#hooks.size === 0) await this.close();
  }

  get isIdle(): boolean {
    return this.#hooks.size === 0;
  }

  async close(): Promise<void> {
    if (listeners.get(this.place) === this) listeners.delete(this.place);
    this.#server.closeAllConnections();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    await promise;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, token] = /^\/hook\/([\w-]{16,128})\/?(?:\?|$)/.exec(request.url ?? "") ?? [];
    const key = token === undefined ? "" : hashOf(token);
    const hook = this.#hooks.get(key);
    const status =
      hook === undefined ? (this.#away.has(key) ? 503 : 404) : await this.#take(request, hook, key);
    const isTaken = status === 204;
    if (!isTaken) this.#refuse(status, request);
    const more = status === 503 || status === 429 ? { "Retry-After": "5" } : {};
    // What has not been read of a refused request must not be taken for the next one.
    response.writeHead(status, {
      ...more,
      ...(isTaken ? {} : { Connection: "close", "Content-Length": "0" }),
    });
    response.end();
  }

  async #take(request: IncomingMessage, hook: Hook, key: string): Promise<number> {
    if (request.method !== "POST" && request.method !== "PUT") return 405;
    if (request.headers["content-encoding"] !== undefined) return 415;
    if (!this.#mayCome(hook, key)) return 429;
    if (Number(request.headers["content-length"] ?? 0) > hook.bodyBytesMax) return 413;
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      // The answer goes over the same connection: it outlives what is not read of the message.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        this.#bytesUnderWay += chunk.length;
        if (bytes > hook.bodyBytesMax) return 413;
        if (this.#bytesUnderWay > bytesUnderWayMax) return 503;
        chunks.push(chunk);
      }
      // The device may have gone while its message came.
      if (this.#hooks.get(key) !== hook) return 503;
      return await hook.take(Buffer.concat(chunks), request);
    } finally {
      this.#bytesUnderWay -= bytes;
    }
  }

  #count(socket: Socket): void {
    const from = socket.remoteAddress ?? "";
    const count = this.#connections.get(from) ?? 0;
    if (count >= connectionsOfAddressMax) return void socket.destroy();
    this.#connections.set(from, count + 1);
    socket.once("close", () => {
      const left = (this.#connections.get(from) ?? 1) - 1;
      if (left > 0) this.#connections.set(from, left);
      else this.#connections.delete(from);
    });
  }

  #mayCome({ perMinuteMax }: Hook, key: string): boolean {
    const nowMs = performance.now();
    let budget = this.#budgets.get(key);
    if (budget === undefined || nowMs - budget.sinceMs >= minuteMs) {
      budget = { sinceMs: nowMs, count: 0 };
      this.#budgets.set(key, budget);
    }
    return ++budget.count <= perMinuteMax;
  }

  #refuse(status: number, request: IncomingMessage): void {
    this.#refused++;
    const nowMs = performance.now();
    if (nowMs - this.#warnedMs < warnEveryMs) return;
    const [hook] = this.#hooks.values();
    if (hook === undefined) return;
    const from = request.socket.remoteAddress ?? "an unknown address";
    hook.warn(`${this.place}: ${this.#refused} messages refused, the last with ${status} from ${from}`);
    this.#refused = 0;
    this.#warnedMs = nowMs;
  }
}

/** Who says nothing before there is TLS holds a connection no longer than one who says nothing after it. */
const ownTls = ({ cert, key }: NonNullable<Webhook["tls"]>) =>
  ({ cert, key, minVersion: "TLSv1.2", handshakeTimeout: 5000 }) as const;

function newListener(webhook: Webhook): Listener {
  try {
    return new Listener(webhook);
  } catch (error) {
    const reason = `its certificate or key cannot be used (${(error as Error).message})`;
    throw new DeviceError("unsupported", `cannot listen on ${webhook.listen}: ${reason}`, { cause: error });
  }
}

/** Adds a hook to the listener of its address, and starts that where it is the first. Rejects with `DeviceError`. */
export async function joinListener(webhook: Webhook, hook: Hook): Promise<() => Promise<void>> {
  const listener = listeners.get(webhook.listen) ?? newListener(webhook);
  listeners.set(webhook.listen, listener);
  try {
    listener.add(hook, webhook);
    await listener.ready;
  } catch (error) {
    await listener.remove(hook);
    if (listener.isIdle) await listener.close();
    throw error;
  }
  return () => listener.remove(hook);
}
