import type { Language } from "../../config/error-texts.ts";
import { ask } from "../../control/control.ts";
import { exitCodes, printable } from "../../errors.ts";
import { eventId, type EventReading, type KerbEvent, quality } from "../../event.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import type { MissedEvents } from "../../control/tails.ts";
import { complaintWords, meantBy } from "../complaint-words.ts";
import { notFoundError } from "../errors.ts";
import { dictionary, languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { clockTime, shownRecord } from "./record-lines.ts";
import { askOnce, checkAnswers, controlSocket, findSite, notRunning } from "../site.ts";
import { tailWords } from "./tail-words.ts";
import { cut, grouped, pad, shownValue } from "../../text.ts";

const readingsMax = 4;

function shownReading({ point, value, unit, quality: bits }: EventReading): string {
  const words = dictionary[languageOf()];
  const doubt =
    (bits & quality.bad) !== 0
      ? ` (${words.bad})`
      : (bits & quality.uncertain) !== 0
        ? ` (${words.uncertain})`
        : "";
  return `${point} ${shownValue(value, unit)}${doubt}`;
}

function shownData(data: Record<string, unknown>): string {
  return Object.entries(data)
    .map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("  ");
}

/** "10:14:07.212  meter-01  telemetry      voltage.L1 229.5 V  …  +24". */
export function eventLine({ timeMs, device, kind, readings, data }: KerbEvent): string {
  const list = readings ?? [];
  const more = list.length > readingsMax ? `  +${list.length - readingsMax}` : "";
  const text =
    data === undefined
      ? list.slice(0, readingsMax).map(shownReading).join("  ") + more
      : (shownRecord(data) ?? shownData(data));
  return printable(`${clockTime(timeMs)}  ${pad(device, 14)}  ${pad(kind, 14)}  ${text}`);
}

async function checkDevice(socket: string, id: string): Promise<void> {
  const { devices, gateway } = await askOnce<GatewayStatus>(socket, { verb: "status" });
  const ids = [gateway.id, ...devices.map((device) => device.id)];
  if (ids.includes(id)) return;
  const text = complaintWords[languageOf()];
  throw notFoundError(
    text.noDeviceHere(printable(id), meantBy(id, ids)),
    text.devices(ids.slice(0, 20).join(", ")),
  );
}

export interface TailOptions {
  site?: string;
  device?: string;
  kind?: string;
  /** A point's name; "*" stands for any part of it. */
  point?: string;
  json?: boolean;
  lang?: Language;
}

/** What `kerb tail --json` says at the end: events that were shown, and those that this reader was too slow for. */
export interface TailStatistics {
  seen: number;
  missed: number;
}

/** The event with the readings that are wanted; undefined when it is none of those that were asked for. */
export function wantedOf(event: KerbEvent, { device, kind, point }: TailOptions): KerbEvent | undefined {
  if (device !== undefined && event.device !== device) return undefined;
  if (kind !== undefined && event.kind !== kind) return undefined;
  if (point === undefined) return event;
  const parts = point.split("*").map((part) => part.replaceAll(/[.\\+?^${}()|[\]]/g, "\\$&"));
  const pattern = new RegExp(`^${parts.join(".*")}$`);
  const readings = event.readings?.filter((reading) => pattern.test(reading.point)) ?? [];
  if (readings.length > 0) return { ...event, readings };
  return typeof event.data?.["point"] === "string" && pattern.test(event.data["point"]) ? event : undefined;
}

/** `kerb tail`: events of the running gateway as they are committed, until Ctrl-C or until the gateway ends. */
export async function tail(options: TailOptions): Promise<number> {
  const site = findSite(options.site);
  const socket = controlSocket(site);
  const signal = stopSignal();
  const { columns } = process.stdout;
  const text = tailWords[languageOf(options.lang)];
  const statistics: TailStatistics = { seen: 0, missed: 0 };
  const end = () => {
    const { seen, missed } = statistics;
    if (options.json === true) printData("tail-statistics", statistics);
    else hint(text.seen(grouped(seen)) + (missed === 0 ? "" : text.missed(grouped(missed))));
  };
  try {
    await checkAnswers(socket);
    if (options.device !== undefined) await checkDevice(socket, options.device);
    for await (const answer of ask(socket, { verb: "tail" }, signal)) {
      if ("missed" in (answer as object)) statistics.missed += (answer as MissedEvents).missed;
      const event = "missed" in (answer as object) ? undefined : wantedOf(answer as KerbEvent, options);
      if (event === undefined) continue;
      statistics.seen++;
      if (options.json === true) printData("event", { id: eventId(event), ...event });
      else printLines([columns === undefined ? eventLine(event) : cut(eventLine(event), columns)]);
    }
  } catch (error) {
    if (!signal.aborted) return notRunning(error, site, languageOf(options.lang));
  }
  end();
  if (!signal.aborted) hint(complaintWords[languageOf(options.lang)].gatewayEnded);
  return signal.aborted ? exitCodes.ok : exitCodes.notRunning;
}
