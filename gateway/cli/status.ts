import type { Language } from "../config/error-texts.ts";
import { describeError, type ErrorCode, exitCodes, printable } from "../errors.ts";
import { healthChecks } from "../health/health.ts";
import { storageCause, uplinkCause } from "../health/causes.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { configLines } from "./config/config-standing.ts";
import { dictionary, languageOf, type Words } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { askOnce, controlSocket, findSite, notRunning, siteFlag } from "./site.ts";
import { displayWidth, grouped, mebibytes, paint, span, table } from "../text.ts";

type DeviceStatus = GatewayStatus["devices"][number];
type Books = Record<"accepted" | "delivered" | "kept" | "dropped", number>;

/** The books of both classes together. */
export function totalBooks({ books }: Pick<GatewayStatus["outbox"], "books">): Books {
  const sum = (name: keyof Books) => books.event[name] + books.live[name];
  return {
    accepted: sum("accepted"),
    delivered: sum("delivered"),
    kept: sum("kept"),
    dropped: sum("dropped"),
  };
}

/** How long the oldest event has been waiting for the IOC to take it; 0 when none waits. */
export function custodyLagMs({ oldestMs }: Pick<GatewayStatus["outbox"], "oldestMs">, nowMs: number): number {
  return oldestMs === undefined ? 0 : Math.max(0, nowMs - oldestMs);
}

/** "accepted 120 = delivered 100 + kept 20 + dropped 0". */
export function booksSentence({ accepted, delivered, kept, dropped }: Books, words: Words): string {
  const parts = [
    `${words.delivered} ${grouped(delivered)}`,
    `${words.kept} ${grouped(kept)}`,
    `${words.dropped} ${grouped(dropped)}`,
  ];
  return `${words.accepted} ${grouped(accepted)} = ${parts.join(" + ")}`;
}

type StateName = DeviceStatus["state"] | "disabled";

const stateMarks: Record<StateName, { mark: string; colour: "green" | "red" | "yellow" | "dim" }> = {
  online: { mark: "✓", colour: "green" },
  lost: { mark: "✗", colour: "red" },
  "wrong-device": { mark: "!", colour: "yellow" },
  quarantined: { mark: "‖", colour: "red" },
  starting: { mark: "…", colour: "dim" },
  listening: { mark: "…", colour: "dim" },
  disabled: { mark: "-", colour: "dim" },
};

/** A device's state as a mark and a word, and the colour for it. */
export function shownState({ state, enabled }: Pick<DeviceStatus, "state" | "enabled">, words: Words) {
  const name: StateName = enabled ? state : "disabled";
  return { text: `${stateMarks[name].mark} ${words.states[name]}`, colour: stateMarks[name].colour };
}

/** Why a host has ended; the gateway says it in English. */
function hostReason(reason: string | undefined, words: Words): string | undefined {
  const [, driver, why = reason] = /^the (\S+) host has ended: (.*)$/.exec(reason ?? "") ?? [];
  const ending = why
    ?.replace(/^signal (?=SIG)/, `${words.signal} `)
    .replace(/^exit status (?=\d|null)/, `${words.exitStatus} `)
    .replace(/^no heartbeat for (\d+) s$/, `${words.noHeartbeat} $1 s`);
  return driver === undefined ? ending : `${words.hostEnded} ${driver}: ${ending}`;
}

/** Why a device is not online: its code and the driver's sentence. */
export function shownReason(
  { state, code, reason }: Pick<DeviceStatus, "state" | "code" | "reason">,
  words: Words,
): string {
  if (state === "online") return "";
  const kerbCode = code === undefined ? undefined : `KERB-DEV-${code.toUpperCase()}`;
  return printable([kerbCode, hostReason(reason, words)].filter((part) => part !== undefined).join("  "));
}

/** The language and its words. */
interface Shown {
  language: Language;
  words: Words;
}

/** What it means, and what was seen. */
function whyDown(reason: string, language: Language): string {
  return `${describeError(uplinkCause(reason), language).title}: ${printable(reason)}`;
}

function uplinkLine(
  uplink: GatewayStatus["uplinks"][number],
  { outbox }: GatewayStatus,
  { words, language }: Shown,
  nowMs: number,
): string {
  const isDown = uplink.state !== "connected" && uplink.reason !== undefined;
  const parts = [
    uplink.id,
    paint(
      uplink.state === "connected" ? "green" : "yellow",
      `${words[uplink.state]} ${span(nowMs - uplink.sinceMs)}`,
    ),
    `${words.receiver} ${words[uplink.receiver]}`,
    `${words.custody} ${uplink.custody}`,
    `${words.lag} ${span(custodyLagMs(outbox, nowMs))}`,
    uplink.url,
    ...(isDown ? [whyDown(uplink.reason ?? "", language)] : []),
  ];
  return parts.join("   ");
}

function outboxLines({ outbox, outboxSilentMs }: GatewayStatus, { words, language }: Shown): string[] {
  const percent = (100 * outbox.fill).toFixed(1);
  const size = `${percent} % ${words.bytesOf} ${mebibytes(outbox.bytesMax)}`;
  const refused = Object.entries(outbox.deadLetters.counts).map(([name, count]) => {
    const { reason, epoch, seq } = outbox.deadLetters.newest.find(({ uplink }) => uplink === name) ?? {};
    const last = reason === undefined ? "" : ` (${reason}, ${epoch}:${seq})`;
    return paint("yellow", `${name}   ${words.refusedForGood} ${grouped(count)}${last}`);
  });
  const lines = [`${words.outbox}   ${booksSentence(totalBooks(outbox), words)}   ${size}`];
  const trouble = (code: ErrorCode, seen: string) =>
    lines.push(paint("red", `${describeError(code, language).title}: ${seen}`));
  if (outboxSilentMs > 0) trouble("KERB-OUT-STUCK", span(outboxSilentMs));
  if (outbox.failure !== undefined) trouble(storageCause(outbox.failure), printable(outbox.failure));
  return [...lines, ...refused];
}

const columns = 80;

/** As many hosts on a line as an ordinary terminal is wide. */
function hostLines({ hosts }: GatewayStatus, words: Words): string[] {
  const states = {
    starting: words.states.starting,
    running: words.runs,
    waiting: words.waiting,
    stopped: words.stopped,
  };
  const list = hosts.map(({ driver, pid, rssBytes, restarts, state, reason }) => {
    const ended = `${states[state]} ${hostReason(reason, words) ?? ""}`.trim();
    const where = pid === undefined ? ended : `pid ${pid}`;
    return `${driver} ${printable(where)} ${mebibytes(rssBytes)} ${restarts} ${words.restarts}`;
  });
  const lines: string[] = [];
  for (const one of list.length === 0 ? [words.none] : list) {
    const last = lines.at(-1);
    const joined = last === undefined ? `${words.hosts}   ${one}` : `${last}   ${one}`;
    if (last === undefined || displayWidth(joined) <= columns) lines.splice(-1, 1, joined);
    else lines.push(`${" ".repeat(displayWidth(words.hosts))}   ${one}`);
  }
  return lines;
}

function deviceLines({ devices }: GatewayStatus, words: Words, nowMs: number): string[] {
  if (devices.length === 0) return [words.noDevicesYet];
  const right = "right" as const;
  const titles = [
    { title: words.device },
    { title: words.state },
    { title: words.lastGood, side: right },
    { title: words.polls, side: right },
    { title: words.failed, side: right },
    { title: words.missed, side: right },
    { title: words.name },
  ];
  const rows = devices.map((device) => [
    device.id,
    shownState(device, words).text,
    device.lastGoodMs === undefined ? "-" : span(nowMs - device.lastGoodMs),
    grouped(device.polls),
    grouped(device.failed),
    grouped(device.missed),
    [printable(device.name), shownReason(device, words)].filter((part) => part !== "").join("   "),
  ]);
  const [head = "", ...lines] = table(titles, rows);
  return [
    paint("bold", head),
    ...lines.map((line, i) => {
      const device = devices[i];
      return device === undefined || device.state === "online"
        ? line
        : paint(shownState(device, words).colour, line);
    }),
  ];
}

/** Where to read on: `kerb health` explains what is wrong. */
function findingsLine(whole: GatewayStatus, words: Words, nowMs: number, site?: string): string[] {
  const count = healthChecks(whole, nowMs).filter(
    ({ check, state }) => state !== "ok" && check !== "devices",
  ).length;
  return count === 0 ? [] : ["", `${words.findings} ${count}   kerb health${siteFlag(site)}`];
}

/** The whole status as lines for people; `site` as it was named. */
export function statusLines(
  whole: GatewayStatus,
  language: Language,
  nowMs: number,
  site?: string,
): string[] {
  const { gateway, outbox, uplinks } = whole;
  const words = dictionary[language];
  const shown = { words, language };
  const clocks = { synced: words.clockSynced, holdover: words.clockHoldover, unsynced: words.clockUnsynced };
  const head = [
    paint("bold", gateway.id),
    printable(gateway.name),
    `kerb ${gateway.version}`,
    `${words.up} ${span(nowMs - gateway.startedMs)}`,
    `${words.epoch} ${outbox.epoch}`,
    `${words.clock} ${clocks[gateway.clock]}`,
  ];
  return [
    head.join("   "),
    ...configLines(whole, language, nowMs),
    ...uplinks.map((uplink) => uplinkLine(uplink, whole, shown, nowMs)),
    ...outboxLines(whole, shown),
    ...hostLines(whole, words),
    "",
    ...deviceLines(whole, words, nowMs),
    ...findingsLine(whole, words, nowMs, site),
  ];
}

/**
 * `kerb status`: the running gateway of a site; exit code 4 when there is none. `retryRefused`: copies of what
 * brokers refused for good are accepted anew first.
 */
export async function status(options: {
  site?: string;
  json?: boolean;
  lang?: Language;
  retryRefused?: boolean;
}): Promise<number> {
  const site = findSite(options.site);
  try {
    if (options.retryRefused === true) {
      const count = await askOnce<number>(controlSocket(site), { verb: "retry-refused" });
      if (options.json !== true)
        printLines([`${dictionary[languageOf(options.lang)].resent}: ${grouped(count)}`]);
    }
    const found = await askOnce<GatewayStatus>(controlSocket(site), { verb: "status" });
    if (options.json === true) printData("status", found);
    else printLines(statusLines(found, languageOf(options.lang), Date.now(), options.site));
    return exitCodes.ok;
  } catch (error) {
    return notRunning(error, site, languageOf(options.lang));
  }
}
