import { exitCodes, printable } from "../../errors.ts";
import type { GapCause } from "../../gaps.ts";
import { type KnownGap, knownGaps } from "../../outbox/known-gaps.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { deviceErrors, type Language } from "../../config/error-texts.ts";
import { type BoxOptions, findBox, isRunning, openStill, uplinksOf } from "./box.ts";
import { boxWords } from "./box-words.ts";
import { complaintWords, meantBy } from "../complaint-words.ts";
import { notFoundError } from "../errors.ts";
import { hint, printData, printLines } from "../output.ts";
import { askOnce } from "../site.ts";
import { grouped, paint, span, table } from "../../text.ts";

export interface GapsOptions extends BoxOptions {
  sinceMs?: number;
  device?: string;
}

/** What `kerb gaps --json` gives. `running`: the gateway was asked; else its queue file was read. */
export interface GapsAnswer {
  gateway: string;
  /** All of the site's, also those without a gap. */
  devices: string[];
  gaps: KnownGap[];
  sinceMs: number;
  running: boolean;
}

const sinceDefaultMs = 24 * 3_600_000;
const devicesShown = 2;

const twoDigits = (number: number) => String(number).padStart(2, "0");

/** "11-22 17:03:12", of the box's own time zone. */
export function shortTime(ms: number): string {
  const at = new Date(ms);
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
  return `${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())} ${clock}`;
}

function shownCause({ cause, code }: KnownGap, language: Language): string {
  const words = boxWords[language].gaps.causes;
  const text = Object.hasOwn(words, cause) ? words[cause as GapCause] : cause;
  if (code === undefined) return printable(text);
  const full = `KERB-DEV-${code.toUpperCase()}`;
  return printable(`${text} (${Object.hasOwn(deviceErrors, full) ? full : code})`);
}

function shownDevices({ devices }: KnownGap, language: Language): string {
  const words = boxWords[language].gaps;
  if (devices.length === 0) return words.box;
  const more = devices.length - devicesShown;
  return printable([...devices.slice(0, devicesShown), ...(more > 0 ? [words.more(more)] : [])].join(", "));
}

function shownLost({ lost, state }: KnownGap, language: Language): string {
  const words = boxWords[language].gaps;
  // What was told at the loss is none of what has been missed since.
  if (lost === undefined || state !== "closed") return "-";
  return "events" in lost ? words.events(grouped(lost.events)) : words.polls(grouped(lost.polls));
}

/** The gaps as lines for people, the newest last; the last line counts. */
export function gapLines({ gaps: list, sinceMs }: GapsAnswer, language: Language, nowMs: number): string[] {
  const words = boxWords[language].gaps;
  const since = span(nowMs - sinceMs);
  if (list.length === 0) return [words.none(since)];
  const columns = [
    { title: words.from },
    { title: words.to },
    { title: words.lasted, side: "right" as const },
    { title: words.device, widthMax: 24 },
    { title: words.cause, widthMax: 48 },
    { title: words.missing, side: "right" as const },
    { title: words.ioc },
  ];
  const rows = list.map((gap) => {
    const isOpen = gap.state === "open";
    const [from, to] = [shortTime(gap.fromMs), shortTime(gap.toMs)];
    const ended = from.slice(0, 5) === to.slice(0, 5) ? to.slice(6) : to;
    const lastedMs = Math.max(0, (isOpen ? nowMs : gap.toMs) - gap.fromMs);
    return [
      from,
      isOpen ? words.open : gap.state === "unended" ? words.unended : ended,
      gap.state === "unended" ? `> ${span(lastedMs)}` : span(lastedMs),
      shownDevices(gap, language),
      shownCause(gap, language),
      shownLost(gap, language),
      words.told[gap.told],
    ];
  });
  const [head = "", ...lines] = table(columns, rows);
  const open = list.filter(({ state }) => state === "open").length;
  const waiting = list.filter(({ told }) => told !== "acknowledged").length;
  return [
    paint("bold", head),
    ...lines.map((line, i) => (list[i]?.state === "open" ? paint("red", line) : line)),
    words.sum(list.length, since, open, waiting),
  ];
}

async function findGaps(options: GapsOptions, sinceMs: number): Promise<GapsAnswer> {
  const box = findBox(options);
  if (await isRunning(box)) {
    const { gateway, devices } = await askOnce<GatewayStatus>(box.socket, { verb: "status" });
    const found = await askOnce<KnownGap[]>(box.socket, { verb: "gaps", args: { sinceMs } });
    return { gateway: gateway.id, devices: devices.map(({ id }) => id), gaps: found, sinceMs, running: true };
  }
  const queue = openStill(box);
  try {
    const { gateway, dictionary } = queue;
    const uplinks = (uplinksOf(box) ?? queue.uplinks).map((name) => ({ name }));
    const known = dictionary.devices.filter(({ type }) => type !== "gateway").map(({ id }) => id);
    const found = knownGaps(queue, { gateway, uplinks }, sinceMs);
    return { gateway, devices: [...new Set(known)], gaps: found, sinceMs, running: false };
  } finally {
    queue.close();
  }
}

/** `kerb gaps`: what is missing, why, and whether the IOC knows, as the box itself can say. */
export async function gaps(options: GapsOptions): Promise<number> {
  const { sinceMs: backMs = sinceDefaultMs, device } = options;
  const nowMs = Date.now();
  const { language } = findBox(options);
  const found = await findGaps(options, nowMs - backMs);
  if (device !== undefined) {
    const ids = found.devices;
    const text = complaintWords[language];
    if (!ids.includes(device))
      throw notFoundError(
        text.noDeviceHere(printable(device), meantBy(device, ids)),
        text.devices(ids.slice(0, 20).join(", ")),
      );
    // What stopped the whole box stopped this device too.
    found.gaps = found.gaps.filter(({ devices }) => devices.length === 0 || devices.includes(device));
  }
  if (options.json === true) printData("gaps", found);
  else {
    if (!found.running) hint(boxWords[language].stillNote);
    printLines(gapLines(found, language, nowMs));
  }
  return exitCodes.ok;
}
