import type { Answer, Connection, Driver, Sink } from "../driver.ts";
import type { KerbEvent } from "../event.ts";
import type { HostDevice, HostPoint, HostRecord, LatestReading } from "../host/messages.ts";
import { Push } from "../host/push.ts";

/** A record (a weighing, a plate, an alarm) as its event carries it: `values` by field. */
export type HeardRecord = Pick<KerbEvent, "timeMs" | "kind"> & { data: Record<string, unknown> };

/** More than a person reads; the oldest go first. */
const recordsMax = 100;

/** Who must hear of every record, however many come at once: of those that are shown, and of what was told. */
export interface Ear {
  record(record: HeardRecord): void;
  told(record: HostRecord, answers: readonly (Answer | undefined)[]): void;
}

function overheard(push: Push, records: readonly HostRecord[], ear: Ear): Sink {
  return {
    alive: () => push.alive(),
    readings: (values, about) => push.readings(values, about),
    record(index, answers, about) {
      const record = records[index];
      if (record !== undefined) ear.told(record, answers);
      push.record(index, answers, about);
    },
    poll: (index) => push.poll(index),
    held: (isPressing) => push.held(isPressing),
  };
}

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
    ear?: Ear,
  ) {
    this.#push = new Push(device, points, {
      heard: () => {},
      telemetry: () => {},
      event: (kind, data, timeMs) => {
        ear?.record({ kind, data, timeMs });
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
        sink: ear === undefined ? this.#push : overheard(this.#push, device.records, ear),
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
