import { setTimeout as sleep } from "node:timers/promises";
import {
  type CreateMonitoredItemsRequest,
  CreateMonitoredItemsResponse,
  type CreateSubscriptionResponse,
  DataChangeNotification,
  DataType,
  type DataValue,
  EventFieldList,
  EventNotificationList,
  type MonitoredItemCreateRequest,
  MonitoredItemCreateResult,
  MonitoredItemNotification,
  NotificationMessage,
  PublishResponse,
  StatusCodes,
  Variant,
} from "node-opcua-client";
import { filled, type Response } from "./clear.ts";
import { Keys, namesOf, type Recording, type Told } from "./recording.ts";

/** One subscription at a recorded server: what was told is told again to the items that are there now. */

/** What it takes of the server. */
interface Server {
  readonly options: { readonly gapMsMax: number };
  id(): number;
  busy(by: 1 | -1): void;
  unknown(what: string): void;
}
type Answer = (response: Response) => void;

interface Item {
  readonly handle: number;
  readonly names: readonly string[];
  /** Nothing was told of it, but it was read: this is its first value. */
  readonly first: DataValue | undefined;
}

const timeName = JSON.stringify([[0, "Time"]]);

export class RecordedSubscription {
  readonly #id: number;
  readonly #keepAliveMs: number;
  readonly #recording: Recording;
  readonly #server: Server;
  readonly #waiting: () => Answer | undefined;
  readonly #keys = new Keys();
  readonly #items = new Map<string, Item>();
  readonly #over = new AbortController();
  #isTelling = false;
  #sequence = 0;
  #wake: (() => void) | undefined;

  /** `waiting` gives, and takes away, a request for news that waits. */
  constructor(
    { subscriptionId, revisedPublishingInterval, revisedMaxKeepAliveCount }: CreateSubscriptionResponse,
    recording: Recording,
    server: Server,
    waiting: () => Answer | undefined,
  ) {
    this.#id = subscriptionId;
    this.#keepAliveMs = Math.max(100, revisedPublishingInterval * revisedMaxKeepAliveCount);
    this.#recording = recording;
    this.#server = server;
    this.#waiting = waiting;
    server.busy(1);
  }

  items({ itemsToCreate }: CreateMonitoredItemsRequest): Response {
    return new CreateMonitoredItemsResponse({ results: (itemsToCreate ?? []).map((one) => this.#item(one)) });
  }

  #item(wanted: MonitoredItemCreateRequest): MonitoredItemCreateResult {
    const recording = this.#recording;
    const { requestedParameters, itemToMonitor } = wanted;
    const key = this.#keys.keyOf(wanted);
    const made = recording.item(key);
    const first = made === undefined ? recording.value(itemToMonitor) : undefined;
    const { clientHandle: handle, samplingInterval, queueSize } = requestedParameters;
    if (made === undefined && first === undefined) this.#server.unknown(String(itemToMonitor.nodeId));
    const unknown = first === undefined ? StatusCodes.BadNodeIdUnknown : StatusCodes.Good;
    const statusCode = made?.statusCode ?? unknown;
    if (statusCode.isGoodish()) this.#items.set(key, { handle, names: namesOf(wanted), first });
    return new MonitoredItemCreateResult({
      statusCode,
      monitoredItemId: this.#server.id(),
      revisedSamplingInterval: made?.revisedSamplingInterval ?? samplingInterval,
      revisedQueueSize: made?.revisedQueueSize ?? queueSize,
    });
  }

  /** A request for news has come: who asks has made all items. */
  asked(): void {
    this.#wake?.();
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#tell().catch(() => {});
  }

  async #tell(): Promise<void> {
    const { gapMsMax } = this.#server.options;
    try {
      const firsts = [...this.#items.values()].flatMap(({ handle, first }) => {
        return first === undefined ? [] : [this.#value(handle, first)];
      });
      await this.#say(firsts, []);
      const groups = [...Map.groupBy(this.#recording.told, ({ ms }) => ms)];
      let beforeMs = groups[0]?.[0] ?? 0;
      for (const [ms, told] of groups) {
        await this.#pause(Math.min(ms - beforeMs, gapMsMax));
        beforeMs = ms;
        await this.#say(...this.#fitted(told));
      }
    } finally {
      this.#server.busy(-1);
    }
    for (;;) {
      await this.#pause(this.#keepAliveMs);
      await this.#send([], this.#sequence + 1);
    }
  }

  /** What is told to items that are there. */
  #fitted(told: readonly Told[]): [MonitoredItemNotification[], EventFieldList[]] {
    const values: MonitoredItemNotification[] = [];
    const events: EventFieldList[] = [];
    for (const { key, what } of told) {
      const item = this.#items.get(key);
      if (item === undefined) continue;
      const { handle: clientHandle, names } = item;
      if ("data" in what) values.push(this.#value(clientHandle, what.data));
      else {
        const fields = what.event.eventFields ?? [];
        const eventFields = names.map((name, i) => {
          const field = fields[what.names.indexOf(name)] ?? new Variant({ dataType: DataType.Null });
          return name === timeName && names.indexOf(name) === i ? this.#movedTime(field) : field;
        });
        events.push(filled(new EventFieldList(), { clientHandle, eventFields }));
      }
    }
    return [values, events];
  }

  #value(clientHandle: number, data: DataValue): MonitoredItemNotification {
    return filled(new MonitoredItemNotification(), { clientHandle, value: this.#recording.moved(data) });
  }

  /** When it happened; the same time told as a value of its own is one that was measured. */
  #movedTime(field: Variant): Variant {
    if (!(field.value instanceof Date)) return field;
    const value = this.#recording.movedTime(field.value);
    return new Variant({ dataType: DataType.DateTime, value });
  }

  async #say(monitoredItems: MonitoredItemNotification[], events: EventFieldList[]): Promise<void> {
    const data = [
      ...(monitoredItems.length === 0 ? [] : [filled(new DataChangeNotification(), { monitoredItems })]),
      ...(events.length === 0 ? [] : [filled(new EventNotificationList(), { events })]),
    ];
    if (data.length > 0) await this.#send(data, ++this.#sequence);
  }

  async #send(
    notificationData: (DataChangeNotification | EventNotificationList)[],
    sequenceNumber: number,
  ): Promise<void> {
    const answer = await this.#asking();
    const notificationMessage = filled(new NotificationMessage(), {
      sequenceNumber,
      publishTime: new Date(),
      notificationData,
    });
    answer(filled(new PublishResponse(), { subscriptionId: this.#id, notificationMessage }));
  }

  /** Rejects when the subscription ends. */
  async #asking(): Promise<Answer> {
    for (;;) {
      this.#over.signal.throwIfAborted();
      const answer = this.#waiting();
      if (answer !== undefined) return answer;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  #pause(ms: number): Promise<void> {
    return ms <= 0 ? Promise.resolve() : sleep(ms, undefined, { signal: this.#over.signal });
  }

  end(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#wake?.();
    if (!this.#isTelling) this.#server.busy(-1);
    this.#isTelling = true;
  }
}
