import type { Answer, RecordRequest, Sink } from "../../gateway/driver.ts";
import { AlarmHistory, alarmAnswers } from "./alarms.ts";
import type { AggregatedMessage, AlarmMessage, StatusMessage, StatusValue } from "./messages.ts";
import { checkEntries, itemsOf, keyOf, type Item, type Points } from "./reader.ts";
import type { Pushed, Session } from "./session.ts";
import type { Address, AggregatedAddress } from "./settings.ts";
import { aggregatedAnswer, answerOf } from "./values.ts";
import { atLeast } from "./versions.ts";

const droppedMax = 200;

interface Reported {
  index: number;
  answer: Answer;
}

/** How a status is subscribed: several points of one status share it, so the quickest of them decides. */
function wish(points: Item["points"], version: string): { uRt: string; sOc?: boolean } {
  const rates = points.map(({ address }) => address.rate).filter((rate) => rate > 0);
  const rate = rates.length === 0 ? 0 : Math.min(...rates);
  // Up to 3.1.4 there is no sOc: a rate of 0 means "on change".
  if (!atLeast(version, "3.1.5")) return { uRt: String(rate) };
  return { uRt: String(rate), sOc: points.some(({ address }) => address.onChange) };
}

/** One subscription: from StatusSubscribe to its end. */
export class Subscriber {
  readonly #session: Session;
  readonly #sink: Sink;
  readonly #items = new Map<string, Item>();
  readonly #aggregated: readonly { index: number; address: AggregatedAddress }[];
  readonly #records: readonly RecordRequest<Address>[];
  readonly #alarms: AlarmHistory;
  /** Statuses that have had a value. */
  readonly #known = new Set<string>();
  readonly #dropped = new Set<string>();
  /** Time of the newest aggregated status of each component. */
  readonly #newest = new Map<string, number>();

  constructor(session: Session, points: Points, records: readonly RecordRequest<Address>[], sink: Sink) {
    this.#session = session;
    this.#alarms = new AlarmHistory(atLeast(session.version, "3.1.4"));
    this.#sink = sink;
    this.#records = records;
    // What is read from several statuses at once is not pushed.
    points.forEach(({ address }, index) => {
      if ("requested" in address) sink.poll(index);
    });
    for (const items of itemsOf(points, session.main).values())
      for (const item of items) {
        const pushed = item.points.filter(({ index, address }) => points[index]?.address === address);
        if (pushed.length > 0) this.#items.set(item.key, { ...item, points: pushed });
      }
    this.#aggregated = points.flatMap(({ address }, index) =>
      "aggregated" in address ? [{ index, address }] : [],
    );
  }

  /** Resolves when the signal aborts, rejects when the session is lost. */
  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const session = this.#session;
    const over = Promise.withResolvers<undefined>();
    const onAbort = () => over.resolve(undefined);
    signal.addEventListener("abort", onAbort);
    try {
      session.listen(
        (message) => this.#take(message),
        () => this.#sink.alive(),
        () => this.#sink.held?.() ?? Promise.resolve(true),
      );
      const components = Map.groupBy(this.#items.values(), ({ component }) => component);
      for (const [component, items] of components) {
        // A site may have kept a subscription over an outage, and would then not tell the values of now.
        this.#unsubscribe(component, items);
        this.#subscribe(component, items);
      }
      const lost = await Promise.race([over.promise, session.gone]);
      if (lost !== undefined) throw lost;
      // What is subscribed stays so: a site that can keeps for kerb what happens until it is back.
    } finally {
      session.unlisten();
      signal.removeEventListener("abort", onAbort);
    }
  }

  #subscribe(component: string, items: readonly Item[]): void {
    const sS = items.map(({ code, name, points }) => ({
      sCI: code,
      n: name,
      ...wish(points, this.#session.version),
    }));
    this.#session.tell("StatusSubscribe", { ntsOId: "", xNId: "", cId: component, sS }, () => {
      // Refused as a whole for what may be one status: halves find it.
      if (items.length === 1) return this.#leave(items[0]);
      const middle = items.length >> 1;
      this.#subscribe(component, items.slice(0, middle));
      this.#subscribe(component, items.slice(middle));
    });
  }

  #unsubscribe(component: string, items: readonly Pick<Item, "code" | "name">[]): void {
    const sS = items.map(({ code, name }) => ({ sCI: code, n: name }));
    this.#session.tell("StatusUnsubscribe", { ntsOId: "", xNId: "", cId: component, sS });
  }

  /** A site that has kept a subscription of an earlier configuration is told that nobody wants it any more. */
  #drop(component: string, { code, name, quality }: StatusValue): void {
    const key = keyOf(component, code, name);
    if (quality !== "recent" || this.#dropped.has(key) || this.#dropped.size >= droppedMax) return;
    this.#dropped.add(key);
    this.#unsubscribe(component, [{ code, name }]);
  }

  /** The site will not push it. */
  #leave(item: Item | undefined): void {
    for (const { index } of item?.points ?? []) this.#sink.poll(index);
  }

  #take(message: Pushed): void {
    this.#sink.alive();
    if (message.kind === "status") this.#takeStatus(message);
    else if (message.kind === "aggregated") this.#takeAggregated(message);
    else this.#takeAlarm(message);
  }

  #takeStatus({ component, values, timeMs }: StatusMessage): void {
    const ownMs = this.#session.timeMs(timeMs);
    const reported: Reported[] = [];
    for (const value of values) {
      const key = keyOf(component, value.code, value.name);
      const item = this.#items.get(key);
      if (item === undefined) this.#drop(component, value);
      else checkEntries(this.#session, item, value);
      // What the site does not know when it is asked it does not subscribe either (RSMP 3.2.2, 4.4.4).
      if (value.value !== null && item !== undefined) this.#known.add(key);
      else if (value.value === null && !this.#known.has(key)) this.#leave(item);
      for (const { index, address } of item?.points ?? [])
        reported.push({ index, answer: answerOf(address, value, ownMs) });
    }
    if (reported.length > 0) this.#sink.readings(reported);
  }

  #takeAggregated(message: AggregatedMessage): void {
    const timeMs = this.#session.timeMs(message.timeMs);
    const newest = this.#newest.get(message.component) ?? 0;
    const past = timeMs < newest;
    if (!past) this.#newest.set(message.component, timeMs);
    const reported = this.#aggregated
      .filter(
        ({ address: { component } }) => (component ?? this.#session.aggregatedMain) === message.component,
      )
      .map(({ index, address }) => ({ index, answer: aggregatedAnswer(address, message, timeMs, { past }) }));
    if (reported.length > 0) this.#sink.readings(reported);
  }

  #takeAlarm(alarm: AlarmMessage): void {
    const timeMs = this.#session.timeMs(alarm.timeMs);
    const place = this.#alarms.place(alarm, timeMs);
    if (place === undefined) return;
    this.#records.forEach((record, index) => {
      const { address } = record;
      if (!("alarm" in address) || address.alarm !== alarm.code) return;
      if (address.component !== undefined && address.component !== alarm.component) return;
      this.#sink.record(index, alarmAnswers(record, alarm), { ...place, sourceTimeMs: timeMs });
    });
  }
}
