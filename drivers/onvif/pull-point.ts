import { DeviceError } from "../../gateway/driver.ts";
import { addressing, portOf, type Endpoint } from "./addresses.ts";
import type { Camera, SoapReply } from "./camera.ts";
import { durationMs, timeMsOf } from "./clock.ts";
import { notificationsOf, type Notification } from "./events.ts";
import { at, SoapFault, textAt } from "./soap.ts";

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
export const emptyPauseMs = 1000;
/** Time for one more request before the end. */
const marginMs = 2000;
const unsubscribeMs = 600;
/** Times come in whole seconds. */
const leastLeftMs = 1000;

/** How the end of a subscription is written. */
type Form = "absolute" | "relative" | "none";
/** Faults that may be about that, in the codes of ONVIF, of WS-BaseNotification and of those that have none. */
const endFault = /^(Unacceptable\w*TerminationTime\w*|InvalidArg\w*|Sender|Client|HTTP-400)$/;

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
export interface Pulled {
  readonly notifications: readonly Notification[];
  readonly hasMore: boolean;
  readonly characters: number;
  readonly clockMs: number | undefined;
  /** The camera has not held the answer. */
  readonly isQuick: boolean;
}

/** One subscription at one camera. Ends with `unsubscribe`, which the camera needs: it has few of them. */
export class PullPoint {
  readonly #camera: Camera;
  readonly #at: Endpoint;
  readonly #to: string;
  readonly #references: string;
  #form: Form;
  /** What a technician should know when it does not answer. */
  readonly hint: string;
  /** When the camera will end it, by `performance.now()`. */
  #endsMs = 0;
  #marginMs = 0;
  #batch: number;
  #holdMsMax = Infinity;
  #canRenew = true;
  #canBeFollowed = true;

  private constructor(camera: Camera, place: Endpoint, to: string, form: Form, { body, xml }: SoapReply) {
    this.#camera = camera;
    this.#at = place;
    this.#to = to;
    this.#form = form;
    this.#batch = camera.settings.batch;
    this.#references = references(xml);
    this.#granted(at(body, "CreatePullPointSubscriptionResponse"));
    const named = portOf(to);
    this.hint =
      named === undefined || named === place.port
        ? ""
        : ` (the camera named port ${named} for its events, and ${place.port} was asked; if it is its own, write "ports: [${named}]")`;
  }

  /** Asks the camera for a subscription, in each way to write its end. Throws `SoapFault` and `DeviceError`. */
  static async create(camera: Camera, signal: AbortSignal, known?: Form): Promise<PullPoint> {
    const { termination } = camera.settings;
    const first = known ?? termination;
    const forms = [first, ...(["absolute", "relative", "none"] as const).filter((one) => one !== first)];
    for (const [i, form] of forms.entries()) {
      try {
        return await PullPoint.#createWith(camera, form, signal);
      } catch (error) {
        const mayBeTheEnd = error instanceof SoapFault && endFault.test(error.code);
        if (!mayBeTheEnd || i === forms.length - 1) throw error;
      }
    }
    throw new DeviceError("unsupported", `${camera.place}: no way to subscribe`);
  }

  static async #createWith(camera: Camera, form: Form, signal: AbortSignal): Promise<PullPoint> {
    const service = await camera.service("events", signal);
    if (service === undefined)
      throw new DeviceError("unsupported", `${camera.place}: the camera has no event service`);
    const end =
      form === "none"
        ? ""
        : `<InitialTerminationTime>${terminationOf(camera, form)}</InitialTerminationTime>`;
    const reply = await camera.post(
      service,
      actions.create,
      `<CreatePullPointSubscription xmlns="${eventsNamespace}">${end}</CreatePullPointSubscription>`,
      { signal, header: addressing(actions.create, camera.url(service)) },
    );
    const to = textAt(reply.body, "CreatePullPointSubscriptionResponse", "SubscriptionReference", "Address");
    if (to === undefined)
      throw new DeviceError("garbage", `${camera.place}: a subscription without an address`);
    return new PullPoint(camera, camera.endpoint(to) ?? service, to, form, reply);
  }

  /** What a camera grants. Both times are its own, so its clock does not matter. */
  #granted(response: unknown): void {
    const { lifetime, timeout } = this.#camera.settings;
    const leftMs = leftIn(response, lifetime) ?? lifetime;
    this.#endsMs = performance.now() + leftMs;
    this.#marginMs = Math.min(timeout + marginMs, leftMs / 2);
  }

  /** Something is to be done about its end. */
  get isEnding(): boolean {
    return performance.now() >= this.#endsMs - this.#marginMs;
  }

  /** A camera that ends a subscription while it holds the answer would lose what it has for us. */
  get #holdMs(): number {
    const pull = Math.min(this.#camera.settings.pull, this.#holdMsMax);
    const leftMs = this.#endsMs - (this.isEnding ? 0 : this.#marginMs) - performance.now();
    // Some cameras know whole seconds only.
    const wholeMs = leftMs > 1000 ? Math.ceil(leftMs / 1000) * 1000 : Math.max(leftMs, 500);
    return Math.min(pull, wholeMs);
  }

  /** Waits for events; `undefined` as clock: the camera does not say what time it has. */
  async pull(signal: AbortSignal, wantedMs?: number): Promise<Pulled> {
    try {
      return await this.#pullOnce(signal, wantedMs ?? this.#holdMs);
    } catch (error) {
      // It says how long it can wait, and how much it can give at once (ONVIF Core, PullMessagesFaultResponse).
      const limits = error instanceof SoapFault ? at(error.detail, "PullMessagesFaultResponse") : undefined;
      const holdMs = durationMs(textAt(limits, "MaxTimeout"));
      const most = Number(textAt(limits, "MaxMessageLimit"));
      if (holdMs === undefined && !(most >= 1)) throw error;
      if (holdMs !== undefined) this.#holdMsMax = holdMs;
      if (most >= 1) this.#batch = Math.min(this.#batch, Math.floor(most));
      return this.#pullOnce(signal, Math.min(wantedMs ?? this.#holdMs, this.#holdMsMax));
    }
  }

  async #pullOnce(signal: AbortSignal, holdMs: number): Promise<Pulled> {
    const { timeout, lifetime } = this.#camera.settings;
    const batch = this.#batch;
    const sentMs = performance.now();
    const reply = await this.#send(
      actions.pull,
      `<PullMessages xmlns="${eventsNamespace}"><Timeout>PT${Math.round(holdMs) / 1000}S</Timeout>` +
        `<MessageLimit>${batch}</MessageLimit></PullMessages>`,
      signal,
      holdMs + timeout,
    );
    const response = at(reply.body, "PullMessagesResponse");
    if (response === undefined)
      throw new DeviceError("garbage", `${this.#camera.place}: the answer to PullMessages is another one`);
    const leftMs = leftIn(response, lifetime);
    if (leftMs !== undefined) this.#endsMs = performance.now() + leftMs;
    // One that still answers has not ended: it lives on by being asked.
    else if (performance.now() > this.#endsMs) this.#endsMs = performance.now() + lifetime;
    const notifications = notificationsOf(response, reply.xml);
    return {
      notifications,
      hasMore: notifications.length >= batch,
      characters: reply.xml.length,
      clockMs: timeMsOf(textAt(response, "CurrentTime")),
      isQuick: performance.now() - sentMs < Math.min(holdMs, emptyPauseMs),
    };
  }

  /** Puts the end off; false: the camera cannot do so. Throws what ends the connection. */
  async renew(signal: AbortSignal): Promise<boolean> {
    if (!this.#canRenew) return false;
    const form = this.#form === "none" ? this.#camera.settings.termination : this.#form;
    for (const one of [form, form === "absolute" ? "relative" : "absolute"] as const) {
      try {
        const { body } = await this.#send(
          actions.renew,
          `<Renew xmlns="${notification}"><TerminationTime>${terminationOf(this.#camera, one)}</TerminationTime></Renew>`,
          signal,
          this.#camera.settings.timeout,
        );
        this.#granted(at(body, "RenewResponse"));
        this.#form = one;
        return true;
      } catch (error) {
        if (!(error instanceof SoapFault)) throw error;
        if (!endFault.test(error.code)) break;
      }
    }
    this.#canRenew = false;
    return false;
  }

  /**
   * A second subscription to take the place of one that is about to end, so that nothing falls between them;
   * undefined: the camera has no room for two. Throws what ends the connection.
   */
  async follower(signal: AbortSignal): Promise<PullPoint | undefined> {
    if (!this.#canBeFollowed) return undefined;
    try {
      return await PullPoint.create(this.#camera, signal, this.#form);
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
    return this.#camera.post(this.#at, action, body, { signal, timeoutMs, header });
  }
}

/**
 * How long a subscription still lasts, ms; undefined: the camera does not tell both times, or not so that they can
 * be believed: some write one of them as local time, or the same time twice.
 */
function leftIn(response: unknown, lifetimeMs: number): number | undefined {
  const now = timeMsOf(textAt(response, "CurrentTime"));
  const end = timeMsOf(textAt(response, "TerminationTime"));
  if (now === undefined || end === undefined) return undefined;
  const leftMs = end - now;
  return leftMs >= leastLeftMs && leftMs < lifetimeMs + leastLeftMs ? leftMs : undefined;
}

function terminationOf({ settings, skewMs = 0 }: Camera, form: "absolute" | "relative"): string {
  if (form === "relative") return `PT${Math.ceil(settings.lifetime / 1000)}S`;
  const end = new Date(Date.now() + skewMs + settings.lifetime);
  return end.toISOString().replace(/\.\d+Z$/, "Z");
}
