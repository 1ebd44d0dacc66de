import type { ReadResult } from "../driver.ts";
import { quality } from "../event.ts";
import type { HostDevice } from "./messages.ts";
import type { Normaliser } from "./normalise.ts";

type Alarm = NonNullable<HostDevice["alarms"]>[number];

/**
 * Alarms of devices that show a state and do not tell when it changes: the IOC gets the same events as from one
 * that tells. A value that is bad says nothing, so the state stays as it was.
 */
export class PointAlarms {
  readonly #alarms: ReadonlyMap<string, readonly Alarm[]>;
  readonly #active = new Map<string, boolean>();
  readonly #tell: (data: Record<string, unknown>, timeMs: number) => void;

  constructor(
    { alarms = [] }: Pick<HostDevice, "alarms">,
    tell: (data: Record<string, unknown>, timeMs: number) => void,
  ) {
    this.#alarms = Map.groupBy(alarms, ({ point }) => point);
    this.#tell = tell;
  }

  /** Looks at the answers of one poll, or at those that were pushed together: what was not told is undefined. */
  look(normaliser: Normaliser, { answers }: ReadResult, timeMs: number): void {
    if (this.#alarms.size === 0) return;
    normaliser.points.forEach((point, i) => {
      const alarms = this.#alarms.get(point.name);
      const isTold = normaliser.sourcesOf(i).every((source) => answers[source] !== undefined);
      if (alarms === undefined || !isTold) return;
      const { value, quality: bits } = normaliser.single(i, answers);
      if ((bits & quality.bad) !== 0 || typeof value !== "boolean") return;
      for (const alarm of alarms) this.#see(alarm, value, timeMs);
    });
  }

  #see({ name, point, category, severity }: Alarm, isActive: boolean, timeMs: number): void {
    const before = this.#active.get(name);
    this.#active.set(name, isActive);
    // What is not there when the device is first asked has not ended just now.
    if (before === isActive || (before === undefined && !isActive)) return;
    this.#tell(
      {
        record: name,
        ...(category === undefined ? {} : { category }),
        ...(severity === undefined ? {} : { severity }),
        state: isActive ? "active" : "inactive",
        ...(before === undefined ? { initial: true } : {}),
        values: { [point]: { value: isActive } },
      },
      timeMs,
    );
  }
}
