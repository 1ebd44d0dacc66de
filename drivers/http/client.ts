import {
  Agent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from "node:http";
import type { Socket } from "node:net";
import { gunzipSync, inflateRawSync, inflateSync } from "node:zlib";
import { DeviceError } from "../../gateway/driver.ts";
import { Authorizer, parseChallenges } from "./auth.ts";
import type { Settings } from "./settings.ts";
import { explained, openSocket, type Target } from "./socket.ts";

/** Requests to one server over at most one connection at a time, on node:http: see README.md for why not fetch. */

export interface Request {
  readonly method: "GET" | "PUT" | "POST" | "PATCH";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

const pauseMsMax = 600_000;
/** Until when a server has asked not to be asked (Retry-After); it outlives the connection that was told. */
const pauses = new Map<string, number>();

function pauseFor(place: string, header: string | undefined): string {
  const given = header ?? "";
  const ms = /^\d+$/.test(given) ? Number(given) * 1000 : Date.parse(given) - Date.now();
  if (!(ms > 0)) return "";
  const bounded = Math.min(ms, pauseMsMax);
  if (pauses.size < 1000) pauses.set(place, performance.now() + bounded);
  return `, it asks to wait ${Math.round(bounded / 1000)} s`;
}

function checkPause(place: string): void {
  const leftMs = (pauses.get(place) ?? 0) - performance.now();
  if (leftMs <= 0) pauses.delete(place);
  else throw new DeviceError("busy", `${place}: the server asks to wait ${Math.ceil(leftMs / 1000)} s more`);
}

export class Client {
  readonly #settings: Settings;
  readonly #target: Target;
  readonly #authorizer: Authorizer;
  readonly #agent: Agent;
  readonly #sockets = new Set<Socket>();
  /** Ends the running request. */
  #fail: ((error: DeviceError) => void) | undefined;
  #closed = false;

  constructor(settings: Settings, target: Target) {
    this.#settings = settings;
    this.#target = target;
    this.#authorizer = new Authorizer(settings.auth);
    this.#agent = new Agent({ keepAlive: settings.keepAlive, maxSockets: 1, maxFreeSockets: 1 });
    this.#agent.createConnection = (_options, callback) => {
      const socket = openSocket(target, (error, opened) => {
        if (error !== undefined) opened.destroy();
        callback?.(error ?? null, opened);
      });
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      // Whoever waits has been told by `ready`; an idle socket that breaks is simply gone.
      socket.on("error", () => {});
      return undefined;
    };
  }

  /**
   * Sends a request, and once more where the server wants a digest for it. The status is the caller's matter, but
   * for 401 (`denied`), 429 and 503 (`busy`). Rejects with `DeviceError`; `silent` after `timeout` for all of it, or
   * at `lastMs` of `performance.now()`.
   */
  async send(request: Request, signal: AbortSignal, lastMs = Infinity): Promise<Answer> {
    const { place } = this.#target;
    if (this.#closed) throw new DeviceError("closed", `${place}: closed`);
    if (signal.aborted) throw new DeviceError("aborted", `${place}: given up`);
    checkPause(place);
    const untilMs = Math.min(performance.now() + this.#settings.timeout, lastMs);
    const what = `${place}: ${request.method} ${shownPath(request.path)}`;
    for (let round = 0; ; round++) {
      const { answer, challenges } = await this.#exchangeFresh(request, what, untilMs, signal);
      if (answer.status === 401) {
        if (round < 2 && this.#authorizer.challenged(challenges)) continue;
        const how = this.#settings.auth === undefined ? "a login is wanted" : "the login was refused";
        const schemes = parseChallenges(challenges).map(({ scheme }) => scheme);
        const kinds = schemes.length === 0 ? "" : `; the server takes: ${schemes.slice(0, 4).join(", ")}`;
        throw new DeviceError("denied", `${what}: ${how} (401)${kinds.slice(0, 120)}`);
      }
      this.#authorizer.accepted();
      if (answer.status === 429 || answer.status === 503) {
        const wait = pauseFor(place, answer.header("retry-after"));
        throw new DeviceError("busy", `${what}: the server is busy (${answer.status})${wait}`);
      }
      return answer;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#fail?.(new DeviceError("closed", `${this.#target.place}: closed`));
    this.#drop();
  }

  #drop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#agent.destroy();
  }

  /**
   * A server may close an idle connection in the moment in which it is used again: then nothing of the request
   * has been heard, and what only reads goes to a fresh connection (RFC 9112, 9.3.1).
   */
  async #exchangeFresh(
    request: Request,
    what: string,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<Exchanged> {
    try {
      return await this.#exchange(request, what, untilMs, signal);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
      if (request.method !== "GET") throw error.reason;
      return this.#exchange(request, what, untilMs, signal);
    }
  }

  #exchange(request: Request, what: string, untilMs: number, signal: AbortSignal): Promise<Exchanged> {
    return new Promise((resolve, reject) => {
      const { place } = this.#target;
      let answer: IncomingMessage | undefined;
      let sent: ClientRequest | undefined;
      let isSettled = false;
      const settle = (): boolean => {
        if (isSettled) return false;
        isSettled = true;
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#fail = undefined;
        return true;
      };
      const fail = (error: Error): void => {
        if (!settle()) return;
        // What still comes on this connection belongs to a request that nobody waits for.
        sent?.destroy();
        this.#drop();
        reject(error);
      };
      const onAbort = () => fail(new DeviceError("aborted", `${what}: given up`));
      const onError = (error: NodeJS.ErrnoException) => {
        const reason = explained(error, what);
        const isStale = sent?.reusedSocket === true && answer === undefined && reason.code === "hung-up";
        fail(isStale ? new StaleConnection(reason) : reason);
      };
      const { timeout } = this.#settings;
      const timer = setTimeout(
        () => fail(new DeviceError("silent", `${what}: no whole answer within ${timeout} ms`)),
        Math.max(0, untilMs - performance.now()),
      );
      signal.addEventListener("abort", onAbort);
      this.#fail = fail;
      try {
        sent = httpRequest(this.#optionsFor(request));
      } catch (error) {
        return fail(explained(error as Error, place));
      }
      sent.on("error", onError);
      sent.on("upgrade", () => fail(new DeviceError("garbage", `${what}: the server changes the protocol`)));
      sent.on("response", (response) => {
        answer = response;
        this.#collect(response, what, fail, (body) => {
          if (settle()) resolve(exchanged(response, body));
        });
      });
      sent.end(request.body);
    });
  }

  #optionsFor({ method, path, headers, body }: Request): RequestOptions {
    const { basePath, headers: own } = this.#settings;
    const { host, port, tls } = this.#target;
    // Letters beyond ASCII go as RFC 3986 has them.
    const uri = `${basePath}${path}`
      .toWellFormed()
      .replaceAll(/[^\x21-\x7e]+/g, (part) => encodeURIComponent(part));
    const authorization = this.#authorizer.header({ method, uri, body });
    const name = host.includes(":") ? `[${host.split("%")[0]}]` : host;
    const isUsualPort = port === (tls === undefined ? 80 : 443);
    return {
      agent: this.#agent,
      method,
      path: uri,
      maxHeaderSize: 16_384,
      setHost: false,
      headers: {
        Host: isUsualPort ? name : `${name}:${port}`,
        "User-Agent": "kerb",
        // In a recording nothing packed can be looked through, and it answers only to the very request.
        "Accept-Encoding": "identity",
        "Cache-Control": "no-cache",
        ...own,
        ...headers,
        ...(body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) }),
        ...(authorization === undefined ? {} : { [authorization[0]]: authorization[1] }),
      },
    };
  }

  #collect(
    response: IncomingMessage,
    what: string,
    fail: (error: Error) => void,
    done: (body: Buffer) => void,
  ): void {
    const { bodyBytesMax } = this.#settings;
    const tooLarge = () =>
      fail(new DeviceError("garbage", `${what}: the answer is larger than ${bodyBytesMax} bytes`));
    if (Number(response.headers["content-length"] ?? 0) > bodyBytesMax) return tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bodyBytesMax) return tooLarge();
      chunks.push(chunk);
    });
    response.on("error", (error) => fail(explained(error, what)));
    response.on("aborted", () => fail(new DeviceError("hung-up", `${what}: the answer was cut off`)));
    response.on("end", () => {
      try {
        done(unpacked(Buffer.concat(chunks), response.headers["content-encoding"], bodyBytesMax));
      } catch {
        fail(
          new DeviceError(
            "garbage",
            `${what}: the packed answer cannot be unpacked to ${bodyBytesMax} bytes`,
          ),
        );
      }
    });
  }
}

interface Exchanged {
  answer: Answer;
  challenges: string[];
}

/** The connection was closed before it was used again. */
class StaleConnection extends Error {
  readonly reason: DeviceError;
  constructor(reason: DeviceError) {
    super(reason.message);
    this.reason = reason;
  }
}

function exchanged(response: IncomingMessage, body: Buffer): Exchanged {
  const { headers, headersDistinct, statusCode: status = 0 } = response;
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  return { answer: { status, header, body }, challenges: headersDistinct["www-authenticate"] ?? [] };
}

/** A path for people: what follows "?" may be a key. */
export const shownPath = (path: string): string => path.replace(/\?.+$/s, "?…").slice(0, 200);

const hiddenValue = (one: string): string => (one.startsWith("=") ? "=…" : "…");

/** A path for people, who tell points apart by what is short in its query; what is longer may be a key. */
export const describedPath = (path: string): string =>
  path.replace(/\?.+$/s, (query) => query.replaceAll(/=[^&]{4,}|(?<=[?&])[^&=]{8,}(?=&|$)/g, hiddenValue));

/** Throws when it is not what it says to be, or larger than the limit. */
function unpacked(body: Buffer, encoding: string | undefined, bytesMax: number): Buffer {
  const how = encoding?.trim().toLowerCase() ?? "identity";
  if (how === "identity" || body.length === 0) return body;
  if (how === "gzip" || how === "x-gzip") return gunzipSync(body, { maxOutputLength: bytesMax });
  // Some send it without the head that RFC 9110 (8.4.1.2) wants.
  const isBare = (body[0]! & 0x0f) !== 8 || body.readUInt16BE(0) % 31 !== 0;
  if (how === "deflate") return (isBare ? inflateRawSync : inflateSync)(body, { maxOutputLength: bytesMax });
  throw new Error(`unknown encoding ${how}`);
}
