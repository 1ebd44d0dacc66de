import { DeviceError } from "../../gateway/driver.ts";
import { addressing, lostBy, pathOf, type Camera, type SoapReply } from "./camera.ts";
import { timeMsOf } from "./clock.ts";
import { notificationsOf, type Notification } from "./events.ts";
import { at, escape, SoapFault, textAt } from "./soap.ts";

/** A pull point: a subscription that the camera keeps for us, and that is asked again and again. */

const eventsNamespace = "http://www.onvif.org/ver10/events/wsdl";
const notification = "http://docs.oasis-open.org/wsn/b-2";
const actions = {
  create: `${eventsNamespace}/EventPortType/CreatePullPointSubscriptionRequest`,
  pull: `${eventsNamespace}/PullPointSubscription/PullMessagesRequest`,
  renew: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
  unsubscribe: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
};

const referencesMax = 4;
/** A camera that answers at once with nothing is asked no more often than this. */
const emptyPauseMs = 1000;
const pauseMs = 20;
/** Time for one more request before the end. */
const marginMs = 2000;
/** What is there is answered at once, so this is only waited for when there is nothing. */
const drainHoldMs = 1000;
const drainRoundsMax = 50;
const unsubscribeMs = 600;
/** A deviation of the event clock that whole seconds and the way here do not explain. */
const skewShownMs = 2500;

/** Reference parameters of a subscription's address, to be sent back with each message to it. */
export function references(xml: string): string {
  // In two steps: a pattern that looks for both ends at once takes seconds for a hostile text.
  const start = /<(?:[\w.-]{1,50}:)?ReferenceParameters[^<>]{0,500}>/.exec(xml);
  const from = start === null ? xml.length : start.index + start[0].length;
  const [inner = ""] = xml.slice(from, from + 4000).split(/<\/(?:[\w.-]{1,50}:)?ReferenceParameters>/, 1);
  let found = "";
  let count = 0;
  for (const match of inner.matchAll(
    /<(?:([\w.-]{1,50}):)?([\w.-]{1,100})([^<>]{0,500})>([^<>]{0,500})<\//g,
  )) {
    if (count++ === referencesMax) break;
    const [, prefix, name = "", attributes = "", text = ""] = match;
    const declared = prefix === undefined ? "xmlns" : `xmlns:${prefix}`;
    const pattern = new RegExp(`${declared.replaceAll(".", "\\.")}\\s*=\\s*["']([^"'<>]{1,200})["']`);
    const uri = (pattern.exec(attributes) ?? pattern.exec(xml))?.[1];
    if (uri === undefined) continue;
    found += `<k:${name} xmlns:k="${uri}" wsa:IsReferenceParameter="true">${text}</k:${name}>`;
  }
  return found;
}

/** What one pull brought. */
interface Pulled {
  readonly notifications: readonly Notification[];
  readonly hasMore: boolean;
  readonly clockMs: number | undefined;
  /** The camera has not held the answer. */
  readonly isQuick: boolean;
}

/** One subscription at one camera. Ends with `unsubscribe`, which the camera needs: it has few of them. */
export class PullPoint {
  readonly #camera: Camera;
  readonly #path: string;
  readonly #to: string;
  readonly #references: string;
  /** When the camera will end it, by `performance.now()`. */
  #endsMs = 0;
  #marginMs = 0;
  #canRenew = true;
  #canBeFollowed = true;

  private constructor(camera: Camera, path: string, to: string, { body, xml }: SoapReply) {
    this.#camera = camera;
    this.#path = path;
    this.#to = to;
    this.#references = references(xml);
    this.#granted(at(body, "CreatePullPointSubscriptionResponse"));
  }

  /** Asks the camera for a subscription. Throws `SoapFault` and `DeviceError`. */
  static async create(camera: Camera, signal: AbortSignal): Promise<PullPoint> {
    const path = await camera.path("events", signal);
    if (path === undefined)
      throw new DeviceError("unsupported", `${camera.place}: the camera has no event service`);
    const reply = await camera.post(
      path,
      actions.create,
      `<CreatePullPointSubscription xmlns="${eventsNamespace}">` +
        `<InitialTerminationTime>${terminationOf(camera)}</InitialTerminationTime></CreatePullPointSubscription>`,
      { signal, header: addressing(actions.create, camera.url(path)) },
    );
    const reference = at(reply.body, "CreatePullPointSubscriptionResponse", "SubscriptionReference");
    const to = textAt(reference, "Address");
    if (to === undefined)
      throw new DeviceError("garbage", `${camera.place}: a subscription without an address`);
    return new PullPoint(camera, pathOf(to) ?? path, to, reply);
  }

  /** What a camera grants. Both times are its own, so its clock does not matter. */
  #granted(response: unknown): void {
    const { lifetime, timeout } = this.#camera.settings;
    const leftMs = Math.min(leftIn(response) ?? lifetime, lifetime * 2);
    this.#endsMs = performance.now() + leftMs;
    this.#marginMs = Math.min(timeout + marginMs, leftMs / 2);
  }

  /** Something is to be done about its end. */
  get isEnding(): boolean {
    return performance.now() >= this.#endsMs - this.#marginMs;
  }

  /** A camera that ends a subscription while it holds the answer would lose what it has for us. */
  get #holdMs(): number {
    const { pull } = this.#camera.settings;
    const leftMs = this.#endsMs - (this.isEnding ? 0 : this.#marginMs) - performance.now();
    // Some cameras know whole seconds only.
    const wholeMs = leftMs > 1000 ? Math.ceil(leftMs / 1000) * 1000 : Math.max(leftMs, 500);
    return Math.min(pull, wholeMs);
  }

  /** Waits for events; `undefined` as clock: the camera does not say what time it has. */
  async pull(signal: AbortSignal, holdMs = this.#holdMs): Promise<Pulled> {
    const { timeout, batch, lifetime } = this.#camera.settings;
    const sentMs = performance.now();
    const reply = await this.#send(
      actions.pull,
      `<PullMessages xmlns="${eventsNamespace}"><Timeout>PT${holdMs / 1000}S</Timeout>` +
        `<MessageLimit>${batch}</MessageLimit></PullMessages>`,
      signal,
      holdMs + timeout,
    );
    const response = at(reply.body, "PullMessagesResponse");
    if (response === undefined)
      throw new DeviceError("garbage", `${this.#camera.place}: the answer to PullMessages is another one`);
    const leftMs = leftIn(response);
    if (leftMs !== undefined) this.#endsMs = performance.now() + Math.min(leftMs, lifetime * 2);
    const notifications = notificationsOf(response, reply.xml);
    return {
      notifications,
      hasMore: notifications.length >= batch,
      clockMs: timeMsOf(textAt(response, "CurrentTime")),
      isQuick: performance.now() - sentMs < Math.min(holdMs, emptyPauseMs),
    };
  }

  /** Puts the end off; false: the camera cannot do so. Throws what ends the connection. */
  async renew(signal: AbortSignal): Promise<boolean> {
    if (!this.#canRenew) return false;
    try {
      const { body } = await this.#send(
        actions.renew,
        `<Renew xmlns="${notification}"><TerminationTime>${terminationOf(this.#camera)}</TerminationTime></Renew>`,
        signal,
        this.#camera.settings.timeout,
      );
      this.#granted(at(body, "RenewResponse"));
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      this.#canRenew = false;
    }
    return this.#canRenew;
  }

  /**
   * A second subscription to take the place of one that is about to end, so that nothing falls between them;
   * undefined: the camera has no room for two. Throws what ends the connection.
   */
  async follower(signal: AbortSignal): Promise<PullPoint | undefined> {
    if (!this.#canBeFollowed) return undefined;
    try {
      return await PullPoint.create(this.#camera, signal);
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      this.#canBeFollowed = false;
      return undefined;
    }
  }

  /** Gives the subscription back. Never throws, and takes no longer than a close may. */
  async unsubscribe(signal: AbortSignal): Promise<void> {
    const body = `<Unsubscribe xmlns="${notification}"/>`;
    await this.#send(actions.unsubscribe, body, signal, unsubscribeMs).catch(() => {});
  }

  #send(action: string, body: string, signal: AbortSignal, timeoutMs: number): Promise<SoapReply> {
    const header = addressing(action, this.#to, this.#references);
    return this.#camera.post(this.#path, action, body, { signal, timeoutMs, header });
  }
}

/** How long a subscription still lasts, ms; undefined: the camera does not tell both times. */
function leftIn(response: unknown): number | undefined {
  const now = timeMsOf(textAt(response, "CurrentTime"));
  const end = timeMsOf(textAt(response, "TerminationTime"));
  return now === undefined || end === undefined ? undefined : Math.max(0, end - now);
}

function terminationOf({ settings, skewMs = 0 }: Camera): string {
  if (settings.termination === "relative") return escape(`PT${Math.ceil(settings.lifetime / 1000)}S`);
  const end = new Date(Date.now() + skewMs + settings.lifetime);
  return end.toISOString().replace(/\.\d+Z$/, "Z");
}

/** Where notifications go, with how far the camera's clock was ahead when it sent them, ms. */
export type Hear = (notifications: readonly Notification[], skewMs: number) => void;

/**
 * Pulls until the signal aborts. `own` holds the subscriptions that the camera keeps for us. Rejects with the
 * `DeviceError` that ends the connection; nothing is tried again here, so a camera that refuses is asked no more
 * often than the host connects.
 */
export async function pullOn(
  camera: Camera,
  own: Set<PullPoint>,
  hear: Hear,
  signal: AbortSignal,
): Promise<void> {
  let what = "CreatePullPointSubscription";
  const twice = new Twice();
  const take = ({ notifications, clockMs }: Pulled): void =>
    hear(notifications, eventSkewMs(camera, clockMs));
  try {
    let point = await PullPoint.create(camera, signal);
    own.add(point);
    for (;;) {
      what = "PullMessages";
      const pulled = await point.pull(signal);
      take({ ...pulled, notifications: twice.without(pulled) });
      if (pulled.isQuick) await pause(pulled.notifications.length === 0 ? emptyPauseMs : pauseMs, signal);
      if (!point.isEnding) continue;
      what = "Renew";
      if (!(await point.renew(signal))) {
        const next = await point.follower(signal);
        // The only one that there can be is used until the camera says that it is over.
        if (next === undefined) continue;
        own.add(next);
        if (next.isEnding) throw new DeviceError("rejected", `${camera.place}: subscriptions of no length`);
        what = "PullMessages before the end";
        for (let round = 0, hasMore = true; hasMore && round < drainRoundsMax; round++) {
          const last = await point.pull(signal, drainHoldMs);
          twice.add(last.notifications);
          take(last);
          ({ hasMore } = last);
        }
        await point.unsubscribe(signal);
        own.delete(point);
        point = next;
      }
      // A camera that grants less than one round would be renewed without end.
      if (point.isEnding) await pause(emptyPauseMs, signal);
    }
  } catch (error) {
    throw lostBy(error, camera.place, what);
  }
}

/** What two subscriptions have both been told while one takes the place of the other. */
class Twice {
  readonly #heard = new Map<string, number>();

  add(notifications: readonly Notification[]): void {
    for (const one of notifications) {
      const key = keyOf(one);
      this.#heard.set(key, (this.#heard.get(key) ?? 0) + 1);
    }
  }

  /** Without what the other one has told before; that is over when this one has told all that it had. */
  without({ notifications, hasMore }: Pulled): readonly Notification[] {
    if (this.#heard.size === 0) return notifications;
    const fresh = notifications.filter((one) => {
      const count = this.#heard.get(keyOf(one)) ?? 0;
      if (count > 0) this.#heard.set(keyOf(one), count - 1);
      return count === 0;
    });
    if (!hasMore) this.#heard.clear();
    return fresh;
  }
}

function keyOf({ topic, phase, timeMs, items: { source, key, data } }: Notification): string {
  return JSON.stringify([topic, phase, timeMs, [...source], [...key], [...data]]);
}

/** Events are stamped by the clock that the event service tells, which need not be that of the device service. */
function eventSkewMs(camera: Camera, clockMs: number | undefined): number {
  const skewMs = clockMs === undefined ? (camera.skewMs ?? 0) : clockMs - Date.now();
  return Math.abs(skewMs) < skewShownMs ? 0 : skewMs;
}

function pause(forMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const giveUp = (): void => reject(new DeviceError("aborted", "given up"));
  if (signal.aborted) giveUp();
  const timer = setTimeout(resolve, forMs);
  signal.addEventListener("abort", giveUp, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  });
}
