import type { Connection, Driver } from "../driver.ts";
import type { HostDevice, HostPoint, LatestReading } from "../host/messages.ts";
import { Push } from "../host/push.ts";
import type { HeardRecord } from "./records.ts";

/** More than a person reads; the oldest go first. */
const recordsMax = 100;

/** What a device that pushes has told since it was opened: for `kerb read` without a gateway. */
export class Listening {
  /** The newest, the oldest first. */
  readonly records: HeardRecord[] = [];
  /** Points that the device will not push. */
  readonly pulled = new Set<HostPoint>();
  /** Why it has ended by itself. */
  failure: Error | undefined;
  readonly #push: Push;
  readonly #stop = new AbortController();

  /** `points` are those to be pushed, `device.records` what else it may tell. */
  constructor(
    connection: Connection<unknown>,
    device: HostDevice,
    points: readonly HostPoint[],
    raw: boolean,
  ) {
    this.#push = new Push(device, points, {
      heard: () => {},
      telemetry: () => {},
      event: (kind, data, timeMs) => {
        this.records.push({ kind, data, timeMs });
        if (this.records.length > recordsMax) this.records.shift();
      },
      poll: (position) => {
        const point = points[position];
        if (point !== undefined) this.pulled.add(point);
      },
    });
    const { signal } = this.#stop;
    connection
      .subscribe?.({
        points: this.#push.asked,
        records: device.records,
        sink: this.#push,
        signal,
        ...(raw ? { raw } : {}),
      })
      .catch((error: Error) => {
        if (!signal.aborted) this.failure = error;
      });
  }

  /** The newest values, and a line for each point that has not been heard. */
  readings(driver: Driver<unknown, unknown>, extraQuality: number): LatestReading[] {
    this.#push.doubt(extraQuality);
    return this.#push.shown(driver, true);
  }

  stop(): void {
    this.#stop.abort();
  }
}
