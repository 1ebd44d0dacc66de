import { DeviceError } from "../../gateway/driver.ts";
import { lostBy, type Camera } from "./camera.ts";
import type { Notification } from "./events.ts";
import { emptyPauseMs, PullPoint, type Pulled } from "./pull-point.ts";
import { replyBytesMax } from "./soap.ts";

/** The loop around pull points: what is told is handed on once, at the time when it was so. */

/** After the largest answer; after a smaller one as much shorter, so that none takes all of the processor. */
const pauseMs = 20;
/** What is there is answered at once, so this is only waited for when there is nothing. */
const drainHoldMs = 1000;
const drainMs = 3000;
const drainRoundsMax = 50;
/** For so long two subscriptions may tell the same. */
const twiceMs = 30_000;
/** A deviation of the event clock that whole seconds and the way here do not explain. */
const skewShownMs = 2500;
/** Nothing that happens while we listen waits for so long. */
const lateMs = 300_000;

/** Where notifications go, with their times by our clock. */
export type Hear = (notifications: readonly Notification[]) => void;

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
  let hint = "";
  const twice = new Twice();
  const take = ({ notifications, clockMs }: Pulled): void => {
    const skewMs = eventSkewMs(camera, clockMs);
    hear(notifications.map((one) => timed(one, skewMs)));
  };
  try {
    let point = await PullPoint.create(camera, signal);
    own.add(point);
    for (;;) {
      what = "PullMessages";
      ({ hint } = point);
      const pulled = await point.pull(signal);
      take({ ...pulled, notifications: twice.without(pulled.notifications) });
      if (pulled.isQuick) await pause(pauseAfter(pulled), signal);
      if (!point.isEnding) continue;
      what = "Renew";
      if (!(await point.renew(signal))) {
        const next = await point.follower(signal);
        // The only one that there can be is used until the camera says that it is over.
        if (next === undefined) continue;
        own.add(next);
        what = "PullMessages before the end";
        const withinMs = Math.min(drainMs, camera.settings.lifetime / 8);
        await drain(point, withinMs, signal, (last) => {
          twice.add(last.notifications);
          take(last);
        });
        await point.unsubscribe(signal);
        own.delete(point);
        point = next;
      }
      // A camera that grants less than one round would be renewed without end.
      if (point.isEnding) await pause(emptyPauseMs, signal);
    }
  } catch (error) {
    throw lostBy(error, camera.place, what, hint);
  }
}

/** Takes what is left in a subscription; some cameras give less at once than they are asked for. */
async function drain(
  point: PullPoint,
  withinMs: number,
  signal: AbortSignal,
  take: (last: Pulled) => void,
): Promise<void> {
  const begunMs = performance.now();
  for (let round = 0; round < drainRoundsMax; round++) {
    const last = await point.pull(signal, drainHoldMs);
    take(last);
    if (last.notifications.length === 0) return;
    // Of a camera that tells without end the rest comes by the other subscription.
    if (!last.hasMore && performance.now() - begunMs > withinMs) return;
  }
}

function pauseAfter({ notifications, characters }: Pulled): number {
  return notifications.length === 0 ? emptyPauseMs : Math.max(2, (pauseMs * characters) / replyBytesMax);
}

/** What two subscriptions have both been told while one takes the place of the other. */
class Twice {
  readonly #heard = new Map<string, number>();
  #untilMs = 0;

  add(notifications: readonly Notification[]): void {
    this.#untilMs = performance.now() + twiceMs;
    for (const one of notifications) {
      const key = keyOf(one);
      this.#heard.set(key, (this.#heard.get(key) ?? 0) + 1);
    }
  }

  /** Without what the other one has told before; that is over when this one has told all that it had. */
  without(notifications: readonly Notification[]): readonly Notification[] {
    if (this.#heard.size === 0) return notifications;
    const fresh = notifications.filter((one) => {
      const count = this.#heard.get(keyOf(one)) ?? 0;
      if (count > 0) this.#heard.set(keyOf(one), count - 1);
      return count === 0;
    });
    if (notifications.length === 0 || performance.now() > this.#untilMs) this.#heard.clear();
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

const offBy = (timeMs: number): number => Math.abs(Date.now() - timeMs);

/**
 * With its time by our clock. Where what has just happened would be minutes old by the event service's clock, and
 * is not as it stands, event and service have different clocks.
 */
function timed(one: Notification, skewMs: number): Notification {
  if (one.timeMs === undefined || skewMs === 0) return one;
  const timeMs = one.timeMs - skewMs;
  const isOther = one.phase !== "initial" && offBy(timeMs) > lateMs && offBy(one.timeMs) < lateMs;
  return isOther ? one : { ...one, timeMs };
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
