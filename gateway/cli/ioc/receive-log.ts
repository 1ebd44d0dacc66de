import type { Change } from "../../receiver/change.ts";
import { printable } from "../../printable.ts";
import { languageOf } from "../../words.ts";
import { receiveWords } from "./receive-words.ts";

/** What `kerb receive` tells while it runs: a line with its time for people, or one JSON object a line. */

export interface Line {
  kind: Change["kind"] | "started" | "stopped" | "warning" | "received";
  /** In English: what machines keep. */
  text: string;
  /** For people, in their language; absent: `text` is. */
  said?: string;
  gateway?: string;
  [detail: string]: unknown;
}

/** A change in the language of this process; undefined where only English knows it. */
function saidOf(change: Change): string | undefined {
  const words = receiveWords[languageOf()];
  const { kind, gateway = "", broker = "", reason, session, epoch, database = "" } = change;
  if (kind === "connected") return words.connected(broker);
  if (kind === "lost") return words.lost(broker, reason ?? "");
  if (kind === "gateway-first") return words.first(gateway);
  if (kind === "gateway-offline") return words.offline(gateway);
  if (kind === "gateway-online") return words.online(gateway, session ?? "?", epoch ?? "?");
  if (kind === "rejected") return words.rejected(gateway, change.lane ?? "", reason ?? "", change.count ?? 0);
  if (kind === "store-failed") return words.storeFailed(reason ?? "");
  if (kind === "store-recovered") return words.storeWell(database);
  return undefined;
}

/** Prints lines; people get theirs in their language. */
export function printer(isJson: boolean): (line: Line | Change) => void {
  return (line) => {
    const time = new Date().toISOString();
    const { said, ...plain } = { said: undefined, ...line };
    const isVietnamese = languageOf() === "vi";
    const text = said ?? (isVietnamese ? saidOf(line as Change) : undefined) ?? line.text;
    process.stdout.write(isJson ? `${JSON.stringify({ time, ...plain })}\n` : `${time} ${printable(text)}\n`);
  };
}

const gatewaysShown = 8;

/** How many events came of each gateway since the last word; nothing is said where nothing goes on coming. */
export class Arrivals {
  readonly #before = new Map<string, number>();
  #wasQuiet = true;

  constructor(gateways: Iterable<{ id: string; eventsStored: number }>) {
    for (const { id, eventsStored } of gateways) this.#before.set(id, eventsStored);
  }

  /** The line of one period; undefined: nothing came, as before. */
  line(gateways: Iterable<{ id: string; eventsStored: number }>, periodMs: number): Line | undefined {
    const came: [id: string, count: number][] = [];
    for (const { id, eventsStored } of gateways) {
      const count = eventsStored - (this.#before.get(id) ?? 0);
      this.#before.set(id, eventsStored);
      if (count > 0) came.push([id, count]);
    }
    const isQuiet = came.length === 0;
    if (isQuiet && this.#wasQuiet) return undefined;
    this.#wasQuiet = isQuiet;
    const sorted = came.toSorted((a, b) => b[1] - a[1]);
    const more = sorted.length - gatewaysShown;
    const seconds = Math.round(periodMs / 1000);
    const said = (language: "en" | "vi"): string => {
      const words = receiveWords[language];
      const shown = sorted.slice(0, gatewaysShown).map(([id, count]) => words.events(id, count));
      const list = [...shown, ...(more > 0 ? [words.moreGateways(more)] : [])].join(", ");
      return isQuiet ? words.nothing(seconds) : words.received(seconds, list);
    };
    return {
      kind: "received",
      text: said("en"),
      said: said(languageOf()),
      events: came.reduce((sum, [, count]) => sum + count, 0),
      gateways: Object.fromEntries(sorted),
    };
  }
}
