import type { Answer, RecordPhase, RecordRequest } from "../../gateway/driver.ts";
import type { AlarmMessage } from "./messages.ts";
import type { Address } from "./settings.ts";
import { typed } from "./values.ts";

const alarmsMax = 10_000;

interface Told {
  timeMs: number;
  text: string;
}
interface Known {
  /** The last message of each kind of event. */
  last: Map<AlarmMessage["event"], Told>;
  newestMs: number;
}

/**
 * What a site has told of its alarms on this connection. A message that is older than what is known of its alarm
 * was buffered: it has happened and is not the state of now (RSMP 3.2.2, 4.3.3).
 */
export class AlarmHistory {
  readonly #known = new Map<string, Known>();
  readonly #tellsEnds: boolean;

  /** `tellsEnds`: the time of an alarm that ends is that of its end; up to 3.1.3 it is still that of its beginning. */
  constructor(tellsEnds: boolean) {
    this.#tellsEnds = tellsEnds;
  }

  /** How a message stands to what was told before; undefined: it was told already. */
  place(alarm: AlarmMessage, timeMs: number): { phase: RecordPhase; past: boolean } | undefined {
    const key = JSON.stringify([alarm.component, alarm.code]);
    const { event, active, acknowledged, suspended } = alarm;
    const text = JSON.stringify([active, acknowledged, suspended, [...alarm.arguments]]);
    const before = this.#known.get(key);
    const alike = before?.last.get(event);
    if (alike?.timeMs === timeMs && alike.text === text) return undefined;
    const newestMs = this.#tellsEnds ? before?.newestMs : alike?.timeMs;
    if (newestMs !== undefined && timeMs < newestMs) return { phase: "occurred", past: true };
    this.#known.delete(key);
    const last = (before?.last ?? new Map<AlarmMessage["event"], Told>()).set(event, { timeMs, text });
    this.#known.set(key, { last, newestMs: Math.max(timeMs, before?.newestMs ?? timeMs) });
    const [oldest] = this.#known.keys();
    if (this.#known.size > alarmsMax && oldest !== undefined) this.#known.delete(oldest);
    return { phase: before === undefined && event === "Issue" ? "initial" : "occurred", past: false };
  }
}

/** The fields of a record from an alarm message. */
export function alarmAnswers(record: RecordRequest<Address>, alarm: AlarmMessage): (Answer | undefined)[] {
  return record.fields.map(({ address }) => {
    if ("argument" in address) {
      const value = alarm.arguments.get(address.argument);
      return value === undefined ? undefined : typed(value, address.as);
    }
    if (!("field" in address)) return undefined;
    switch (address.field) {
      case "priority":
        return Number(alarm.priority);
      default:
        return alarm[address.field];
    }
  });
}
