import type { Socket } from "node:net";
import { DeviceError } from "../../gateway/driver.ts";
import { deviceError, oneLine } from "./failures.ts";
import { overheard } from "./overheard.ts";
import type { Identity } from "./pki.ts";
import {
  ClientSecureChannelLayer,
  MessageSecurityMode,
  SecurityPolicy,
  transportsWith,
  withSocket,
} from "./library.ts";

/** How a channel is protected; the certificate is the server's, DER. */
export interface Protection {
  readonly mode: MessageSecurityMode;
  readonly policy: SecurityPolicy;
  readonly serverCertificate?: Buffer;
  readonly identity?: Identity;
}

export const unprotected: Protection = { mode: MessageSecurityMode.None, policy: SecurityPolicy.None };

export interface ChannelOptions {
  readonly url: string;
  /** Names the server in error messages. */
  readonly place: string;
  readonly timeoutMs: number;
  readonly protection: Protection;
}

type Request = Parameters<ClientSecureChannelLayer["performMessageTransaction"]>[0];

/** A day: the library closes a socket on which nothing happens for half of this. */
const idleMs = 86_400_000;
/** The key of a channel is renewed after three quarters of this. */
const tokenLifetimeMs = 3_600_000;
/** A server whose keys last less keeps nobody from listening, but us busy. */
const tokenLifetimeMinMs = 1000;
const goodbyeMs = 200;
/** What is taken of a server, whatever it would like to send. */
const limits = {
  receiveBufferSize: 65_536,
  sendBufferSize: 65_536,
  maxMessageSize: 16 * 1024 * 1024,
  maxChunkCount: 4096,
};

/**
 * One secure channel on one socket (OPC 10000-6, 6.7), with deadlines and aborts of our own. Everything that waits
 * is told at once when the channel is lost.
 */
export class Channel {
  readonly place: string;
  readonly #layer: ClientSecureChannelLayer;
  readonly #timeoutMs: number;
  readonly #waiting = new Set<(error: DeviceError) => void>();
  #socket: Socket | undefined;
  #lost: DeviceError | undefined;
  /** `performance.now()` of the last request. */
  usedMs = performance.now();

  private constructor({ place, timeoutMs, protection }: ChannelOptions) {
    this.place = place;
    this.#timeoutMs = timeoutMs;
    this.#layer = new ClientSecureChannelLayer({
      connectionStrategy: { maxRetry: 0 },
      securityMode: protection.mode,
      securityPolicy: protection.policy,
      defaultSecureTokenLifetime: tokenLifetimeMs,
      transportTimeout: idleMs,
      defaultTransactionTimeout: idleMs,
      // The server's own idea of a lifetime may be longer than a timer can wait.
      tokenRenewalInterval: 0.75 * tokenLifetimeMs,
      transportSettings: limits,
      transportFactory: transportsWith(limits),
      ...(protection.serverCertificate === undefined
        ? {}
        : { serverCertificate: protection.serverCertificate }),
      ...(protection.identity === undefined ? {} : { parent: protection.identity }),
    });
  }

  /** Rejects with a `DeviceError` and leaves no socket behind. */
  static async open(options: ChannelOptions, signal: AbortSignal): Promise<Channel> {
    const { place, url, timeoutMs } = options;
    if (signal.aborted) throw aborted(place);
    const channel = new Channel(options);
    const layer = channel.#layer;
    layer.on("close", (error) => {
      channel.#lose(deviceError(error ?? new Error(), place, "connection"));
    });
    layer.on("security_token_created", ({ revisedLifetime }) => {
      if (revisedLifetime < tokenLifetimeMinMs)
        channel.#lose(new DeviceError("garbage", `${place}: a key that lasts ${revisedLifetime} ms`));
    });
    try {
      await channel.#settle<void>("connect", signal, timeoutMs, (done, fail) => {
        withSocket(
          (socket) => channel.#opened(socket),
          () => layer.create(url, (error) => (error ? fail(error) : done())),
        );
      });
    } catch (error) {
      channel.destroy();
      throw error;
    }
    return channel;
  }

  /** The library tells that it gave up on the bytes to nobody but the socket. */
  #opened(socket: Socket): void {
    this.#socket = socket;
    socket.on("error", ({ message }) => {
      const why = /premature socket termination (.*)/s.exec(message)?.[1];
      if (why !== undefined)
        this.#lose(new DeviceError("garbage", `${this.place}: not OPC UA: ${oneLine(why)}`));
    });
    // Given up before the library came to open it.
    if (this.#lost !== undefined) socket.destroy();
  }

  /** undefined while the channel is of use. */
  get lost(): DeviceError | undefined {
    return this.#lost;
  }

  /** Sends one request and waits for its answer: a `DeviceError` for a service fault, too. */
  request<Response>(
    request: Request,
    { signal, timeoutMs = this.#timeoutMs }: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<Response> {
    if (signal?.aborted === true) return Promise.reject(aborted(this.place));
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    request.requestHeader.timeoutHint = timeoutMs;
    this.usedMs = performance.now();
    const name = request.constructor.name.replace(/Request$/, "");
    return this.#settle<Response>(name, signal, timeoutMs, (done, fail) => {
      // Its own timer is only a fuse behind ours.
      request.requestHeader.timeoutHint = timeoutMs + 60_000;
      this.#layer.performMessageTransaction(request, (error, response) => {
        const answer = response ?? (error as { response?: unknown } | null)?.response;
        if (answer !== undefined) overheard(this.place, request, answer);
        // Some servers refuse with the service's own response instead of a fault.
        const refused = response?.responseHeader.serviceResult.isGoodish() === false;
        if (error) fail(error);
        else if (refused) fail(Object.assign(new Error("refused"), { response }));
        else done(response as Response);
      });
    });
  }

  #settle<Result>(
    during: string,
    signal: AbortSignal | undefined,
    timeoutMs: number,
    run: (done: (result: Result) => void, fail: (error: Error) => void) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(fail);
      };
      const fail = (error: unknown): void => {
        end();
        reject(deviceError(error, this.place, during));
      };
      const onAbort = (): void => fail(aborted(this.place));
      const timer = setTimeout(
        () => fail(new DeviceError("silent", `${this.place}: ${during}: no answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      signal?.addEventListener("abort", onAbort);
      this.#waiting.add(fail);
      try {
        run((result) => {
          end();
          resolve(result);
        }, fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  #lose(error: DeviceError): void {
    this.#lost ??= error;
    for (const fail of this.#waiting) fail(this.#lost);
  }

  /** Says goodbye and closes the socket; needs nothing from the server. */
  async close(): Promise<void> {
    this.#lose(new DeviceError("closed", `${this.place}: closed`));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, goodbyeMs);
    try {
      this.#layer.close(() => resolve());
    } catch {
      resolve();
    }
    await promise;
    clearTimeout(timer);
    this.destroy();
  }

  /** Closes the socket at once. */
  destroy(why = new DeviceError("closed", `${this.place}: closed`)): void {
    this.#lose(why);
    // Frees the library's timers; whoever waited has been told.
    this.#layer.cancelPendingTransactions(() => {});
    this.#layer.dispose();
    this.#socket?.destroy();
  }
}

export function aborted(place: string): DeviceError {
  return new DeviceError("aborted", `${place}: given up`);
}
