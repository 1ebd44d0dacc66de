import { DeviceError } from "../../gateway/driver.ts";
import { openStream, placeOf, type ByteStream, type Transport } from "./stream.ts";

/** Takes the bytes that follow a request, until it has its answer. */
export interface Collector {
  push(bytes: Uint8Array): void;
  readonly isDone: boolean;
  /** It has an answer already and waits for more of it: silence ends it. */
  readonly hasSome: boolean;
  /** So much has come that no answer is waited for. */
  readonly isFlooded: boolean;
}

/** Hears all bytes of the line. */
export interface Listener {
  /** true: with these a frame is whole that the instrument tells by itself. */
  bytes(bytes: Uint8Array): boolean;
  lost(error: DeviceError): void;
}

export interface Exchange {
  readonly send: Uint8Array;
  readonly collector: Collector;
  readonly timeoutMs: number;
  /** Silence that ends an answer of several frames. */
  readonly quietMs: number;
  /** Bytes that the answer may have: their time on a serial line comes on top. */
  readonly answerBytesMax: number;
}

/** Shortest time after an unanswered request in which its answer is still waited for and thrown away. */
const lateWindowMsMin = 500;
/** Where something streams there is no silence: after so many windows an answer is too late to come at all. */
const lateWindowsMax = 2;
/** Silence before a request: what was under way is not taken for its answer. */
const gapMsMin = 4;
const openTimeoutMsMin = 1000;

/** One wire: one request at a time, silence before each, and a quarantine after each that was not answered. */
export class Line {
  readonly transport: Transport;
  readonly place: string;
  users = 0;
  /** Counts the losses of the stream: who knows an older number has lost it. */
  generation = 0;
  #stream: ByteStream | undefined;
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  readonly #listeners = new Set<Listener>();
  #lastByteAt = 0;
  #waiting: { collector: Collector; heard: () => void; fail: (error: DeviceError) => void } | undefined;
  /** The request whose answer is overdue: nothing is sent until it has come or its window has passed. */
  #overdue: { collector: Collector; sinceMs: number; heardMs: number; windowMs: number } | undefined;
  #wake: (() => void) | undefined;

  constructor(transport: Transport) {
    this.transport = transport;
    this.place = placeOf(transport);
  }

  get isQuarantined(): boolean {
    return this.#overdue !== undefined && performance.now() < this.#readyAt();
  }

  /** Opens the stream unless it is open. */
  async open(timeoutMs: number, stop: AbortSignal): Promise<void> {
    while (this.#opening !== undefined) await this.#opening.catch(() => {});
    if (stop.aborted) throw stop.reason;
    if (this.#stream !== undefined) return;
    this.#opening = this.#open(Math.max(timeoutMs, openTimeoutMsMin), stop);
    try {
      await this.#opening;
    } finally {
      this.#opening = undefined;
    }
  }

  async #open(timeoutMs: number, stop: AbortSignal): Promise<void> {
    await this.#closing;
    if (stop.aborted) throw stop.reason;
    const user = {
      onBytes: (bytes: Uint8Array) => this.#onBytes(bytes),
      onLost: (error: DeviceError) => this.#lose(error),
    };
    this.#stream = await openStream(this.transport, user, timeoutMs, stop);
    this.#lastByteAt = performance.now();
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a request; true = the collector has its answer, false = the time is over. Rejects when `stop` aborts. */
  async exchange(exchange: Exchange, stop: AbortSignal): Promise<boolean> {
    if (this.#waiting !== undefined) throw new DeviceError("busy", `${this.place}: another request is out`);
    await this.#silence(stop);
    const stream = this.#stream;
    if (stream === undefined) throw lost(this.place);
    const { collector, timeoutMs } = exchange;
    try {
      const isAnswered = await this.#answered(exchange, stream, stop);
      if (!isAnswered) this.#quarantine(collector, timeoutMs);
      return isAnswered;
    } catch (error) {
      this.#quarantine(collector, timeoutMs);
      throw error;
    } finally {
      this.#waiting = undefined;
    }
  }

  #answered(exchange: Exchange, stream: ByteStream, stop: AbortSignal): Promise<boolean> {
    const { collector, send, timeoutMs, quietMs, answerBytesMax } = exchange;
    return new Promise<boolean>((resolve, reject) => {
      let quiet: NodeJS.Timeout | undefined;
      const settle = (settled: () => void) => {
        clearTimeout(timer);
        clearTimeout(quiet);
        stop.removeEventListener("abort", onStop);
        settled();
      };
      const onStop = () => settle(() => reject(stop.reason as DeviceError));
      const timer = setTimeout(
        () => settle(() => resolve(collector.hasSome)),
        timeoutMs + this.#wireMs(send.length + answerBytesMax),
      );
      stop.addEventListener("abort", onStop);
      this.#waiting = {
        collector,
        heard: () => {
          if (collector.isDone) return settle(() => resolve(true));
          if (collector.isFlooded) return settle(() => resolve(false));
          clearTimeout(quiet);
          if (collector.hasSome) quiet = setTimeout(() => settle(() => resolve(true)), quietMs);
        },
        fail: (error) => settle(() => reject(error)),
      };
      stream.write(send);
    });
  }

  #quarantine(collector: Collector, timeoutMs: number): void {
    const windowMs = Math.max(timeoutMs, lateWindowMsMin);
    const sinceMs = performance.now();
    this.#overdue = { collector, sinceMs, heardMs: sinceMs, windowMs };
  }

  /** Waits for the silence before a request. Rejects with `garbage` on a line that is never silent. */
  async #silence(stop: AbortSignal): Promise<void> {
    const begunAt = performance.now();
    const patienceMs = 1000 + lateWindowsMax * (this.#overdue?.windowMs ?? 0);
    // What the kernel holds already is heard before anything is sent.
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      if (stop.aborted) throw stop.reason;
      if (this.#stream === undefined) throw lost(this.place);
      const now = performance.now();
      const readyAt = this.#readyAt();
      if (now >= readyAt) {
        this.#overdue = undefined;
        return;
      }
      if (now - begunAt > patienceMs)
        throw new DeviceError("garbage", `${this.place}: the line is never silent`);
      await this.#sleep(Math.ceil(readyAt - now), stop);
    }
  }

  #readyAt(): number {
    const gapEnd = this.#lastByteAt + Math.max(gapMsMin, this.#wireMs(3.5));
    if (this.#overdue === undefined) return gapEnd;
    const { sinceMs, heardMs, windowMs } = this.#overdue;
    return Math.max(gapEnd, Math.min(heardMs + windowMs, sinceMs + lateWindowsMax * windowMs));
  }

  /** Ends early when an overdue answer has come or the stream is lost. */
  #sleep(timeMs: number, stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        stop.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(wake, timeMs);
      stop.addEventListener("abort", wake);
      this.#wake = wake;
    });
  }

  #onBytes(bytes: Uint8Array): void {
    this.#lastByteAt = performance.now();
    let isTold = false;
    for (const listener of this.#listeners) isTold = listener.bytes(bytes) || isTold;
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      waiting.collector.push(bytes);
      waiting.heard();
    } else if (this.#overdue !== undefined) {
      if (!isTold) this.#overdue.heardMs = this.#lastByteAt;
      this.#overdue.collector.push(bytes);
      if (!this.#overdue.collector.isDone) return;
      this.#overdue = undefined;
      this.#wake?.();
    }
  }

  #lose(error: DeviceError): void {
    this.generation++;
    this.#stream = undefined;
    this.#waiting?.fail(error);
    this.#wake?.();
    for (const listener of this.#listeners) listener.lost(error);
  }

  async close(): Promise<void> {
    while (this.#opening !== undefined) await this.#opening.catch(() => {});
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) this.#closing = stream.close();
    await this.#closing;
  }

  #wireMs(characters: number): number {
    const { transport } = this;
    if (transport.type === "tcp") return 0;
    const bits = 1 + transport.dataBits + (transport.parity === "none" ? 0 : 1) + transport.stopBits;
    return (characters * bits * 1000) / transport.baud;
  }
}

/** The error of a call that finds its line gone. */
export function lost(place: string): DeviceError {
  return new DeviceError("hung-up", `${place}: the line was lost`);
}

/** All open lines of this process, and those whose last request may still be answered late. */
const lines = new Map<string, Line>();

/** Devices with the same key share a wire: "serial /dev/ttyUSB0", "tcp 192.168.1.9:4001". */
export function lineKey(transport: Transport): string {
  return `${transport.type} ${placeOf(transport)}`;
}

/** Joins a line, which its first user opens. Rejects as `openStream`, and with `busy` where the line is open otherwise. */
export async function joinLine(transport: Transport, timeoutMs: number, stop: AbortSignal): Promise<Line> {
  if (stop.aborted) throw stop.reason;
  const key = lineKey(transport);
  for (const [otherKey, other] of lines)
    if (other.users === 0 && !other.isQuarantined) lines.delete(otherKey);
  let line = lines.get(key);
  const isOther = line !== undefined && JSON.stringify(line.transport) !== JSON.stringify(transport);
  if (isOther && line?.users !== 0)
    throw new DeviceError("busy", `${placeOf(transport)}: the port is open with another baud rate or parity`);
  if (line === undefined || isOther) line = new Line(transport);
  lines.set(key, line);
  line.users++;
  try {
    await line.open(timeoutMs, stop);
    if (stop.aborted) throw stop.reason;
  } catch (error) {
    await leaveLine(line);
    throw error;
  }
  return line;
}

/** The last user closes it. */
export async function leaveLine(line: Line): Promise<void> {
  line.users--;
  if (line.users === 0) await line.close();
}
