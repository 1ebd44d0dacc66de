import { DeviceError } from "../../gateway/driver.ts";
import type { Batch } from "./batch.ts";
import {
  findRtuAnswer,
  isDamagedAnswer,
  rtuFrameBytesMax,
  strayBytes,
  type Expectation,
  type Found,
} from "./codec.ts";
import { Turn } from "./link.ts";
import { openSerial, type ByteStream } from "./serial.ts";
import type { Settings } from "./settings.ts";
import { destroySocket, hostAndPort, openSocket } from "./socket.ts";
import { connectTimeoutMs } from "./tcp.ts";

/** The transports that several devices share. */
export type LineTransport = Exclude<Settings["transport"], { type: "tcp" }>;

/** Devices with the same key share a wire: "rtu /dev/ttyUSB0", "rtu-over-tcp 192.168.1.9:502". */
export function lineKey(transport: LineTransport): string {
  return transport.type === "rtu"
    ? `rtu ${transport.port}`
    : `rtu-over-tcp ${hostAndPort(transport.host, transport.port)}`;
}

/** Shortest time after an unanswered request in which its answer is still waited for and thrown away. */
const lateWindowMsMin = 500;
const heardBytesMax = 4 * rtuFrameBytesMax;
/** What a serial device server does to the silence between frames is unknown: 3.5 characters at 9600 baud. */
const networkGapMs = 4;

interface Waiting extends Expectation {
  readonly frame: Uint8Array;
  readonly found: (found: Found) => void;
  readonly fail: (error: DeviceError) => void;
}

/** One wire (Serial Line 1.02, 2.5): one request at a time, silence between frames, and a quarantine after each loss. */
export class Line {
  transport: LineTransport;
  readonly place: string;
  readonly turn = new Turn();
  users = 0;
  /** Counts the losses of the stream: a user that knows an older number has not heard of it yet. */
  generation = 0;
  /** What the answers on this stream have told of it; see `Link`. */
  isEchoed: boolean | undefined;
  #stream: ByteStream | undefined;
  #closing: Promise<void> | undefined;
  readonly #heard = new Uint8Array(heardBytesMax);
  #heardBytes = 0;
  #forgottenBytes = 0;
  #lastByteAt = 0;
  #waiting: Waiting | undefined;
  /** The request whose answer is overdue: nothing is sent until it has come or its window has passed. */
  #overdue: { expected: Expectation; frame: Uint8Array; sinceMs: number; windowMs: number } | undefined;
  #wake: (() => void) | undefined;

  constructor(transport: LineTransport) {
    this.transport = transport;
    this.place = transport.type === "rtu" ? transport.port : hostAndPort(transport.host, transport.port);
  }

  get isQuarantined(): boolean {
    return this.#overdue !== undefined && performance.now() < this.#readyAt();
  }

  /** Opens the stream unless it is open. */
  async open(timeoutMs: number, stop: AbortSignal): Promise<void> {
    await this.turn.take(stop, () => reasonOf(stop));
    try {
      await this.#ensureOpen(timeoutMs, stop);
    } finally {
      this.turn.give();
    }
  }

  /** Sends the unsent requests of a batch to one unit, one after the other. */
  async run(batch: Batch, timeoutMs: number, stop: AbortSignal): Promise<void> {
    await this.turn.take(stop, () => reasonOf(stop));
    try {
      await this.#ensureOpen(timeoutMs, stop);
      while (batch.next < batch.requests.length && !batch.hopeless) {
        await this.#silence(stop);
        const index = batch.next++;
        if (!(await this.#exchange(batch, index, timeoutMs, stop))) return;
      }
    } finally {
      this.turn.give();
    }
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) this.#closing = stream.close();
    await this.#closing;
  }

  async #ensureOpen(timeoutMs: number, stop: AbortSignal): Promise<void> {
    if (this.#stream !== undefined) return;
    await this.#closing;
    if (stop.aborted) throw reasonOf(stop);
    const { transport, place } = this;
    const generation = this.generation;
    const onLost = (error: DeviceError) => {
      if (this.generation === generation) this.#lose(error);
    };
    const stream =
      transport.type === "rtu"
        ? await openSerial(transport, { place, onBytes: this.#onBytes, onLost }, stop)
        : await this.#openNetwork(transport, connectTimeoutMs(timeoutMs), onLost, stop);
    if (stop.aborted || this.generation !== generation) {
      await stream.close();
      throw stop.aborted ? reasonOf(stop) : hungUp(place);
    }
    this.#lastByteAt = performance.now();
    this.isEchoed = undefined;
    this.#stream = stream;
  }

  async #openNetwork(
    transport: Extract<LineTransport, { type: "rtu-over-tcp" }>,
    timeoutMs: number,
    onLost: (error: DeviceError) => void,
    stop: AbortSignal,
  ): Promise<ByteStream> {
    let isClosing = false;
    const socket = await openSocket(
      {
        host: transport.host,
        port: transport.port,
        place: this.place,
        timeoutMs,
        chunkBytes: heardBytesMax / 2,
        onBytes: this.#onBytes,
        onLost: (error) => {
          if (!isClosing) onLost(error);
        },
      },
      stop,
    );
    return {
      write: (bytes) => {
        socket.write(bytes);
      },
      close: () => {
        isClosing = true;
        return destroySocket(socket);
      },
    };
  }

  /** Sends one request and waits for its answer; false = it is lost and the line in quarantine. */
  async #exchange(batch: Batch, index: number, timeoutMs: number, stop: AbortSignal): Promise<boolean> {
    const stream = this.#stream;
    if (stream === undefined) throw hungUp(this.place);
    const request = batch.requests[index]!;
    const frame = batch.frame(index);
    const answerMs = timeoutMs + this.#wireMs(frame.length + 5 + (request.dataBytes ?? rtuFrameBytesMax - 5));
    const { functionCode, dataBytes, echo } = request;
    request.state = "pending";
    this.#heardBytes = this.#forgottenBytes = 0;
    let timer: NodeJS.Timeout | undefined;
    let onStop: (() => void) | undefined;
    try {
      const isAnswered = await new Promise<boolean>((resolve, reject) => {
        const found = ({ exception, at, length }: Found) => {
          if (echo === undefined) this.isEchoed = startsWith(this.#heard, at - 1, frame);
          batch.settle(index, exception, this.#heard, at, length);
          resolve(true);
        };
        onStop = () => reject(reasonOf(stop));
        stop.addEventListener("abort", onStop);
        timer = setTimeout(() => {
          const last = findRtuAnswer(this.#heard, this.#heardBytes, request, frame, {
            isLast: true,
            isEchoed: this.isEchoed === true,
          });
          if (last === undefined) resolve(false);
          else found(last);
        }, answerMs);
        this.#waiting = { functionCode, dataBytes, echo, frame, found, fail: reject };
        stream.write(frame);
      });
      if (isAnswered) return true;
      request.isDamaged = isDamagedAnswer(this.#heard, this.#heardBytes, frame, request);
      batch.lose(index, this.#forgottenBytes + strayBytes(this.#heard, this.#heardBytes, frame));
      this.#quarantine(request, frame, timeoutMs);
      return false;
    } catch (error) {
      const isUnplugged = this.#stream === undefined && this.transport.type === "rtu" && !stop.aborted;
      if (!isUnplugged) this.#quarantine(request, frame, timeoutMs);
      throw error;
    } finally {
      this.#waiting = undefined;
      clearTimeout(timer);
      if (onStop !== undefined) stop.removeEventListener("abort", onStop);
    }
  }

  #quarantine(request: Expectation, frame: Uint8Array, timeoutMs: number): void {
    const windowMs = Math.max(timeoutMs, lateWindowMsMin);
    const { functionCode, dataBytes, echo } = request;
    this.#overdue = {
      expected: { functionCode, dataBytes, echo },
      // A copy: the plan that owns the frame may be gone when the answer comes.
      frame: frame.slice(),
      sinceMs: performance.now(),
      windowMs,
    };
  }

  /** Waits for the silence before the next request. Rejects with `garbage` on a line that is never silent. */
  async #silence(stop: AbortSignal): Promise<void> {
    const begunAt = performance.now();
    const patienceMs = 1000 + 2 * (this.#overdue?.windowMs ?? 0);
    for (;;) {
      if (stop.aborted) throw reasonOf(stop);
      const now = performance.now();
      const readyAt = this.#readyAt();
      if (now >= readyAt) {
        this.#overdue = undefined;
        return;
      }
      if (now - begunAt > patienceMs) {
        throw new DeviceError("garbage", `${this.place}: the line is never silent`);
      }
      await this.#sleep(Math.ceil(readyAt - now), stop);
    }
  }

  #readyAt(): number {
    const gapEnd = this.#lastByteAt + this.#gapMs();
    if (this.#overdue === undefined) return gapEnd;
    const { sinceMs, windowMs } = this.#overdue;
    return Math.max(gapEnd, Math.max(sinceMs, this.#lastByteAt) + windowMs);
  }

  /** Ends early when an overdue answer has come. */
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

  readonly #onBytes = (chunk: Uint8Array, length: number): void => {
    this.#lastByteAt = performance.now();
    this.#hear(chunk, length);
    const waiting = this.#waiting;
    const expected = waiting ?? this.#overdue?.expected;
    const frame = waiting?.frame ?? this.#overdue?.frame;
    if (expected === undefined || frame === undefined) return;
    const isEchoed = this.isEchoed === true;
    const found = findRtuAnswer(this.#heard, this.#heardBytes, expected, frame, { isEchoed });
    if (found === undefined) return;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.found(found);
    } else {
      this.#overdue = undefined;
      this.#wake?.();
    }
  };

  /** Appends what fits; of a flood the end is kept, where an answer would be. */
  #hear(chunk: Uint8Array, length: number): void {
    const used = Math.min(length, heardBytesMax);
    const over = this.#heardBytes + used - heardBytesMax;
    if (over > 0) {
      this.#heard.copyWithin(0, over, this.#heardBytes);
      this.#heardBytes -= over;
      this.#forgottenBytes += over;
    }
    this.#heard.set(chunk.subarray(length - used, length), this.#heardBytes);
    this.#heardBytes += used;
  }

  #lose(error: DeviceError): void {
    this.generation++;
    this.#stream = undefined;
    this.#waiting?.fail(error);
    this.#wake?.();
  }

  #gapMs(): number {
    const { transport } = this;
    if (transport.type !== "rtu") return networkGapMs;
    return transport.baud > 19_200 ? 1.75 : this.#wireMs(3.5);
  }

  #wireMs(characters: number): number {
    const { transport } = this;
    if (transport.type !== "rtu") return 0;
    const bits = 1 + transport.dataBits + (transport.parity === "none" ? 0 : 1) + transport.stopBits;
    return (characters * bits * 1000) / transport.baud;
  }
}

/** Whether `bytes[0, end)` hold the whole of `part`. */
function startsWith(bytes: Uint8Array, end: number, part: Uint8Array): boolean {
  for (let from = 0; from + part.length <= end; from++)
    if (part.every((byte, index) => bytes[from + index] === byte)) return true;
  return false;
}

/** The error of a call that finds its line gone. */
export function hungUp(place: string): DeviceError {
  return new DeviceError("hung-up", `${place}: the line was lost`);
}

/** Why a call was stopped: a `DeviceError` "aborted" or "closed". */
export function reasonOf(stop: AbortSignal): DeviceError {
  return stop.reason instanceof DeviceError
    ? stop.reason
    : new DeviceError("aborted", "given up by the caller");
}
