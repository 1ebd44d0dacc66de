import { DeviceError, type Answer, type RecordPhase } from "../../gateway/driver.ts";
import type { Items } from "./items.ts";
import {
  CallMethodRequest,
  CallRequest,
  coerceNodeId,
  DataType,
  Variant,
  type DataValue,
  type EventNotificationList,
} from "./library.ts";
import type { ListenOptions } from "./subscription.ts";
import { answerOf, bad, fieldOf } from "./values.ts";

/** The records of a subscription: events, and variables whose change says that something has happened. */

export interface Trigger {
  readonly record: number;
  readonly data: DataValue;
}

/** What a later connection needs to go on with a subscription that lives in a session taken over. */
export interface Kept {
  readonly id: number;
  /** Of the last message that was handed on. */
  sequence: number;
  readonly keepAliveMs: number;
  /** The addresses that it was made for. */
  readonly made: string;
  readonly items: Items;
  /** Values of the triggers of the records that were told last. */
  readonly told: Map<number, string>;
  /** Triggers that have changed and whose records have not been told yet. */
  readonly open: Trigger[];
}

/** Types of the events around those that ConditionRefresh tells (OPC 10000-9, 5.11). */
const refreshEvents = { begins: "ns=0;i=2787", ends: "ns=0;i=2788" } as const;
/** The method ConditionRefresh of the type ConditionType. */
const conditionRefresh = { objectId: "i=2782", methodId: "i=3875" } as const;

export class Records {
  readonly #options: ListenOptions;
  readonly #isOver: () => boolean;
  /** Records to which ConditionRefresh is telling what is so already. */
  readonly #refreshing = new Set<number>();

  constructor(options: ListenOptions, isOver: () => boolean) {
    this.#options = options;
    this.#isOver = isOver;
  }

  /** Asks for the alarms that stand already: a server tells only their changes by itself. */
  async refresh(subscriptionId: number): Promise<void> {
    const { subscription, send } = this.#options;
    if (subscription.records.every(({ address }) => address.event === undefined)) return;
    const id = new Variant({ dataType: DataType.UInt32, value: subscriptionId });
    const method = new CallMethodRequest({
      objectId: coerceNodeId(conditionRefresh.objectId),
      methodId: coerceNodeId(conditionRefresh.methodId),
      inputArguments: [id],
    });
    try {
      await send(new CallRequest({ methodsToCall: [method] }), subscription.signal);
    } catch (error) {
      // A server without alarms has no such method.
      const code = error instanceof DeviceError ? error.code : "garbage";
      if (!["rejected", "unsupported", "denied"].includes(code)) throw error;
    }
  }

  /** Tells the records whose triggers have changed; what is cut off stays open. */
  async tell(kept: Kept): Promise<void> {
    for (let [next] = kept.open; next !== undefined; [next] = kept.open) {
      await this.#triggered(kept, next);
      if (this.#isOver()) return;
      kept.open.shift();
    }
  }

  /** What happened, by the server's own word. */
  events(list: EventNotificationList): void {
    const { sink, points, records } = this.#options.subscription;
    for (const { clientHandle, eventFields } of list.events ?? []) {
      const index = clientHandle - points.length;
      const record = records[index];
      if (record === undefined) continue;
      const [time, type, ...fields] = eventFields ?? [];
      if (this.#isAboutRefresh(index, String(type?.value))) continue;
      const answers = record.fields.map(({ address }, i) => {
        const variant = fields[i];
        return variant === undefined ? undefined : fieldOf(variant, address);
      });
      const phase: RecordPhase = this.#refreshing.has(index) ? "initial" : "occurred";
      const timeMs = time?.value instanceof Date ? time.value.getTime() : undefined;
      sink.record(index, answers, { phase, ...(timeMs === undefined ? {} : { sourceTimeMs: timeMs }) });
    }
  }

  #isAboutRefresh(record: number, type: string): boolean {
    if (type === refreshEvents.begins) this.#refreshing.add(record);
    else if (type === refreshEvents.ends) this.#refreshing.delete(record);
    return (Object.values(refreshEvents) as string[]).includes(type);
  }

  /**
   * A record's trigger has changed: its fields are read together with the trigger, so that a newer one is not told
   * under the older one's name, and not twice.
   */
  async #triggered(kept: Kept, { record, data }: Trigger): Promise<void> {
    const { subscription, readNodes } = this.#options;
    const definition = subscription.records[record];
    const trigger = kept.items.records[record];
    if (definition === undefined || trigger === undefined || "code" in trigger) return;
    const isFirst = !kept.told.has(record);
    const first = answerOf(data, definition.address);
    // A value that is away for a while is no new weighing when it comes back.
    if (isBad(first)) return;
    if (isNothing(first)) {
      kept.told.set(record, "");
      return;
    }
    const found = kept.items.fields[record] ?? [];
    const nodes = found.flatMap((one) => ("node" in one ? [one.node] : []));
    // Where the server reads few nodes at a time, this goes over in pieces: the trigger comes last once more.
    const all = await readNodes([trigger.node, ...nodes, trigger.node]);
    const values = all.slice(1, -1);
    const [answer, last] = [all[0] ?? data, all.at(-1) ?? data].map((one) =>
      answerOf(one, definition.address),
    );
    if (this.#isOver() || answer === undefined || isBad(answer) || isNothing(answer)) return;
    const key = keyOf(answer);
    // A newer one has begun: it is told when its own change is.
    if (kept.told.get(record) === key || keyOf(last) !== key) return;
    let at = 0;
    const answers = found.map((one, i) => {
      if ("code" in one) return bad(one.code, one.reason);
      const value = values[at++];
      const address = definition.fields[i]?.address;
      return value === undefined ? undefined : answerOf(value, address ?? {});
    });
    kept.told.set(record, key);
    const phase: RecordPhase = isFirst ? "initial" : "occurred";
    const sourceTimeMs = typeof answer === "object" ? answer.sourceTimeMs : undefined;
    subscription.sink.record(record, answers, {
      phase,
      ...(sourceTimeMs === undefined ? {} : { sourceTimeMs }),
    });
  }
}

function isBad(answer: Answer): boolean {
  return typeof answer === "object" && answer.status === "bad";
}

function keyOf(answer: Answer | undefined): string {
  return String(typeof answer === "object" ? answer.value : answer);
}

/** A weighing has an id, a counter above 0; before the first one there is nothing to tell. */
function isNothing(answer: Answer): boolean {
  const value = typeof answer === "object" ? answer.value : answer;
  return value === null || value === "" || value === 0 || value === false;
}
