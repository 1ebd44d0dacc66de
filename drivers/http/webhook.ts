import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import {
  DeviceError,
  type Answer,
  type DriverContext,
  type PointRequest,
  type Subscription,
} from "../../gateway/driver.ts";
import { FormatError, isExpected, parseDocument } from "./document.ts";
import { joinListener, type Hook } from "./listener.ts";
import { parsePick, pick, pickAll } from "./pick.ts";
import { placeOf } from "./plan.ts";
import type { Address, Settings } from "./settings.ts";
import { answerOf, timeOf, type Document } from "./values.ts";

type Webhook = NonNullable<Settings["webhook"]>;

/** Messages that are remembered for each device: what comes again among them is not told again. */
const messagesMax = 10_000;
/** Records of one kind in one message; more are refused, for a part of them would be lost. */
const recordsMax = 1000;
/** A device is not kept waiting longer for the disk: it may post again. */
const heldMsMax = 8000;

/** By token; as long as the process, for a message may come again after a reconnect. A value says: it is on disk. */
const seenMessages = new Map<string, Map<string, Promise<boolean>>>();

/**
 * Hands on what a device posts until the signal aborts (resolves). Rejects with `closed`, or with why the box
 * cannot listen: `busy`, `denied`, `unreachable`, `unsupported`.
 */
export async function listen(
  settings: Settings,
  subscription: Subscription<Address>,
  context: DriverContext,
  closing: AbortSignal,
): Promise<void> {
  const { webhook } = settings;
  const { signal } = subscription;
  if (closing.aborted) throw new DeviceError("closed", "the device is closed");
  if (webhook === undefined || signal.aborted) return;
  const hook: Hook = {
    token: webhook.token,
    bodyBytesMax: settings.bodyBytesMax,
    perMinuteMax: webhook.perMinuteMax,
    take: taker(settings, webhook, subscription),
    warn: (text) => context.log("warn", text),
  };
  const leave = await joinListener(webhook, hook);
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const one of [signal, closing]) {
    one.addEventListener("abort", () => resolve(), { once: true });
    if (one.aborted) resolve();
  }
  subscription.points.forEach(({ address }, index) => {
    if (address.path !== undefined) subscription.sink.poll(index);
  });
  await promise;
  await leave();
  if (!signal.aborted) throw new DeviceError("closed", "the device is closed");
}

/** What is done with one message, as the status that answers it. */
function taker(settings: Settings, webhook: Webhook, subscription: Subscription<Address>): Hook["take"] {
  const [id, time] = [webhook.id, webhook.time].map((text) =>
    text === undefined ? undefined : parsePick(text),
  );
  const seen = seenMessages.get(webhook.token) ?? new Map<string, Promise<boolean>>();
  seenMessages.set(webhook.token, seen);
  const tell = teller(settings, subscription);
  /** A message that was given up on and is not on disk yet: those that come after it would only be told twice. */
  let stuck: Promise<boolean> | undefined;
  return async (body, request) => {
    if (!isSigned(webhook, body, request)) return 401;
    const format = formatOf(request.headers["content-type"], settings);
    if (format === undefined) return 415;
    let document: Document;
    try {
      const tree = await parseDocument(body, format, settings, request.headers["content-type"]);
      document = { tree, format, madeMs: undefined };
    } catch (error) {
      if (error instanceof FormatError) return 400;
      throw error;
    }
    if (time !== undefined) {
      const ageMs = Date.now() - (timeOf(document.tree, { time }, settings) ?? Number.NaN);
      if (!(Math.abs(ageMs) <= webhook.ageMax)) return 400;
    }
    if (id !== undefined && !isName(pick(document.tree, id))) return 400;
    // A device that starts anew may count its messages from 1 again: only the very same one is a repeat.
    const key = id === undefined ? undefined : createHash("sha256").update(body).digest("base64");
    let held = key === undefined ? undefined : seen.get(key);
    if (held === undefined) {
      if (subscription.signal.aborted || stuck !== undefined) return 503;
      if (!tell(document)) return 413;
      held = subscription.sink.held?.() ?? Promise.resolve(true);
      if (key !== undefined) remember(seen, key, held);
    }
    const isHeld = await patiently(held, subscription.signal);
    if (isHeld === undefined) {
      stuck = held;
      const end = () => (stuck = stuck === held ? undefined : stuck);
      held.then(end, end);
    }
    return isHeld === true ? 204 : 503;
  };
}

const isName = (value: unknown): boolean =>
  (typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "bigint";

function formatOf(type: string | undefined, { contentTypes }: Settings): "json" | "xml" | undefined {
  if (isExpected(type, "json", contentTypes)) return "json";
  return isExpected(type, "xml", []) ? "xml" : undefined;
}

function remember(seen: Map<string, Promise<boolean>>, key: string, held: Promise<boolean>): void {
  seen.set(key, held);
  const forget = () => seen.get(key) === held && seen.delete(key);
  // What was dropped has to be told when it comes again.
  held.then((isHeld) => isHeld || forget(), forget);
  const [oldest] = seen.keys();
  if (seen.size > messagesMax && oldest !== undefined) seen.delete(oldest);
}

/** Whether it is on disk; undefined when that is not known within a bounded time. */
function patiently(held: Promise<boolean>, signal: AbortSignal): Promise<boolean | undefined> {
  const { promise, resolve } = Promise.withResolvers<boolean | undefined>();
  const giveUp = () => resolve(false);
  const timer = setTimeout(() => resolve(undefined), heldMsMax);
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  held.then(resolve, giveUp);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  });
}

function isSigned({ signature }: Webhook, body: Buffer, { headers }: IncomingMessage): boolean {
  if (signature === undefined) return true;
  const given = headers[signature.header.toLowerCase()];
  const text = (Array.isArray(given) ? given[0] : given)?.replace(/^sha256=/i, "") ?? "";
  const expected = createHmac("sha256", signature.key).update(body).digest();
  const proof = Buffer.from(text, "hex");
  return proof.length === expected.length && timingSafeEqual(proof, expected);
}

function teller(settings: Settings, { points, records, sink }: Subscription<Address>) {
  const placed = ({ address }: PointRequest<Address>) => placeOf(address, settings);
  const wanted = points.flatMap((point, index) =>
    point.address.path === undefined ? [{ index, place: placed(point) }] : [],
  );
  const told = records.map((record) => ({ place: placed(record), fields: record.fields.map(placed) }));
  /** False: there are too many of a kind, and nothing was told. */
  return (document: Document): boolean => {
    const { tree } = document;
    const items = told.map(({ place }) => pickAll(tree, place.value, Infinity));
    if (items.some(({ length }) => length > recordsMax)) return false;
    const values = wanted.flatMap(({ index, place }): { index: number; answer: Answer }[] => {
      const answer = answerOf(document, tree, place, settings, { isOptional: true });
      return answer === undefined ? [] : [{ index, answer }];
    });
    // Values that are bad make no device dead that has sent a document, nor does one that says something else.
    if (values.every(({ answer }) => typeof answer === "object" && answer.status === "bad")) sink.alive();
    if (values.length > 0) sink.readings(values);
    told.forEach(({ place, fields }, index) => {
      for (const item of items[index] ?? []) {
        const sourceTimeMs = timeOf(item, place, settings);
        sink.record(
          index,
          fields.map((field) => answerOf(document, item, field, settings, { isOptional: true })),
          sourceTimeMs === undefined ? {} : { sourceTimeMs },
        );
      }
    });
    return true;
  };
}
