import { DeviceError, type Answer, type Subscription } from "../../gateway/driver.ts";
import type { Channel } from "./channel.ts";
import { codeOfStatus, statusName } from "./failures.ts";
import { createItems, findItems } from "./items.ts";
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
import { Records, type Kept, type Trigger } from "./records.ts";
import type { Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";
import { answerOf } from "./values.ts";

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
/** A timer that is set to more fires at once. */
const timerMaxMs = 2 ** 31 - 1;
/** A server that has no subscriptions, or none left: its points can still be polled. */
const isWithoutSubscriptions = /Bad(ServiceUnsupported|TooManySubscriptions|NotImplemented|NotSupported)\b/;
/** Where a record's item is refused for one of these, trying again changes nothing. */
const isLasting =
  /^(no-|unknown-)|^Bad(NodeId|NoMatch|Attribute|Filter|MonitoredItemFilter|Event|Deadband|Index|Browse|TypeDefinition|User|Not(Readable|Supported|Implemented|Found)|ServiceUnsupported|TooManyMonitoredItems|TooManyMatches)/;

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
  readonly #records: Records;
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
    this.#records = new Records(options, () => this.#isOver);
  }

  async run(fail: (error: unknown) => void): Promise<void> {
    this.#fail = fail;
    const { before, keep } = this.#options;
    const isResumed = before !== undefined && before.made === this.#made() && (await this.#resume(before));
    if (!isResumed) {
      if (before !== undefined) this.#delete(before.id);
      keep(undefined);
      if (!(await this.#create())) return;
    }
    if (this.#isOver) return;
    this.#watch();
    this.#publish();
    if (!isResumed) await this.#records.refresh(this.#kept?.id ?? 0);
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

  /** False: the server makes none, and all is polled. */
  async #create(): Promise<boolean> {
    const { settings, subscription, send, nodes, place, keep } = this.#options;
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
    const made = await send<CreateSubscriptionResponse>(request, subscription.signal).catch(
      (error: unknown) => this.#pollAll(error),
    );
    if (made === undefined) return false;
    const id = made.subscriptionId;
    const keepAliveMs = made.revisedPublishingInterval * made.revisedMaxKeepAliveCount;
    if (!Number.isFinite(keepAliveMs) || keepAliveMs < 0)
      throw new DeviceError("garbage", `${place}: a subscription with a keep-alive of ${keepAliveMs} ms`);
    this.#kept = { id, sequence: 0, keepAliveMs, made: this.#made(), items, told: new Map(), open: [] };
    // Aborted meanwhile: `end` has not seen it.
    if (this.#isOver) {
      this.#delete(id);
      return false;
    }
    keep(this.#kept);
    await createItems(id, subscription, items, nodes, send, (record, code) => this.#untold(record, code));
    for (const index of items.polled) if (!this.#isOver) subscription.sink.poll(index);
    return true;
  }

  #pollAll(error: unknown): undefined {
    const { subscription, log, place } = this.#options;
    const { message } = error as Error;
    const [code] = isWithoutSubscriptions.exec(message) ?? [];
    if (code === undefined || this.#isOver) throw error;
    for (const { name } of subscription.records) log(`${place} does not tell the record ${name}: ${code}`);
    subscription.points.forEach((_, index) => subscription.sink.poll(index));
    return undefined;
  }

  /** A record that is not told; where that may pass, the next connection tries again. */
  #untold(record: string, code: string): void {
    const { log, place, keep } = this.#options;
    const text = `${place} does not tell the record ${record}: ${code}`;
    if (isLasting.test(code)) return log(text);
    keep(undefined);
    if (this.#kept !== undefined) this.#delete(this.#kept.id);
    throw new DeviceError("hung-up", text);
  }

  /** Takes over a subscription that has gone on while nobody listened; false when the server has it no more. */
  async #resume(before: Kept): Promise<boolean> {
    const { subscription, log, place } = this.#options;
    const { sink, points } = subscription;
    this.#kept = before;
    const first = before.sequence;
    this.#owed = new Set(points.keys());
    await this.#records.tell(before);
    const outcome = await this.#republishAll(before);
    if (outcome === "gone" || this.#isOver) {
      this.#kept = undefined;
      this.#owed = undefined;
      return false;
    }
    log(`${place}: the session has been taken over, ${before.sequence - first} missed messages were fetched`);
    for (const index of before.items.polled) sink.poll(index);
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
    if (missing > sequenceMax / 2) {
      if (!isData) return this.#options.subscription.sink.alive();
      this.#options.keep(undefined);
      throw new DeviceError(
        "hung-up",
        `${this.#options.place}: message ${sequenceNumber} behind message ${kept.sequence}`,
      );
    }
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
    const triggers: Trigger[] = [];
    const values: { index: number; answer: Answer }[] = [];
    for (const data of message.notificationData ?? []) {
      if (data instanceof StatusChangeNotification) this.#ended(data);
      else if (data instanceof EventNotificationList) this.#records.events(data);
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
    // Told is told, whatever becomes of the reading of records: a later connection goes on behind it.
    kept.sequence = message.sequenceNumber;
    this.#acknowledge.push(message.sequenceNumber);
    kept.open.push(...triggers);
    await this.#records.tell(kept);
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

  /** The server owes a sign of life at each keep-alive; two that are missing are one too many. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    const { settings, place } = this.#options;
    const waitMs = Math.min(2 * (this.#kept?.keepAliveMs ?? 0) + settings.timeout, timerMaxMs);
    if (this.#isOver) return;
    this.#watchdog = setTimeout(() => {
      this.#fail(
        new DeviceError("silent", `${place}: no sign of life of the subscription within ${waitMs} ms`),
      );
    }, waitMs);
  }
}

/** Numbers go round to 1, never to 0 (OPC 10000-4, 7.9). */
function after(sequence: number): number {
  return sequence === sequenceMax ? 1 : sequence + 1;
}

function distance(from: number, to: number): number {
  return to >= from ? to - from : to - from + sequenceMax;
}
