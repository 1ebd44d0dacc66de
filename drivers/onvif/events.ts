import { createHash } from "node:crypto";
import type { Answer, RecordPhase } from "../../gateway/driver.ts";
import { timeMsOf } from "./clock.ts";
import { face } from "./face.ts";
import type { Address } from "./settings.ts";
import { all, at, isTree, textAt } from "./soap.ts";

/** Notifications of a camera: what it tells, and where in it the wanted values are. */

export interface Notification {
  /** Without the prefix of ONVIF's own topics; makers' topics keep theirs. */
  readonly topic: string;
  readonly phase: RecordPhase;
  /** By the camera's clock, ms since 1970. */
  readonly timeMs: number | undefined;
  readonly items: Readonly<Record<Part, ReadonlyMap<string, string>>>;
}
type Part = "source" | "key" | "data";

/** Its own, and what some makers write in its place. */
const topicNamespace = /^https?:\/\/www\.onvif\.org\/(?:[\w.-]+\/)*topics(?:\/|$)/i;
/** Per part of one notification; a real one has at most a dozen. */
const itemsMax = 200;
const instanceMax = 400;
const neverMs = 0;

/** The prefixes by which a reply names ONVIF's own topics. */
export function topicPrefixes(xml: string): Set<string> {
  const prefixes = new Set(["tns1"]);
  for (const [, prefix = "", uri] of xml.matchAll(/xmlns:([\w.-]{1,50})\s*=\s*["']([^"']{1,200})["']/g)) {
    if (topicNamespace.test(uri ?? "")) prefixes.add(prefix);
    else prefixes.delete(prefix);
  }
  return prefixes;
}

/** Without ONVIF's own prefixes; makers' topics keep theirs. */
export function plainTopic(text: string, prefixes: ReadonlySet<string>): string {
  return text
    .split("/")
    .map((part) => {
      const colon = part.indexOf(":");
      return colon > 0 && prefixes.has(part.slice(0, colon)) ? part.slice(colon + 1) : part;
    })
    .join("/");
}

/** The leaves of an element by their path: an ElementItem holds a tree of its own. */
function flatten(tree: unknown, path: string, into: Map<string, string>): void {
  if (into.size >= itemsMax) return;
  if (!isTree(tree)) {
    const text = textAt({ tree }, "tree");
    // Of several candidates the first is the likeliest.
    if (text !== undefined && !into.has(path)) into.set(path, text);
    return;
  }
  for (const name of Object.keys(tree)) {
    if (name.startsWith("@")) continue;
    for (const one of all(tree, name)) flatten(one, name === "#text" ? path : `${path}/${name}`, into);
  }
}

function itemsOf(part: unknown): Map<string, string> {
  const items = new Map<string, string>();
  for (const item of all(part, "SimpleItem")) {
    const [name, value] = [textAt(item, "@Name"), textAt(item, "@Value")];
    if (name !== undefined && value !== undefined && items.size < itemsMax) items.set(name, value);
  }
  for (const item of all(part, "ElementItem")) {
    const name = textAt(item, "@Name");
    if (name === undefined || !isTree(item)) continue;
    // Whether the element repeats the item's name is a matter of taste among makers.
    for (const child of Object.keys(item)) {
      if (!child.startsWith("@")) for (const one of all(item, child)) flatten(one, name, items);
    }
  }
  return items;
}

const phases: Record<string, RecordPhase> = {
  Initialized: "initial",
  Changed: "changed",
  Deleted: "deleted",
};

/** The notifications of a `PullMessagesResponse`; `xml` is the reply that it was parsed from. */
export function notificationsOf(response: unknown, xml: string): Notification[] {
  const prefixes = topicPrefixes(xml);
  return all(response, "NotificationMessage").flatMap((one) => {
    const topic = textAt(one, "Topic");
    if (topic === undefined) return [];
    // One holder may carry several messages.
    return all(at(one, "Message"), "Message")
      .filter(isTree)
      .map((message) => ({
        topic: plainTopic(topic, prefixes),
        phase: phases[textAt(message, "@PropertyOperation") ?? ""] ?? "occurred",
        timeMs: timeMsOf(textAt(message, "@UtcTime")),
        items: {
          source: itemsOf(at(message, "Source")),
          key: itemsOf(at(message, "Key")),
          data: itemsOf(at(message, "Data")),
        },
      }));
  });
}

/** Does a notification belong to what an address names? */
export function belongs({ topic, items }: Notification, address: Address): boolean {
  const wanted = address.topic?.split("/") ?? [];
  const parts = topic.split("/");
  if (wanted.length !== parts.length) return false;
  if (!wanted.every((part, i) => (part === "*" ? !face.test(parts[i]!) : part === parts[i]))) return false;
  return Object.entries(address.source ?? {}).every(
    ([name, value]) => (items.source.get(name) ?? items.key.get(name)) === value,
  );
}

/** Source and key items tell properties of the same topic apart (ONVIF Core, property events). */
export function instanceOf({ topic, items: { source, key } }: Notification): string {
  const sorted = [source, key].map((part) => [...part].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  const text = JSON.stringify([topic, ...sorted]);
  // The host keeps it for as long as the state is known.
  return text.length <= instanceMax ? text : createHash("sha256").update(text).digest("base64url");
}

function bad(code: string, reason: string): Answer {
  return { value: null, status: "bad", code, reason };
}

/** The value that an address names in a notification; undefined: it is not in it. */
export function valueIn({ items, phase }: Notification, { item, part, type }: Address): Answer | undefined {
  const text =
    part === undefined
      ? (items.data.get(item ?? "") ?? items.source.get(item ?? "") ?? items.key.get(item ?? ""))
      : items[part].get(item ?? "");
  return text === undefined ? undefined : typed(text, type, phase);
}

/** A text as the value that its address says it is. */
export function typed(text: string, type: Address["type"], phase: RecordPhase = "occurred"): Answer {
  if (type === "text") return text;
  if (type === "boolean") {
    const word = text.toLowerCase();
    if (word === "true" || word === "1") return true;
    if (word === "false" || word === "0") return false;
    return bad("not-a-boolean", `the camera told "${text.slice(0, 40)}"`);
  }
  if (type === "number") {
    const value = text === "" ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : bad("not-a-number", `the camera told "${text.slice(0, 40)}"`);
  }
  const timeMs = timeMsOf(text);
  if (timeMs === undefined) return bad("not-a-time", `the camera told "${text.slice(0, 40)}"`);
  if (timeMs === neverMs && phase === "initial") return bad("never", "it has not happened yet");
  return new Date(timeMs).toISOString();
}
