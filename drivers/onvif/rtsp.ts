import { connect } from "node:net";
import { DeviceError } from "../../gateway/driver.ts";
import { hostInUrl } from "./addresses.ts";
import type { Digest } from "./login.ts";

/** Asks an RTSP server what it would send, and takes nothing of it (RFC 2326, DESCRIBE). */

export interface Probe {
  readonly host: string;
  readonly port: number;
  /** Path and query of the stream. */
  readonly path: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly place: string;
  digest(challenges: readonly string[]): Digest | undefined;
}

interface RtspReply {
  status: number;
  challenges: string[];
  body: string;
}

const replyBytesMax = 65_536;

const valueOf = (line: string): string => line.slice(line.indexOf(":") + 1).trim();

function replyIn(text: string): RtspReply | undefined {
  const end = text.indexOf("\r\n\r\n");
  const [, status] = /^RTSP\/1\.\d (\d{3})/.exec(text) ?? [];
  if (end < 0 || status === undefined) return undefined;
  const headers = text.slice(0, end).split("\r\n").slice(1);
  const named = (name: string): string[] =>
    headers.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map(valueOf);
  const length = Number(named("content-length")[0] ?? 0);
  const body = text.slice(end + 4);
  if (!(body.length >= length)) return undefined;
  return { status: Number(status), challenges: named("www-authenticate"), body: body.slice(0, length) };
}

/** One request on a connection of its own; undefined: no whole answer in time, or none that is RTSP. */
function ask(probe: Probe, request: string, timeoutMs: number): Promise<RtspReply | undefined> {
  const { host, port, signal } = probe;
  const { promise, resolve } = Promise.withResolvers<RtspReply | undefined>();
  const socket = connect({ host, port });
  let text = "";
  const end = (): void => resolve(undefined);
  const timer = setTimeout(end, timeoutMs);
  signal.addEventListener("abort", end, { once: true });
  socket.on("error", end);
  socket.on("close", end);
  socket.on("connect", () => socket.write(request));
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    text += chunk;
    const reply = replyIn(text);
    if (reply !== undefined) resolve(reply);
    else if (text.length > replyBytesMax || !"RTSP/1.".startsWith(text.slice(0, 7))) end();
  });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    socket.destroy();
  });
}

/**
 * Does the server describe a stream with video in it? "denied": it wants a login that it does not take from us, so
 * that nobody knows. Rejects only when it is aborted.
 */
export async function describesVideo(probe: Probe): Promise<boolean | "denied"> {
  const { host, port, path, signal, timeoutMs } = probe;
  const url = `rtsp://${hostInUrl(host)}:${port}${path}`;
  const deadlineMs = performance.now() + timeoutMs;
  let authorization = "";
  for (let sequence = 1; sequence <= 2; sequence++) {
    const head = `DESCRIBE ${url} RTSP/1.0\r\nCSeq: ${sequence}\r\nAccept: application/sdp\r\nUser-Agent: kerb\r\n`;
    const leftMs = Math.max(1, deadlineMs - performance.now());
    const reply = await ask(probe, `${head}${authorization}\r\n`, leftMs);
    if (signal.aborted) throw new DeviceError("aborted", `${probe.place}: given up`);
    if (reply?.status === 200) return /^m=video\b/m.test(reply.body);
    if (reply?.status !== 401) return false;
    const digest = probe.digest(reply.challenges);
    if (digest === undefined) return "denied";
    authorization = `Authorization: ${digest.header("DESCRIBE", url)}\r\n`;
  }
  return "denied";
}
