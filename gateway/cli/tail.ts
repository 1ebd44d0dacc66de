import { languageOf } from "../words.ts";
import { complaintWords, meantBy } from "./complaint-words.ts";
import { dictionary } from "./language.ts";
import { ask } from "../control.ts";
import { exitCodes, printable } from "../errors.ts";
import { eventId, type EventReading, type KerbEvent, quality } from "../event.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { notFoundError } from "./errors.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { clockTime, shownRecord } from "./records.ts";
import { askOnce, checkAnswers, controlSocket, findSite, notRunning } from "./site.ts";
import { cut, pad, shownValue } from "./text.ts";

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

/** `kerb tail`: events of the running gateway as they are committed, until Ctrl-C or until the gateway ends. */
export async function tail(options: {
  site?: string;
  device?: string;
  kind?: string;
  json?: boolean;
}): Promise<number> {
  const site = findSite(options.site);
  const socket = controlSocket(site);
  const signal = stopSignal();
  const { columns } = process.stdout;
  try {
    await checkAnswers(socket);
    if (options.device !== undefined) await checkDevice(socket, options.device);
    for await (const answer of ask(socket, { verb: "tail" }, signal)) {
      const event = answer as KerbEvent;
      if (options.device !== undefined && event.device !== options.device) continue;
      if (options.kind !== undefined && event.kind !== options.kind) continue;
      if (options.json === true) printData("event", { id: eventId(event), ...event });
      else printLines([columns === undefined ? eventLine(event) : cut(eventLine(event), columns)]);
    }
  } catch (error) {
    if (signal.aborted) return exitCodes.ok;
    return notRunning(error, site);
  }
  if (!signal.aborted) hint(complaintWords[languageOf()].gatewayEnded);
  return signal.aborted ? exitCodes.ok : exitCodes.notRunning;
}
