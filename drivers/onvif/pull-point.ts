import { DeviceError } from "../../gateway/driver.ts";
import { addressing, lostBy, pathOf, type Camera, type SoapReply } from "./camera.ts";
import { timeMsOf } from "./clock.ts";
import { notificationsOf, type Notification } from "./events.ts";
import { at, escape, isTree, SoapFault, textAt } from "./soap.ts";

/** A pull point: a subscription that the camera keeps for us, and that is asked again and again. */

const eventsNamespace = "http://www.onvif.org/ver10/events/wsdl";
const notification = "http://docs.oasis-open.org/wsn/b-2";
const actions = {
  create: `${eventsNamespace}/EventPortType/CreatePullPointSubscriptionRequest`,
  pull: `${eventsNamespace}/PullPointSubscription/PullMessagesRequest`,
  renew: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/RenewRequest",
  unsubscribe: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
};

const messagesMax = 50;
const referencesMax = 4;
/** A camera that answers at once with nothing is asked no more often than this. */
const emptyPauseMs = 1000;
const pauseMs = 20;
/** Time for one more pull before the end. */
const marginMs = 2000;
/** A deviation of the event clock that whole seconds and the way here do not explain. */
const skewShownMs = 2500;

/** Reference parameters of a subscription's address, to be sent back with each message to it. */
function references(xml: string): string {
  const [, inner = ""] =
    /<(?:[\w.-]+:)?ReferenceParameters[^>]*>([^]{0,4000}?)<\/(?:[\w.-]+:)?ReferenceParameters>/.exec(xml) ??
    [];
  let found = "";
  let count = 0;
  for (const match of inner.matchAll(/<(?:([\w.-]+):)?([\w.-]+)([^<>]{0,500})>([^<>]{0,500})<\//g)) {
    const [, prefix, name = "", attributes = "", text = ""] = match;
    const declared = prefix === undefined ? "xmlns" : `xmlns:${prefix}`;
    const pattern = new RegExp(`${declared.replaceAll(".", "\\.")}\\s*=\\s*["']([^"'<>]{1,200})["']`);
    const uri = (pattern.exec(attributes) ?? pattern.exec(xml))?.[1];
    if (uri === undefined || count++ === referencesMax) continue;
    found += `<k:${name} xmlns:k="${uri}" wsa:IsReferenceParameter="true">${text}</k:${name}>`;
  }
  return found;
}

/** One subscription at one camera. Ends with `unsubscribe`, which the camera needs: it has few of them. */
export class PullPoint {
  readonly #camera: Camera;
  readonly #path: string;
  readonly #to: string;
  readonly #references: string;
  /** When the camera will end it, by `performance.now()`. */
  #endsMs: number;
  #canRenew = true;

  private constructor(camera: Camera, path: string, to: string, { body, xml }: SoapReply) {
    this.#camera = camera;
    this.#path = path;
    this.#to = to;
    this.#references = references(xml);
    this.#endsMs = this.#endOf(at(body, "CreatePullPointSubscriptionResponse"));
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
      { signal, header: addressing(actions.create, `http://${camera.place}${path}`) },
    );
    const reference = at(reply.body, "CreatePullPointSubscriptionResponse", "SubscriptionReference");
    const to = textAt(reference, "Address");
    if (to === undefined)
      throw new DeviceError("garbage", `${camera.place}: a subscription without an address`);
    return new PullPoint(camera, pathOf(to) ?? path, to, reply);
  }

  /** Both times are the camera's, so its clock does not matter. */
  #endOf(response: unknown): number {
    const now = timeMsOf(textAt(response, "CurrentTime"));
    const end = timeMsOf(textAt(response, "TerminationTime"));
    const { lifetime } = this.#camera.settings;
    const leftMs = now === undefined || end === undefined ? lifetime : end - now;
    return performance.now() + Math.min(Math.max(leftMs, 0), lifetime * 2);
  }

  get isEnding(): boolean {
    return performance.now() > this.#endsMs - this.#camera.settings.timeout - marginMs;
  }

  /** Waits for events; `undefined` as skew: the camera does not say what time it has. */
  async pull(
    signal: AbortSignal,
  ): Promise<{ notifications: Notification[]; clockMs: number | undefined; isQuick: boolean }> {
    const { pull, timeout, lifetime } = this.#camera.settings;
    // A camera that ends a subscription while it holds the answer would lose what it has for us.
    const holdMs = Math.min(pull, Math.max(500, lifetime / 2));
    const sentMs = performance.now();
    const reply = await this.#send(
      actions.pull,
      `<PullMessages xmlns="${eventsNamespace}"><Timeout>PT${holdMs / 1000}S</Timeout>` +
        `<MessageLimit>${messagesMax}</MessageLimit></PullMessages>`,
      signal,
      holdMs + timeout,
    );
    const response = at(reply.body, "PullMessagesResponse");
    if (response === undefined)
      throw new DeviceError("garbage", `${this.#camera.place}: the answer to PullMessages is another one`);
    if (isTree(response) && textAt(response, "TerminationTime") !== undefined)
      this.#endsMs = this.#endOf(response);
    return {
      notifications: notificationsOf(response, reply.xml),
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
      this.#endsMs = this.#endOf(at(body, "RenewResponse"));
    } catch (error) {
      if (!(error instanceof SoapFault)) throw error;
      this.#canRenew = false;
    }
    return this.#canRenew;
  }

  /** Gives the subscription back. Throws what the call throws. */
  async unsubscribe(signal: AbortSignal, timeoutMs: number): Promise<void> {
    await this.#send(actions.unsubscribe, `<Unsubscribe xmlns="${notification}"/>`, signal, timeoutMs);
  }

  #send(action: string, body: string, signal: AbortSignal, timeoutMs: number): Promise<SoapReply> {
    const header = addressing(action, this.#to, this.#references);
    return this.#camera.post(this.#path, action, body, { signal, timeoutMs, header });
  }
}

function terminationOf({ settings, skewMs = 0 }: Camera): string {
  if (settings.termination === "relative") return escape(`PT${Math.ceil(settings.lifetime / 1000)}S`);
  const end = new Date(Date.now() + skewMs + settings.lifetime);
  return end.toISOString().replace(/\.\d+Z$/, "Z");
}

/** Where notifications go, with how far the camera's clock was ahead when it sent them, ms. */
export type Hear = (notifications: readonly Notification[], skewMs: number) => void;

/**
 * Pulls until the signal aborts. `own` holds the subscription while there is one. Rejects with the `DeviceError`
 * that ends the connection; nothing is tried again here, so a camera that refuses is asked no more often than the
 * host connects.
 */
export async function pullOn(
  camera: Camera,
  own: { pullPoint: PullPoint | undefined },
  hear: Hear,
  signal: AbortSignal,
): Promise<void> {
  let what = "CreatePullPointSubscription";
  try {
    own.pullPoint = await PullPoint.create(camera, signal);
    for (;;) {
      what = "PullMessages";
      const { notifications, clockMs, isQuick } = await own.pullPoint.pull(signal);
      hear(notifications, eventSkewMs(camera, clockMs));
      if (isQuick) await pause(notifications.length === 0 ? emptyPauseMs : pauseMs, signal);
      if (!own.pullPoint.isEnding) continue;
      what = "Renew";
      // One that cannot be renewed is used until the camera says that it is over.
      const isRenewed = await own.pullPoint.renew(signal);
      // A camera that grants less than one round would be renewed without end.
      if (isRenewed && own.pullPoint.isEnding) await pause(emptyPauseMs, signal);
    }
  } catch (error) {
    throw lostBy(error, camera.place, what);
  }
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
