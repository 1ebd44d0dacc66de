import { chmodSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { heardError, type ToldError, toldError } from "../told-error.ts";

/**
 * The local control socket: one JSON object a line each way. A client sends one request and reads answers until
 * the server ends the connection. Access is the file's mode: owner and group.
 */

export interface ControlRequest {
  verb: string;
  args?: Record<string, unknown>;
}

/** Answers of a verb: each yielded object is one line. An error thrown becomes the last line. */
export type ControlHandler = (request: ControlRequest, signal: AbortSignal) => AsyncIterable<unknown>;

const requestBytesMax = 65_536;
/** A report to be signed is larger; all of those together that are being taken at one moment. */
const largeRequest = '{"verb":"sign-report"';
const largeBytesMax = 16 * 1024 * 1024;
const clientsMax = 32;
/** A client that has not sent its request by then gives its place to another one. */
const requestTimeoutMs = 5000;
/** What was written stays readable for the client also after that. */
const lingerMs = 1000;
const pathBytesMax = 107;

/** Listens at `path`; a socket left behind by a killed gateway is replaced, a live one is not. */
export async function openControl(path: string, handler: ControlHandler): Promise<Server> {
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw new Error(
      `the control socket's path is longer than ${pathBytesMax} bytes: ${path}; choose a shorter state folder`,
    );
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  } catch (error) {
    throw new Error(`cannot use the state folder ${dirname(path)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (existsSync(path)) {
    if (await answers(path))
      throw new Error(`another kerb is running on this state folder (${path} answers)`);
    rmSync(path);
  }
  const server = createServer((socket) => {
    socket.on("error", () => {});
    serve(socket, handler).catch(() => socket.destroy());
  });
  server.maxConnections = clientsMax;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o660);
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}

async function serve(socket: Socket, handler: ControlHandler): Promise<void> {
  const text = await firstLine(socket);
  if (text === undefined) return;
  const gone = new AbortController();
  let wake: (() => void) | undefined;
  socket.on("drain", () => wake?.());
  socket.once("close", () => {
    gone.abort();
    wake?.();
  });
  try {
    for await (const data of handler(requestIn(text), gone.signal)) {
      if (socket.destroyed) return;
      const flowing = socket.write(`${JSON.stringify({ data })}\n`);
      // A reader that sleeps must not make the gateway keep its lines.
      if (!flowing && !socket.destroyed) await new Promise<void>((resolve) => (wake = resolve));
    }
    leave(socket, "");
  } catch (error) {
    leave(socket, `${JSON.stringify(toldError(error as Error))}\n`);
  }
}

/** Ends with a last line; a client that does not hang up then has all the same had its place. */
function leave(socket: Socket, last: string): void {
  socket.once("finish", () => setTimeout(() => socket.destroy(), lingerMs).unref());
  socket.end(last);
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Throws for what is no request, with a sentence that nobody can have put words into. */
function requestIn(text: string): ControlRequest {
  let request: ControlRequest | undefined;
  try {
    request = JSON.parse(text) as ControlRequest;
  } catch {
    // Said below.
  }
  const { verb, args = {} } = isObject(request) ? (request as ControlRequest) : {};
  if (request === undefined || typeof verb !== "string" || !isObject(args))
    throw new Error('a request is one line of JSON: {"verb": "status", "args": {}}');
  return request;
}

let largeBytes = 0;

/** The request's line; undefined when the client has gone, sends too much or takes too long. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const timer = setTimeout(() => socket.destroy(), requestTimeoutMs);
    let large = 0;
    const isTooLong = () => {
      if (text.length <= requestBytesMax) return false;
      if (large === 0 && !text.startsWith(largeRequest)) return true;
      largeBytes += text.length - large;
      large = text.length;
      return largeBytes > largeBytesMax;
    };
    const finish = (line: string | undefined) => {
      largeBytes -= large;
      clearTimeout(timer);
      socket.off("close", onClose).off("data", onData);
      // What comes after the request is read and forgotten: a paused socket would not tell that it is closed.
      socket.resume();
      resolve(line);
    };
    const onClose = () => finish(undefined);
    const onData = (chunk: string) => {
      const end = chunk.indexOf("\n");
      text += end < 0 ? chunk : chunk.slice(0, end);
      if (isTooLong()) socket.destroy();
      else if (end >= 0) finish(text);
    };
    socket.setEncoding("utf8");
    socket.on("close", onClose).on("data", onData);
  });
}

/** No gateway listens at the socket. */
export class NotRunningError extends Error {
  /** Where it would listen. */
  readonly socket: string;
  constructor(socket: string, cause?: Error) {
    super(`no gateway is running on this state folder (${socket})`, { cause });
    this.socket = socket;
  }
}

/** A gateway listens there, and this user may not ask it. */
export class SocketDeniedError extends Error {
  readonly socket: string;
  constructor(socket: string, cause: Error) {
    super(`no permission for ${socket}: run as root or as a member of the group that owns it`, { cause });
    this.socket = socket;
  }
}

/**
 * Asks the running gateway; yields its answers. Throws `NotRunningError`, the gateway's own sentence, or the
 * `DeviceError` of the device that was asked.
 */
export async function* ask(path: string, request: ControlRequest, signal?: AbortSignal): AsyncGenerator {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EACCES" ? new SocketDeniedError(path, error) : new NotRunningError(path, error));
    });
  });
  signal?.addEventListener("abort", () => socket.destroy());
  socket.on("error", () => {});
  socket.write(`${JSON.stringify(request)}\n`);
  const lines = createInterface({ input: socket, crlfDelay: Infinity });
  // A socket that is destroyed or reset never ends, and the lines would be awaited for ever.
  socket.once("close", () => lines.close());
  try {
    for await (const line of lines) {
      const answer = JSON.parse(line) as { data?: unknown } | ToldError;
      if ("error" in answer) throw heardError(answer);
      yield answer.data;
    }
  } finally {
    socket.destroy();
  }
}
