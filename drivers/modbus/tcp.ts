import type { Socket } from "node:net";
import { DeviceError } from "../../gateway/driver.ts";
import type { Batch } from "./batch.ts";
import { frameTcp, judge, MbapReader } from "./codec.ts";
import { aborted, closed, type Link } from "./link.ts";
import { destroySocket, openSocket } from "./socket.ts";

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly unit: number;
  readonly place: string;
  readonly timeoutMs: number;
  readonly inFlightMax: number;
}

/**
 * One unit over Modbus TCP (Messaging on TCP/IP 1.0b). Answers are told apart by their transaction id, and a
 * socket on which an answer is overdue is destroyed, so that no answer ever meets another request.
 */
export class TcpLink implements Link {
  readonly framing = frameTcp;
  readonly isEchoed = false;
  readonly inFlightMax: number;
  readonly #options: TcpOptions;
  readonly #chunkBytes: number;
  #reader: MbapReader;
  #socket: Socket | undefined;
  #opening: AbortController | undefined;
  #closed = false;
  /** Why the socket went while nobody asked; told to the next call. */
  #lost: DeviceError | undefined;
  /** The transaction id of the next request; counts on over sockets. */
  #transaction = 1;

  // The running batch. Fields and not a closure: this is the hot path.
  #batch: Batch | undefined;
  #signal: AbortSignal | undefined;
  #resolve: (() => void) | undefined;
  #reject: ((error: DeviceError) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Transaction id of request 0 of the batch. */
  #base = 0;
  #pending = 0;
  #settled = 0;
  #strays = 0;

  constructor(options: TcpOptions) {
    this.#options = options;
    this.inFlightMax = options.inFlightMax;
    this.#chunkBytes = 260 * options.inFlightMax;
    this.#reader = this.#newReader();
  }

  /** Opens the socket. Rejects as `openSocket` does, or with `closed`. */
  async open(signal: AbortSignal): Promise<void> {
    const { host, port, place, timeoutMs } = this.#options;
    const opening = new AbortController();
    const onAbort = () => opening.abort();
    if (signal.aborted) throw aborted(place);
    signal.addEventListener("abort", onAbort);
    this.#opening = opening;
    try {
      const socket = await openSocket(
        {
          host,
          port,
          place,
          timeoutMs: connectTimeoutMs(timeoutMs),
          chunkBytes: this.#chunkBytes,
          onBytes: this.#onBytes,
          onLost: this.#onLost,
        },
        opening.signal,
      );
      if (opening.signal.aborted) {
        socket.destroy();
        throw aborted(place);
      }
      if (socket.destroyed) throw new DeviceError("hung-up", `${place}: the device closed the connection`);
      this.#reader = this.#newReader();
      this.#socket = socket;
    } catch (error) {
      throw this.#closed ? closed(place) : error;
    } finally {
      this.#opening = undefined;
      signal.removeEventListener("abort", onAbort);
    }
  }

  run(batch: Batch, signal: AbortSignal): Promise<void> {
    if (this.#socket === undefined) return this.#reopenAndRun(batch, signal);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(aborted(this.#options.place));
      this.#batch = batch;
      this.#signal = signal;
      this.#resolve = resolve;
      this.#reject = reject;
      this.#base = this.#transaction - batch.next;
      this.#strays = 0;
      signal.addEventListener("abort", this.#onAbort);
      this.#timer = setTimeout(this.#onTimeout, this.#options.timeoutMs);
      this.#send(batch);
      if (this.#pending === 0) this.#settle(undefined);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#opening?.abort();
    const socket = this.#socket;
    this.#fail(closed(this.#options.place));
    if (socket !== undefined) await destroySocket(socket);
  }

  async #reopenAndRun(batch: Batch, signal: AbortSignal): Promise<void> {
    if (this.#closed) throw closed(this.#options.place);
    if (this.#lost !== undefined) {
      const lost = this.#lost;
      this.#lost = undefined;
      throw lost;
    }
    await this.open(signal);
    await this.run(batch, signal);
  }

  /** Fills the window with as few writes as possible. */
  #send(batch: Batch): void {
    const { requests, frames, ends } = batch;
    const first = batch.next;
    let next = first;
    let at = first === 0 ? 0 : ends[first - 1]!;
    const from = at;
    while (next < requests.length && this.#pending < this.inFlightMax && !batch.hopeless) {
      const transaction = this.#base + next;
      frames[at] = (transaction >> 8) & 0xff;
      frames[at + 1] = transaction & 0xff;
      requests[next]!.state = "pending";
      at = ends[next]!;
      next++;
      this.#pending++;
    }
    if (next === first) return;
    batch.next = next;
    this.#socket!.write(from === 0 && at === frames.length ? frames : frames.subarray(from, at));
  }

  readonly #onBytes = (buffer: Uint8Array, length: number): void => {
    let problem: string | undefined;
    const before = this.#settled;
    try {
      problem = this.#reader.push(buffer, length);
    } catch (error) {
      problem = String(error);
    }
    if (problem !== undefined) {
      this.#fail(new DeviceError("garbage", `${this.#options.place}: not Modbus TCP: ${problem}`));
      return;
    }
    const batch = this.#batch;
    if (batch === undefined || this.#settled === before) return;
    this.#send(batch);
    if (this.#pending === 0) this.#settle(undefined);
    else this.#timer!.refresh();
  };

  #onFrame(transaction: number, unit: number, bytes: Uint8Array, at: number, length: number): void {
    const batch = this.#batch;
    const index = (transaction - this.#base) & 0xffff;
    if (batch === undefined || index >= batch.next || batch.requests[index]!.state !== "pending") {
      this.#strays += length + 7;
      return;
    }
    const { place } = this.#options;
    if (unit !== this.#options.unit) {
      return this.#fail(new DeviceError("garbage", `${place}: the answer comes from unit ${unit}`));
    }
    const request = batch.requests[index]!;
    const exception = judge(request, bytes, at, length);
    if (exception < 0) {
      return this.#fail(
        new DeviceError("garbage", `${place}: the answer to ${request.text} does not fit it`),
      );
    }
    this.#pending--;
    this.#settled++;
    batch.settle(index, exception, bytes, at, length);
  }

  readonly #onLost = (error: DeviceError, socket: Socket): void => {
    if (socket === this.#socket) this.#fail(error);
  };

  readonly #onAbort = (): void => {
    this.#drop();
    this.#settle(aborted(this.#options.place));
  };

  readonly #onTimeout = (): void => {
    const batch = this.#batch!;
    const strayBytes = this.#strays + this.#reader.partialBytes;
    this.#drop();
    batch.requests.forEach((request, index) => {
      if (request.state === "pending") batch.lose(index, strayBytes);
    });
    this.#settle(undefined);
  };

  /** The link is of no use any more. Whoever waits is told, or else the next call. */
  #fail(error: DeviceError): void {
    const wasOpen = this.#socket !== undefined;
    this.#drop();
    if (this.#batch !== undefined) this.#settle(error);
    else if (wasOpen) this.#lost = error;
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #settle(error: DeviceError | undefined): void {
    const resolve = this.#resolve!;
    const reject = this.#reject!;
    clearTimeout(this.#timer);
    this.#signal!.removeEventListener("abort", this.#onAbort);
    this.#transaction = (this.#base + this.#batch!.next) & 0xffff;
    this.#pending = 0;
    this.#batch = this.#signal = this.#resolve = this.#reject = this.#timer = undefined;
    if (error === undefined) resolve();
    else reject(error);
  }

  #newReader(): MbapReader {
    return new MbapReader(this.#chunkBytes, (transaction, unit, bytes, at, length) =>
      this.#onFrame(transaction, unit, bytes, at, length),
    );
  }
}

/** A lost SYN is sent again after one and three seconds: a connection may take longer than an answer. */
export function connectTimeoutMs(timeoutMs: number): number {
  return Math.max(timeoutMs, 3000);
}
