import type { Answer, RecordPhase, RecordRequest } from "../../gateway/driver.ts";
import type { AlarmMessage } from "./messages.ts";
import type { Address } from "./settings.ts";
import { typed } from "./values.ts";

const alarmsMax = 10_000;

interface Known {
  timeMs: number;
  told: string;
}

/**
 * What a site has told of its alarms on this connection. A message that is older than what is known of its alarm
 * was buffered: it has happened and is not the state of now (RSMP 3.2.2, 4.3.3).
 */
export class AlarmHistory {
  readonly #known = new Map<string, Known>();

  /** How a message stands to what was told before; undefined: it was told already. */
  place(alarm: AlarmMessage, timeMs: number): { phase: RecordPhase; past: boolean } | undefined {
    const key = JSON.stringify([alarm.component, alarm.code]);
    const { event, active, acknowledged, suspended } = alarm;
    const told = JSON.stringify([event, active, acknowledged, suspended, [...alarm.arguments]]);
    const before = this.#known.get(key);
    if (before?.timeMs === timeMs && before.told === told) return undefined;
    if (before !== undefined && timeMs < before.timeMs) return { phase: "occurred", past: true };
    this.#known.delete(key);
    this.#known.set(key, { timeMs, told });
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
