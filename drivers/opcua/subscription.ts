import { DeviceError, type Answer, type RecordPhase, type Subscription } from "../../gateway/driver.ts";
import type { Channel } from "./channel.ts";
import { codeOfStatus, statusName } from "./failures.ts";
import { createItems, findItems, type Items } from "./items.ts";
import {
  CreateSubscriptionRequest,
  DataChangeNotification,
  DeleteSubscriptionsRequest,
  EventNotificationList,
  PublishRequest,
  RepublishRequest,
  StatusChangeNotification,
  type CreateSubscriptionResponse,
  type DataValue,
  type NodeId,
  type NotificationMessage,
  type PublishResponse,
  type RepublishResponse,
} from "./library.ts";
import type { Nodes, Send } from "./nodes.ts";
import type { Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";
import { answerOf, bad, fieldOf } from "./values.ts";

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
}

export interface ListenOptions {
  readonly subscription: Subscription<Address>;
  readonly settings: Settings;
  readonly place: string;
  readonly channel: Channel;
  readonly session: Session;
  readonly nodes: Nodes;
  /** Aborts with the connection; its reason is the `DeviceError`. */
  readonly closing: AbortSignal;
  readonly send: Send;
  readonly readNodes: (nodes: readonly NodeId[]) => Promise<DataValue[]>;
  readonly log: (text: string) => void;
  readonly before: Kept | undefined;
  readonly keep: (kept: Kept | undefined) => void;
}

/** Requests that wait at the server, so that a message never waits for one. */
const publishesInFlight = 2;
/** A gap longer than this is not asked for piece by piece. */
const republishMax = 200;
const sequenceMax = 0xffff_ffff;

/**
 * Runs one subscription (OPC 10000-4, 5.13) until its signal or the connection ends. Messages are handed on in the
 * order of their numbers; one that is missing is asked for before the next.
 */
export async function listen(options: ListenOptions): Promise<void> {
  const { subscription, closing } = options;
  const { signal } = subscription;
  const listener = new Listener(options);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => resolve();
  const onClosing = (): void => reject(closing.reason);
  signal.addEventListener("abort", onAbort);
  closing.addEventListener("abort", onClosing);
  if (closing.aborted) onClosing();
  listener.run(reject).catch(reject);
  try {
    await promise;
  } catch (error) {
    // What fails because nobody listens any more is no failure.
    if (!signal.aborted || closing.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    closing.removeEventListener("abort", onClosing);
    listener.end(signal.aborted && !closing.aborted);
  }
}

class Listener {
  readonly #options: ListenOptions;
  #kept: Kept | undefined;
  #inFlightMax = publishesInFlight;
  /** Serial numbers of the requests that wait at the server. */
  readonly #waiting = new Set<number>();
  #serial = 0;
  #acknowledge: number[] = [];
  /** Messages are worked off one behind the other: a missing one holds up the next. */
  #work: Promise<void> = Promise.resolve();
  #watchdog: NodeJS.Timeout | undefined;
  /** Points of a subscription that was taken over of which nothing has been told yet. */
  #owed: Set<number> | undefined;
  #isOver = false;
  #fail: (error: unknown) => void = () => {};

  constructor(options: ListenOptions) {
    this.#options = options;
  }

  async run(fail: (error: unknown) => void): Promise<void> {
    this.#fail = fail;
    const { before, keep } = this.#options;
    const isResumed = before !== undefined && before.made === this.#made() && (await this.#resume(before));
    if (!isResumed) {
      if (before !== undefined) this.#delete(before.id);
      keep(undefined);
      await this.#create();
    }
    if (this.#isOver) return;
    this.#watch();
    this.#publish();
  }

  /** Stops; `shallDelete`: the server is told as well. */
  end(shallDelete: boolean): void {
    this.#isOver = true;
    clearTimeout(this.#watchdog);
    if (!shallDelete) return;
    this.#options.keep(undefined);
    if (this.#kept !== undefined) this.#delete(this.#kept.id);
  }

  #delete(id: number): void {
    const { channel, session, settings } = this.#options;
    const request = new DeleteSubscriptionsRequest({ subscriptionIds: [id] });
    request.requestHeader.authenticationToken = session.token;
    channel.request(request, { timeoutMs: settings.timeout }).catch(() => {});
  }

  #made(): string {
    const { points, records } = this.#options.subscription;
    return JSON.stringify([points.map(({ address }) => address), records]);
  }

  async #create(): Promise<void> {
    const { settings, subscription, send, nodes, place, log, keep } = this.#options;
    const { publishing, keepAlive, session } = settings;
    const keepAliveCount = Math.max(1, Math.round(keepAlive / publishing));
    const request = new CreateSubscriptionRequest({
      requestedPublishingInterval: publishing,
      requestedMaxKeepAliveCount: keepAliveCount,
      // It shall live as long as a session that was cut off.
      requestedLifetimeCount: Math.max(3 * keepAliveCount, Math.ceil(session / publishing)),
      maxNotificationsPerPublish: 1000,
      publishingEnabled: true,
      priority: 0,
    });
    const items = await findItems(subscription, nodes, send);
    const made = await send<CreateSubscriptionResponse>(request, subscription.signal);
    const id = made.subscriptionId;
    const keepAliveMs = made.revisedPublishingInterval * made.revisedMaxKeepAliveCount;
    this.#kept = { id, sequence: 0, keepAliveMs, made: this.#made(), items, told: new Map() };
    // Aborted meanwhile: `end` has not seen it.
    if (this.#isOver) return this.#delete(id);
    keep(this.#kept);
    await createItems(id, subscription, items, nodes, send, (record, code) =>
      log(`${place} does not tell the record ${record}: ${code}`),
    );
    for (const index of items.polled) if (!this.#isOver) subscription.sink.poll(index);
  }

  /** Takes over a subscription that has gone on while nobody listened; false when the server has it no more. */
  async #resume(before: Kept): Promise<boolean> {
    const { subscription, log, place } = this.#options;
    const { sink, points } = subscription;
    this.#kept = before;
    const first = before.sequence;
    const outcome = await this.#republishAll(before);
    if (outcome === "gone" || this.#isOver) {
      this.#kept = undefined;
      return false;
    }
    log(`${place}: the session has been taken over, ${before.sequence - first} missed messages were fetched`);
    for (const index of before.items.polled) sink.poll(index);
    this.#owed = new Set(points.keys());
    return true;
  }

  /** Where nothing has changed nothing will come: who listens anew is told how things are. */
  async #tellPresent({ items }: Kept, owed: ReadonlySet<number>): Promise<void> {
    const { subscription, readNodes } = this.#options;
    const known = [...owed].flatMap((index) => {
      const found = items.points[index];
      return found === undefined || "code" in found || items.polled.includes(index)
        ? []
        : [{ index, node: found.node }];
    });
    if (known.length === 0) return;
    const values = await readNodes(known.map(({ node }) => node));
    if (this.#isOver) return;
    subscription.sink.readings(
      known.flatMap(({ index }, i) => {
        const data = values[i];
        return data === undefined ? [] : [{ index, answer: this.#answer(index, data) }];
      }),
    );
  }

  async #republishAll(kept: Kept): Promise<"all" | "gone"> {
    for (let count = 0; count < republishMax; count++) {
      const next = after(kept.sequence);
      const message = await this.#republish(kept, next);
      if (message === "unknown") return "all";
      if (message === "gone") return "gone";
      await this.#handOn(kept, message);
    }
    return "all";
  }

  async #republish(kept: Kept, sequence: number): Promise<NotificationMessage | "unknown" | "gone"> {
    const { send, subscription } = this.#options;
    const request = new RepublishRequest({ subscriptionId: kept.id, retransmitSequenceNumber: sequence });
    try {
      const { notificationMessage } = await send<RepublishResponse>(request, subscription.signal);
      return notificationMessage;
    } catch (error) {
      const text = error instanceof Error ? error.message : "";
      if (text.includes("BadMessageNotAvailable")) return "unknown";
      if (/BadSubscriptionIdInvalid|BadNoSubscription/.test(text)) return "gone";
      throw error;
    }
  }

  #publish(): void {
    const { channel, session } = this.#options;
    while (this.#waiting.size < this.#inFlightMax && !this.#isOver) {
      const id = this.#kept?.id ?? 0;
      const request = new PublishRequest({
        subscriptionAcknowledgements: this.#acknowledge
          .splice(0)
          .map((sequenceNumber) => ({ subscriptionId: id, sequenceNumber })),
      });
      request.requestHeader.authenticationToken = session.token;
      const serial = ++this.#serial;
      this.#waiting.add(serial);
      // It waits at the server as long as nothing happens: the watchdog is its deadline.
      channel.request<PublishResponse>(request, { timeoutMs: 86_400_000 }).then(
        (response) => this.#published(response, serial),
        (error: unknown) => this.#refused(error, serial),
      );
    }
  }

  #published(response: PublishResponse, serial: number): void {
    // A server answers them in their order: those before this one will not be answered any more.
    for (const one of this.#waiting) if (one <= serial) this.#waiting.delete(one);
    if (this.#isOver) return;
    this.#watch();
    const before = this.#work;
    const work = async (): Promise<void> => {
      await before;
      if (this.#isOver || this.#kept === undefined) return;
      // What is left of a subscription that was deleted has a number of its own.
      if (response.subscriptionId === this.#kept.id) {
        await this.#inOrder(this.#kept, response.notificationMessage);
        const owed = this.#owed;
        if (owed !== undefined && !response.moreNotifications) {
          this.#owed = undefined;
          await this.#tellPresent(this.#kept, owed);
        }
      }
      this.#publish();
    };
    this.#work = work();
    this.#work.catch(this.#fail);
  }

  #refused(error: unknown, serial: number): void {
    this.#waiting.delete(serial);
    if (this.#isOver) return;
    const text = error instanceof Error ? error.message : "";
    if (text.includes("BadTooManyPublishRequests") && this.#inFlightMax > 1) {
      this.#inFlightMax = 1;
      this.#publish();
      return;
    }
    const isGone = /BadNoSubscription|BadSubscriptionIdInvalid/.test(text);
    if (isGone) this.#options.keep(undefined);
    this.#fail(isGone ? new DeviceError("hung-up", `${this.#options.place}: ${text}`) : error);
  }

  async #inOrder(kept: Kept, message: NotificationMessage): Promise<void> {
    const { sequenceNumber, notificationData } = message;
    const isData = (notificationData?.length ?? 0) > 0;
    const missing = distance(after(kept.sequence), sequenceNumber);
    // An old one again, or a number that was reset.
    if (missing > sequenceMax / 2) return this.#options.subscription.sink.alive();
    for (let i = 0; i < missing; i++) {
      const found = i < republishMax ? await this.#republish(kept, after(kept.sequence)) : "unknown";
      if (typeof found === "string") {
        this.#options.keep(undefined);
        throw new DeviceError(
          "hung-up",
          `${this.#options.place}: ${missing - i} messages were lost, the server has them no more`,
        );
      }
      await this.#handOn(kept, found);
    }
    if (isData) await this.#handOn(kept, message);
    else if (!this.#isOver) this.#options.subscription.sink.alive();
  }

  async #handOn(kept: Kept, message: NotificationMessage): Promise<void> {
    if (this.#isOver) return;
    const { sink, points } = this.#options.subscription;
    const triggers: { record: number; data: DataValue }[] = [];
    const values: { index: number; answer: Answer }[] = [];
    for (const data of message.notificationData ?? []) {
      if (data instanceof StatusChangeNotification) this.#ended(data);
      else if (data instanceof EventNotificationList) this.#events(data);
      else if (data instanceof DataChangeNotification) {
        for (const { clientHandle, value } of data.monitoredItems ?? []) {
          if (clientHandle < points.length) {
            this.#owed?.delete(clientHandle);
            values.push({ index: clientHandle, answer: this.#answer(clientHandle, value) });
          } else triggers.push({ record: clientHandle - points.length, data: value });
        }
      }
    }
    // Values that are bad make no server dead that publishes them.
    sink.alive();
    if (values.length > 0) sink.readings(values);
    for (const { record, data } of triggers) await this.#triggered(kept, record, data);
    kept.sequence = message.sequenceNumber;
    this.#acknowledge.push(message.sequenceNumber);
  }

  #answer(index: number, value: DataValue): Answer {
    const address = this.#options.subscription.points[index]?.address;
    return answerOf(value, address ?? {});
  }

  #ended({ status }: StatusChangeNotification): void {
    if (status.isGoodish()) return;
    const name = statusName(status);
    this.#options.keep(undefined);
    const code = codeOfStatus(name) === "denied" ? "denied" : "hung-up";
    throw new DeviceError(code, `${this.#options.place}: the server has ended the subscription: ${name}`);
  }

  #events(list: EventNotificationList): void {
    const { sink, points, records } = this.#options.subscription;
    for (const { clientHandle, eventFields } of list.events ?? []) {
      const record = records[clientHandle - points.length];
      if (record === undefined) continue;
      const [time, ...fields] = eventFields ?? [];
      const answers = record.fields.map(({ address }, i) => {
        const variant = fields[i];
        return variant === undefined ? undefined : fieldOf(variant, address);
      });
      const timeMs = time?.value instanceof Date ? time.value.getTime() : undefined;
      sink.record(
        clientHandle - points.length,
        answers,
        timeMs === undefined ? {} : { sourceTimeMs: timeMs },
      );
    }
  }

  /**
   * A record's trigger has changed: its fields are read together with the trigger, so that a newer one is not told
   * under the older one's name, and not twice.
   */
  async #triggered(kept: Kept, record: number, data: DataValue): Promise<void> {
    const { subscription, readNodes } = this.#options;
    const definition = subscription.records[record];
    const trigger = kept.items.records[record];
    if (definition === undefined || trigger === undefined || "code" in trigger) return;
    const isFirst = !kept.told.has(record);
    if (isNothing(answerOf(data, definition.address))) {
      kept.told.set(record, "");
      return;
    }
    const found = kept.items.fields[record] ?? [];
    const nodes = found.flatMap((one) => ("node" in one ? [one.node] : []));
    const [now = data, ...values] = await readNodes([trigger.node, ...nodes]);
    const answer = answerOf(now, definition.address);
    const key = String(typeof answer === "object" ? answer.value : answer);
    if (this.#isOver || isNothing(answer) || kept.told.get(record) === key) return;
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

  /** The server owes a sign of life at each keep-alive; two that are missing are one too many. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    const { settings, place } = this.#options;
    const waitMs = 2 * (this.#kept?.keepAliveMs ?? 0) + settings.timeout;
    if (this.#isOver) return;
    this.#watchdog = setTimeout(() => {
      this.#fail(
        new DeviceError("silent", `${place}: no sign of life of the subscription within ${waitMs} ms`),
      );
    }, waitMs);
  }
}

/** A weighing has an id, a counter above 0; before the first one there is nothing to tell. */
function isNothing(answer: Answer): boolean {
  const value = typeof answer === "object" ? answer.value : answer;
  return value === null || value === "" || value === 0 || value === false;
}

/** Numbers go round to 1, never to 0 (OPC 10000-4, 7.9). */
function after(sequence: number): number {
  return sequence === sequenceMax ? 1 : sequence + 1;
}

function distance(from: number, to: number): number {
  return to >= from ? to - from : to - from + sequenceMax;
}
