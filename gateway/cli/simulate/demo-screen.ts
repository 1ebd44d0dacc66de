import { printable } from "../../errors.ts";
import type { LatestReading } from "../../host/messages.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import type { CommandPurpose } from "./demo-site.ts";
import type { Words } from "../language.ts";
import { booksSentence, custodyLagMs, shownReason, shownState, totalBooks } from "../status.ts";
import { cut, displayWidth, grouped, paint, pad, shownValue, span } from "../../text.ts";

/** The demo's live screen: a picture of the whole, made anew each time and cut to the terminal. */

export interface DemoView {
  name: string;
  /** After the start of the demo; undefined until the first event is in the receiver's custody. */
  firstDeliveredMs: number | undefined;
  /** Undefined while the gateway does not answer. */
  status: GatewayStatus | undefined;
  readings: Record<string, LatestReading[]>;
  programs: { name: string; pid: number | undefined; isRunning: boolean }[];
  news: { timeMs: number; about: "program" | "device"; text: string }[];
  commands: [string, CommandPurpose][];
}

export interface Size {
  columns: number;
  rows: number;
}

type Format = Parameters<typeof paint>[0];
/** A stretch of a line; without a format it is plain. */
type Part = string | [text: string, format: Format];

/** A line of parts, cut to the width and coloured after that. */
function line(columns: number, ...parts: Part[]): string {
  let left = columns;
  let text = "";
  for (const part of parts) {
    const [raw, format] = typeof part === "string" ? [part, undefined] : part;
    const kept = cut(raw, left);
    left -= displayWidth(kept);
    text += format === undefined ? kept : paint(format, kept);
    if (left <= 0) break;
  }
  return text;
}

/** What a person looks for first; then one point of each unit, in the profile's order. */
const telling =
  /^(activePower\.total|waterLevel|windSpeed|particulateMatter|pm25|pH|dimLevel|vehicleCount\.lane1|battery\.charge|fillingLevel|occupied|signalState\.group1|message|temperature)$/;
const rarelyTelling = new Set(["1", "s", "V.A", "kV.A", "V.A{reactive}", "kV.A{reactive}", "Hz"]);

function rank({ point, unit }: LatestReading): number {
  if (telling.test(point)) return 0;
  return rarelyTelling.has(unit) ? 2 : 1;
}

/** The few readings that say most about a device: no two of one unit, totals before parts. */
export function tellingReadings(readings: readonly LatestReading[], count: number): LatestReading[] {
  const byUnit = Map.groupBy(
    readings.toSorted((a, b) => rank(a) - rank(b)),
    ({ unit }) => unit,
  );
  const chosen = [...byUnit.values()].map(
    (group) =>
      group.find(({ point }) => telling.test(point)) ??
      group.find(({ point }) => point.endsWith(".total")) ??
      group[0],
  );
  return chosen.filter((reading) => reading !== undefined).slice(0, count);
}

/** The worst quality of a device's readings, with how many have it; "good" where all are. */
function shownQuality(readings: readonly LatestReading[], words: Words): [text: string, format: Format] {
  const count = (status: LatestReading["status"]) =>
    readings.filter((reading) => reading.status === status).length;
  if (readings.length === 0) return ["-", "dim"];
  if (count("bad") > 0) return [`${count("bad")} ${words.bad}`, "red"];
  return count("uncertain") > 0
    ? [`${count("uncertain")} ${words.uncertain}`, "yellow"]
    : [words.good, "green"];
}

const valueColumns = 11;
const qualityColumns = 10;

function deviceLine(
  device: GatewayStatus["devices"][number],
  view: DemoView,
  words: Words,
  size: Size,
  widths: Widths,
) {
  const readings = view.readings[device.id] ?? [];
  const state = shownState(device, words);
  const chosen = tellingReadings(readings, size.columns >= 110 ? 3 : 2);
  const values = chosen.map(({ value, unit, decimals }) =>
    pad(cut(shownValue(value, unit, decimals), valueColumns - 1), valueColumns),
  );
  const [quality, format] = shownQuality(readings, words);
  const nowMs = Date.now();
  const age = device.lastGoodMs === undefined ? "-" : span(nowMs - device.lastGoodMs);
  const reason = shownReason(device, words);
  const head: Part[] = [[pad(state.text, widths.state), state.colour], `  ${pad(device.id, widths.id)}  `];
  if (reason !== "")
    return line(size.columns, ...head, [`${span(nowMs - device.sinceMs)}  ${reason}`, state.colour]);
  return line(
    size.columns,
    ...head,
    pad(values.join(""), widths.values),
    [pad(quality, qualityColumns), format],
    `${pad(age, 6, "right")}  `,
    [printable(device.name), "dim"],
  );
}

interface Widths {
  state: number;
  id: number;
  values: number;
}

function deviceLines(view: DemoView, words: Words, size: Size, room: number): string[] {
  const devices = view.status?.devices ?? [];
  const widths: Widths = {
    state: Math.max(10, ...devices.map((device) => displayWidth(shownState(device, words).text))),
    id: Math.max(0, ...devices.map(({ id }) => id.length)),
    values: valueColumns * (size.columns >= 110 ? 3 : 2),
  };
  const shown = devices.length > room ? devices.slice(0, Math.max(0, room - 1)) : devices;
  const hidden = devices.length - shown.length;
  const lines = shown.map((device) => deviceLine(device, view, words, size, widths));
  return hidden > 0 ? [...lines, line(size.columns, [`… +${hidden}`, "dim"])] : lines;
}

function headLines(view: DemoView, words: Words, { columns }: Size): string[] {
  const { status } = view;
  const epoch = status === undefined ? "" : `  ${words.epoch} ${status.outbox.epoch}`;
  const programs = view.programs.flatMap(({ name, pid, isRunning }): Part[] => [
    isRunning ? ["✓ ", "green"] : pid === undefined ? ["✗ ", "red"] : ["… ", "yellow"],
    `${name} `,
    [`${pid ?? "-"}   `, "dim"],
  ]);
  const head = `kerb  ${printable(view.name)}  ${words.up} ${span(performance.now())}${epoch}  `;
  return [line(columns, [head, "bold"], [words.ctrlC, "dim"]), line(columns, ...programs)];
}

/** Why there is nothing to show of the gateway. */
export function gatewaySentence({ programs }: DemoView, words: Words): string {
  const hasStarted = programs.every(({ isRunning }) => isRunning);
  return hasStarted ? `✗ ${words.gateway} ${words.noAnswer}` : `… ${words.gateway} ${words.states.starting}`;
}

function centreLines(view: DemoView, words: Words, { columns }: Size): string[] {
  const { status } = view;
  if (status === undefined) return [line(columns, [gatewaySentence(view, words), "yellow"]), ""];
  const [uplink] = status.uplinks;
  const books = totalBooks(status.outbox);
  const isUp = uplink?.state === "connected";
  const lagMs = custodyLagMs(status.outbox, Date.now());
  const sentence = `  ${words.outbox}: ${booksSentence(books, words)}`;
  const first =
    view.firstDeliveredMs === undefined
      ? ""
      : `   ${words.firstEvent} ${(view.firstDeliveredMs / 1000).toFixed(1)} s`;
  const hasRoom = displayWidth(sentence + first) <= columns;
  return [
    line(
      columns,
      [
        `${isUp ? "✓" : "✗"} IOC ${uplink === undefined ? words.none : words[uplink.state]}`,
        isUp ? "green" : "yellow",
      ],
      `   ${words.receiver} ${words[uplink?.receiver ?? "unknown"]}   `,
      [`${words.delivered} ${grouped(books.delivered)}`, "bold"],
      `   ${words.lag} `,
      [span(lagMs), lagMs > 5000 ? "yellow" : "bold"],
    ),
    line(columns, sentence, [hasRoom ? first : "", "dim"]),
  ];
}

function clockTime(ms: number): string {
  return new Date(ms).toTimeString().slice(0, 8);
}

function commandLines(view: DemoView, words: Words, { columns }: Size): string[] {
  const fits = ([command, purpose]: [string, CommandPurpose]) =>
    2 + command.length + 3 + displayWidth(words[purpose]) <= columns;
  const width = Math.max(0, ...view.commands.filter(fits).map(([command]) => command.length));
  return [
    line(columns, [words.tryNext, "bold"]),
    ...view.commands.map((entry) => {
      const [command, purpose] = entry;
      // A command that was cut would be worth nothing: one that is too long wraps and can still be copied.
      if (!fits(entry)) return paint("cyan", `  ${command}`);
      const room = columns - 5 - displayWidth(words[purpose]);
      return `${paint("cyan", `  ${command.padEnd(Math.min(width, room))}`)}   ${paint("dim", words[purpose])}`;
    }),
  ];
}

/** The lines of the screen, at most one fewer than the terminal has rows. */
export function screenLines(view: DemoView, words: Words, size: Size): string[] {
  const room = size.rows - 1;
  const head = headLines(view, words, size);
  const centre = centreLines(view, words, size);
  const commands = commandLines(view, words, size);
  const news = view.news.map(({ timeMs, text }) =>
    line(size.columns, [`${clockTime(timeMs)} ${printable(text)}`, "yellow"]),
  );
  const devices = view.status?.devices.length ?? 0;
  const fixed = head.length + centre.length + commands.length;
  const shownNews = news.slice(-Math.max(1, Math.min(5, room - fixed - devices - 4)));
  // Blank lines are a luxury of tall terminals.
  const spare = room - fixed - devices - shownNews.length;
  const blank = (priority: number) => (spare >= priority ? [""] : []);
  const list = deviceLines(view, words, size, Math.max(1, room - fixed - shownNews.length));
  return [
    ...head,
    ...blank(3),
    ...centre,
    ...blank(2),
    ...list,
    ...(shownNews.length === 0 ? [] : blank(4)),
    ...shownNews,
    ...blank(1),
    ...commands,
  ].slice(0, room);
}
