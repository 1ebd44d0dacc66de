import { request } from "node:http";
import type { Socket } from "node:net";
import { DeviceError, socketErrorCode } from "../../gateway/driver.ts";
import { hostInUrl } from "./addresses.ts";
import { secured, type Trust } from "./tls.ts";

/** One HTTP request, bounded in time and bytes from the first packet to the last. */
export interface HttpRequest {
  readonly host: string;
  readonly port: number;
  /** undefined: without TLS. */
  readonly trust: Trust | undefined;
  readonly path: string;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of everything: name, connection, headers, body. */
  readonly timeoutMs: number;
  readonly bytesMax: number;
  readonly signal: AbortSignal;
  /** The head of error messages: "192.168.1.9:80". */
  readonly place: string;
}

export interface HttpReply {
  readonly status: number;
  /** Every challenge, each as it came. */
  readonly challenges: readonly string[];
  readonly type: string;
  readonly body: Buffer;
}

/** A failure of the network as the contract names it. */
function networkError(place: string, error: Error): DeviceError {
  if (error instanceof DeviceError) return error;
  const { code = "" } = error as NodeJS.ErrnoException;
  const options = { cause: error };
  if (code.startsWith("ERR_SSL_") || code === "EPROTO")
    return new DeviceError("garbage", `${place}: no TLS (${error.message}); is it the right port?`, options);
  if (code.startsWith("HPE_")) return new DeviceError("garbage", `${place}: no HTTP (${code})`, options);
  return new DeviceError(socketErrorCode(error) ?? "hung-up", `${place}: ${error.message}`, options);
}

/**
 * Sends one request on a connection of its own. Redirects are not followed, compressed answers not unpacked.
 * Codes: aborted, refused, unreachable, silent (not all of the answer in time), hung-up, garbage (no HTTP, no TLS,
 * too large, compressed), denied (not the certificate that is trusted).
 */
export async function exchange(wanted: HttpRequest): Promise<HttpReply> {
  const { place, signal, timeoutMs, trust } = wanted;
  if (signal.aborted) throw new DeviceError("aborted", `${place}: given up`);
  if (trust === undefined) return send(wanted, timeoutMs, undefined);
  const startedMs = performance.now();
  const socket = await secured({ ...wanted, trust }, networkError);
  return send(wanted, Math.max(1, timeoutMs - (performance.now() - startedMs)), socket);
}

function send(wanted: HttpRequest, leftMs: number, socket: Socket | undefined): Promise<HttpReply> {
  const { place, signal, timeoutMs, bytesMax } = wanted;
  const { promise, resolve, reject } = Promise.withResolvers<HttpReply>();
  const { host, port, path, method, headers, body } = wanted;
  const sent = request({
    host,
    port,
    path,
    method,
    // A connection of its own: a late answer has nowhere to arrive.
    ...(socket === undefined ? { agent: false } : { createConnection: () => socket }),
    maxHeaderSize: 16_384,
    headers: {
      ...headers,
      // Node would write the zone, which is nobody else's business.
      ...(host.includes("%") ? { Host: `${hostInUrl(host)}:${port}` } : {}),
      Connection: "close",
      "Accept-Encoding": "identity",
    },
  });
  const fail = (error: Error): void => {
    reject(error);
    sent.destroy();
  };
  const giveUp = (): void => fail(new DeviceError("aborted", `${place}: given up`));
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  const timer = setTimeout(() => {
    fail(new DeviceError("silent", `${place}: no whole answer within ${Math.round(timeoutMs)} ms`));
  }, leftMs);
  sent.on("error", (error) => fail(networkError(place, error)));
  sent.on("close", () => reject(new DeviceError("hung-up", `${place}: closed before it had answered`)));
  sent.on("response", (reply) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    if ((reply.headers["content-encoding"] ?? "identity") !== "identity")
      fail(new DeviceError("garbage", `${place}: a compressed answer, which was not asked for`));
    reply.on("error", (error) => fail(networkError(place, error)));
    reply.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax)
        fail(new DeviceError("garbage", `${place}: an answer of more than ${bytesMax} bytes`));
      else chunks.push(chunk);
    });
    reply.on("end", () => {
      if (!reply.complete) return;
      resolve({
        status: reply.statusCode ?? 0,
        challenges: reply.headersDistinct["www-authenticate"] ?? [],
        type: reply.headers["content-type"] ?? "",
        body: Buffer.concat(chunks),
      });
    });
  });
  sent.end(body);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    sent.destroy();
  });
}
