import {
  DeviceError,
  type Connection,
  type Identity,
  type PointRequest,
  type ReadOptions,
  type ReadResult,
  type Subscription,
  type Value,
} from "../../gateway/driver.ts";
import { placeOf, type Listener } from "./listener.ts";
import { identify } from "./identify.ts";
import { Reader, type Points } from "./reader.ts";
import type { Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";
import { Subscriber } from "./subscriber.ts";
import { write } from "./writer.ts";

/** One site. See `Connection` in the driver contract. */
export class RsmpConnection implements Connection<Address> {
  readonly #listener: Listener;
  readonly #settings: Settings;
  readonly #closing = new AbortController();
  #session: Session;
  #reader: Reader;
  /** The loss of the session has been told to a caller: the next call may wait for the site's. */
  #isLossTold = false;
  #closed: Promise<void> | undefined;

  constructor(listener: Listener, session: Session, settings: Settings) {
    this.#listener = listener;
    this.#session = session;
    this.#settings = settings;
    this.#reader = new Reader(session);
  }

  identify(signal: AbortSignal): Promise<Identity> {
    return this.#run(signal, (session, stop) => identify(session, stop));
  }

  read(points: Points, options: ReadOptions): Promise<ReadResult> {
    return this.#run(options.signal, (_, stop) => this.#reader.read(points, options.raw === true, stop));
  }

  write(point: PointRequest<Address>, value: Value, signal: AbortSignal): Promise<void> {
    return this.#run(signal, (session, stop) => write(session, this.#settings, point.address, value, stop));
  }

  subscribe({ points, records, sink, signal }: Subscription<Address>): Promise<void> {
    const session = this.#session;
    if (this.#closed !== undefined) return Promise.reject(this.#closedError());
    if (session.lost !== undefined) {
      this.#isLossTold = true;
      return Promise.reject(session.lost);
    }
    return new Subscriber(session, points, records, sink).run(signal);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#session.close(this.#closedError());
    this.#listener.leave(this.#settings.siteId);
  }

  #closedError(): DeviceError {
    return new DeviceError("closed", `${placeOf(this.#settings)}: the connection is closed`);
  }

  /** Runs one call on a live session; after a loss that was told, on that of the site's next call. */
  async #run<Result>(
    signal: AbortSignal,
    work: (session: Session, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#closed !== undefined) throw this.#closedError();
    if (signal.aborted) throw this.#session.error("aborted", "given up by the caller");
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    try {
      await this.#revive(stop);
      return await work(this.#session, stop);
    } catch (error) {
      if (this.#closing.signal.aborted && !signal.aborted) throw this.#closedError();
      this.#isLossTold = this.#session.lost !== undefined;
      throw error;
    }
  }

  async #revive(signal: AbortSignal): Promise<void> {
    const { lost } = this.#session;
    if (lost === undefined) return;
    if (!this.#isLossTold) throw lost;
    const { siteId, timeout } = this.#settings;
    this.#session = await this.#listener.attach(siteId, timeout, signal);
    this.#reader = new Reader(this.#session);
    this.#isLossTold = false;
  }
}
