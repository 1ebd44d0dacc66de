import { child, fault, tag, text, words, type Request } from "./xml.ts";
import type { Happening } from "./model.ts";

/** The subscriptions of the camera: a few queues, each asked by one client. */

const queueMax = 200;
/** A camera of the trade has room for about so many. */
const pullPointsMax = 5;
const lifetimeMs = 60_000;

interface PullPoint {
  id: string;
  endsMs: number;
  queue: Happening[];
  wake: (() => void) | undefined;
}

/** "PT1M30S" or a dateTime of the camera's clock as time from now, ms; undefined: neither. */
function spanOf(given: string, nowMs: number): number | undefined {
  const [whole, minutes = "0", seconds = "0"] = /^PT(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(given) ?? [];
  const spanMs =
    whole === undefined ? Date.parse(given) - nowMs : (Number(minutes) * 60 + Number(seconds)) * 1000;
  return Number.isFinite(spanMs) && spanMs > 0 && spanMs <= 24 * 3_600_000 ? spanMs : undefined;
}

const stamp = (timeMs: number): string => new Date(timeMs).toISOString().replace(/\.\d+Z/, "Z");

function rendered({ topic, operation, timeMs, items }: Happening): string {
  const part = (name: string): string => {
    const mine = items.filter((item) => item.part === name);
    const simple = mine.filter((item) => !item.name.includes("/"));
    const trees = Map.groupBy(
      mine.filter((item) => item.name.includes("/")),
      (item) => item.name.split("/")[0] ?? "",
    );
    const inner =
      simple
        .map((item) => `<tt:SimpleItem Name="${text(item.name)}" Value="${text(item.value)}"/>`)
        .join("") +
      [...trees]
        .map(([element, leaves]) => {
          const children = leaves.map((leaf) => {
            const names = leaf.name.split("/").slice(1);
            return names.reduceRight((xml, one) => tag(`tt:${one}`, xml), text(leaf.value));
          });
          return tag("tt:ElementItem", tag(`tt:${element}`, children.join("")), { Name: element });
        })
        .join("");
    return mine.length === 0 && name !== "Source" ? "" : tag(`tt:${name}`, inner);
  };
  const message = tag("tt:Message", part("Source") + part("Key") + part("Data"), {
    UtcTime: new Date(timeMs).toISOString(),
    ...(operation === undefined ? {} : { PropertyOperation: operation }),
  });
  const dialect = { Dialect: "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet" };
  return tag(
    "wsnt:NotificationMessage",
    tag("wsnt:Topic", `tns1:${text(topic)}`, dialect) + tag("wsnt:Message", message),
  );
}

/** What the faults of a camera change in its answers. */
export interface Quirks {
  refusesCreate: boolean;
  refusesPull: boolean;
  refusesRenew: boolean;
  /** Refuses Renew, and has room for one subscription. */
  hasRoomForOne: boolean;
  hidesTime: boolean;
  answersAtOnce: boolean;
}

export class PullPoints {
  readonly #open = new Map<string, PullPoint>();
  readonly #hasParameters: boolean;
  #nextId = 1;
  readonly counts = { created: 0, refused: 0, pulls: 0, renewed: 0, unsubscribed: 0 };

  /** `hasParameters`: one address for all, told apart by a reference parameter. */
  constructor(hasParameters: boolean) {
    this.#hasParameters = hasParameters;
  }

  get size(): number {
    this.#expire();
    return this.#open.size;
  }

  tell(happening: Happening): void {
    for (const point of this.#open.values()) {
      point.queue = [...point.queue, happening].slice(-queueMax);
      point.wake?.();
    }
  }

  /** Every subscription is forgotten, as after a reboot. */
  lose(): void {
    for (const { wake } of this.#open.values()) wake?.();
    this.#open.clear();
  }

  #expire(): void {
    for (const [id, { endsMs }] of this.#open) if (endsMs < performance.now()) this.#open.delete(id);
  }

  create(request: Request, base: string, initial: Happening[], nowMs: number, quirks: Quirks): string {
    this.counts.created++;
    if (quirks.refusesCreate || this.size >= (quirks.hasRoomForOne ? 1 : pullPointsMax)) {
      this.counts.refused++;
      return fault("ter:CriticalError", "maximum number of pull points reached", "env:Receiver");
    }
    const wanted = child(request.body, "InitialTerminationTime");
    const spanMs =
      wanted === undefined ? lifetimeMs : spanOf(words(request.body, "InitialTerminationTime"), nowMs);
    if (spanMs === undefined) return fault("wsnt:UnacceptableInitialTerminationTimeFault", "no such time");
    const id = String(this.#nextId++);
    this.#open.set(id, { id, endsMs: performance.now() + spanMs, queue: initial, wake: undefined });
    const reference = this.#hasParameters
      ? tag("wsa5:Address", `${base}/onvif/services`) +
        tag(
          "wsa5:ReferenceParameters",
          `<dom0:SubscriptionId xmlns:dom0="http://camera.example/events">${id}</dom0:SubscriptionId>`,
        )
      : tag("wsa5:Address", `${base}/onvif/Subscription?Idx=${id}`);
    return tag(
      "tev:CreatePullPointSubscriptionResponse",
      tag("tev:SubscriptionReference", reference) +
        tag("wsnt:CurrentTime", stamp(nowMs)) +
        tag("wsnt:TerminationTime", stamp(nowMs + spanMs)),
    );
  }

  #find(request: Request, url: string): PullPoint | undefined {
    this.#expire();
    const id = this.#hasParameters
      ? words(request.header, "SubscriptionId")
      : (/[?&]Idx=(\d+)/.exec(url)?.[1] ?? "");
    return this.#open.get(id);
  }

  async pull(request: Request, url: string, now: () => number, quirks: Quirks): Promise<string> {
    this.counts.pulls++;
    const point = this.#find(request, url);
    if (point === undefined || quirks.refusesPull)
      return fault("wsrf-rw:ResourceUnknownFault", "no such subscription");
    const holdMs = spanOf(words(request.body, "Timeout"), 0) ?? 1000;
    if (point.queue.length === 0 && !quirks.answersAtOnce) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(holdMs, 60_000)).unref();
        point.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      point.wake = undefined;
    }
    const messages = point.queue.splice(0, Math.min(Number(child(request.body, "MessageLimit")) || 1, 50));
    const times = tag("tev:CurrentTime", stamp(now()));
    return tag(
      "tev:PullMessagesResponse",
      (quirks.hidesTime ? "" : times) +
        tag("tev:TerminationTime", stamp(now() + Math.max(0, point.endsMs - performance.now()))) +
        messages.map(rendered).join(""),
    );
  }

  renew(request: Request, url: string, nowMs: number, quirks: Quirks): string {
    const point = this.#find(request, url);
    const spanMs = spanOf(words(request.body, "TerminationTime"), nowMs);
    if (quirks.refusesRenew || quirks.hasRoomForOne)
      return fault("ter:ActionNotSupported", "no such action", "env:Receiver");
    if (point === undefined) return fault("wsrf-rw:ResourceUnknownFault", "no such subscription");
    if (spanMs === undefined) return fault("wsnt:UnacceptableTerminationTimeFault", "no such time");
    this.counts.renewed++;
    point.endsMs = performance.now() + spanMs;
    return tag(
      "wsnt:RenewResponse",
      tag("wsnt:TerminationTime", stamp(nowMs + spanMs)) + tag("wsnt:CurrentTime", stamp(nowMs)),
    );
  }

  unsubscribe(request: Request, url: string): string {
    const point = this.#find(request, url);
    if (point === undefined) return fault("wsrf-rw:ResourceUnknownFault", "no such subscription");
    this.#open.delete(point.id);
    point.wake?.();
    this.counts.unsubscribed++;
    return tag("wsnt:UnsubscribeResponse");
  }
}
