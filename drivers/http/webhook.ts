import { createHmac, timingSafeEqual } from "node:crypto";
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

/** Ids of messages that are remembered for each device: what comes again within them is not told again. */
const idsMax = 1000;
/** Records of one kind in one message. */
const recordsMax = 100;

/** Ids live as long as the process: a message that is sent again may come after a reconnect. */
const seenIds = new Map<string, Set<string>>();

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
  const idSteps = webhook.id === undefined ? undefined : parsePick(webhook.id);
  const ids = seenIds.get(webhook.token) ?? new Set<string>();
  seenIds.set(webhook.token, ids);
  const tell = teller(settings, subscription);
  return async (body, request) => {
    if (!isSigned(webhook, body, request)) return 401;
    const type = request.headers["content-type"];
    const format = isExpected(type, "json", settings.contentTypes)
      ? "json"
      : isExpected(type, "xml", [])
        ? "xml"
        : undefined;
    if (format === undefined) return 415;
    let document: Document;
    try {
      const tree = await parseDocument(body, format, settings);
      document = { tree, format, text: () => body.toString(), madeMs: undefined };
    } catch (error) {
      if (error instanceof FormatError) return 400;
      throw error;
    }
    const id = idSteps === undefined ? undefined : pick(document.tree, idSteps);
    const known = typeof id === "string" || typeof id === "number" ? String(id).slice(0, 200) : undefined;
    if (idSteps !== undefined && known === undefined) return 400;
    // A repeat has been taken once: it must not be sent a third time.
    if (known !== undefined && ids.has(known)) return 204;
    if (subscription.signal.aborted) return 503;
    tell(document);
    if (known === undefined) return 204;
    ids.add(known);
    const [oldest] = ids;
    if (ids.size > idsMax && oldest !== undefined) ids.delete(oldest);
    return 204;
  };
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
  return (document: Document): void => {
    const { tree } = document;
    const values = wanted.flatMap(({ index, place }): { index: number; answer: Answer }[] => {
      const answer = answerOf(document, tree, place, settings, { isOptional: true });
      return answer === undefined ? [] : [{ index, answer }];
    });
    // Values that are bad make no device dead that has sent a document, nor does one that says something else.
    if (values.every(({ answer }) => typeof answer === "object" && answer.status === "bad")) sink.alive();
    if (values.length > 0) sink.readings(values);
    told.forEach(({ place, fields }, index) => {
      for (const item of pickAll(tree, place.value, recordsMax)) {
        const sourceTimeMs = timeOf(item, place, settings);
        sink.record(
          index,
          fields.map((field) => answerOf(document, item, field, settings, { isOptional: true })),
          sourceTimeMs === undefined ? {} : { sourceTimeMs },
        );
      }
    });
  };
}
