import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable } from "../errors.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { dictionary, languageOf } from "./language.ts";
import { pause, printData, printLines, stopSignal } from "./output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "./site.ts";
import { custodyLagMs, shownReason, shownState, totalBooks } from "./status.ts";
import { cut, grouped, mebibytes, pad, paint, span, table, terminalSize } from "../text.ts";
import { topWords } from "./top-words.ts";

export interface TopOptions {
  site?: string;
  once?: boolean;
  json?: boolean;
  lang?: Language;
}

/** One look, with the rates since the look before: what `kerb top --json` gives. The worst device is the first. */
export interface TopView {
  timeMs: number;
  gateway: { id: string; upMs: number; cpuPercent: number; rssBytes: number };
  outbox: {
    kept: number;
    /** Grows (or shrinks) by so many a second. */
    keptPerS: number;
    acceptedPerS: number;
    fill: number;
    bytesMax: number;
    oldestMs: number;
  };
  uplinks: {
    id: string;
    state: GatewayStatus["uplinks"][number]["state"];
    sinceMs: number;
    receiver: GatewayStatus["uplinks"][number]["receiver"];
    eventsPerS: number;
    acknowledgedAgoMs?: number;
  }[];
  hosts: { driver: string; state: string; cpuPercent: number; rssBytes: number; restarts: number }[];
  devices: {
    id: string;
    state: GatewayStatus["devices"][number]["state"];
    enabled: boolean;
    pollsPerS: number;
    errorsPerS: number;
    lastReadMs: number;
    lastGoodAgoMs?: number;
    code?: string;
    reason?: string;
  }[];
}

interface Look {
  atMs: number;
  status: GatewayStatus;
}

const everyMs = 1000;
const quitKeys = ["q", "Q", "\u0003"];

const badness: Record<string, number> = {
  quarantined: 0,
  lost: 1,
  "wrong-device": 2,
  starting: 3,
  listening: 5,
  online: 5,
};

function rank({ state, enabled, errorsPerS }: TopView["devices"][number]): number {
  if (!enabled) return 6;
  return (badness[state] ?? 5) === 5 && errorsPerS > 0 ? 4 : (badness[state] ?? 5);
}

/** What has changed between two looks. */
export function topView(before: Look, now: Look): TopView {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1000);
  // What began anew since then counts from zero.
  const rate = (value: number, from = 0) => Math.max(0, value >= from ? value - from : value) / seconds;
  const percent = (cpuMs: number, from?: number) => (from === undefined ? 0 : rate(cpuMs, from) / 10);
  const { gateway, outbox, uplinks, hosts, devices } = now.status;
  const nowMs = Date.now();
  const books = totalBooks(outbox);
  const was = totalBooks(before.status.outbox);
  const old = before.status;
  return {
    timeMs: nowMs,
    gateway: {
      id: gateway.id,
      upMs: nowMs - gateway.startedMs,
      cpuPercent: percent(gateway.cpuMs, old.gateway.cpuMs),
      rssBytes: gateway.rssBytes,
    },
    outbox: {
      kept: books.kept,
      keptPerS: (books.kept - was.kept) / seconds,
      acceptedPerS: rate(books.accepted, was.accepted),
      fill: outbox.fill,
      bytesMax: outbox.bytesMax,
      oldestMs: custodyLagMs(outbox, nowMs),
    },
    uplinks: uplinks.map(({ id, state, sinceMs, receiver, lastAcknowledgementMs: lastMs }) => ({
      id,
      state,
      sinceMs,
      receiver,
      eventsPerS: rate(outbox.uplinks[id]?.events ?? 0, old.outbox.uplinks[id]?.events),
      ...(lastMs === undefined ? {} : { acknowledgedAgoMs: nowMs - lastMs }),
    })),
    hosts: hosts.map(({ driver, state, cpuMs, rssBytes, restarts }) => {
      const earlier = old.hosts.find((host) => host.driver === driver && host.restarts === restarts);
      return { driver, state, cpuPercent: percent(cpuMs, earlier?.cpuMs), rssBytes, restarts };
    }),
    devices: devices
      .map(({ id, state, enabled, polls, failed, missed, lastReadMs, lastGoodMs, code, reason }) => {
        const earlier = old.devices.find((device) => device.id === id);
        return {
          id,
          state,
          enabled,
          pollsPerS: rate(polls, earlier?.polls),
          errorsPerS: rate(failed + missed, (earlier?.failed ?? 0) + (earlier?.missed ?? 0)),
          lastReadMs,
          ...(lastGoodMs === undefined ? {} : { lastGoodAgoMs: nowMs - lastGoodMs }),
          ...(code === undefined ? {} : { code }),
          ...(reason === undefined ? {} : { reason }),
        };
      })
      .toSorted((a, b) => rank(a) - rank(b) || b.errorsPerS - a.errorsPerS || b.lastReadMs - a.lastReadMs),
  };
}

const share = (percent: number) => `${percent.toFixed(1)} %`;

/** Words in as many lines as it takes, none cut in the middle. */
function wrapped(label: string, parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = label;
  for (const part of parts) {
    if (line !== label && line.length + 3 + part.length > columns) {
      lines.push(line);
      line = " ".repeat(label.length);
    }
    line += line.trim() === label.trim() || line.trim() === "" ? part : `   ${part}`;
  }
  return [...lines, line];
}

function headLines(view: TopView, language: Language, columns: number, isLive: boolean): string[] {
  const words = topWords[language];
  const common = dictionary[language];
  const { gateway, outbox, uplinks, hosts } = view;
  const sign = outbox.keptPerS >= 0.05 ? "+" : "";
  const labels = [common.outbox, common.hosts, ...uplinks.map(({ id }) => id)];
  const width = Math.max(...labels.map((label) => label.length)) + 2;
  const label = (text: string) => pad(text, width);
  return [
    cut(
      [gateway.id, `${common.up} ${span(gateway.upMs)}`, ...(isLive ? [words.quit] : [])].join("   "),
      columns,
    ),
    ...uplinks.flatMap(({ id, state, sinceMs, receiver, eventsPerS, acknowledgedAgoMs: agoMs }) =>
      wrapped(
        label(id),
        [
          `${common[state]} ${span(view.timeMs - sinceMs)}`,
          `${common.receiver} ${common[receiver]}`,
          words.sends(grouped(eventsPerS, 1)),
          agoMs === undefined ? words.never : words.acknowledged(span(agoMs)),
        ],
        columns,
      ),
    ),
    ...wrapped(
      label(common.outbox),
      [
        words.keeps(grouped(outbox.kept), `${sign}${outbox.keptPerS.toFixed(1)}`),
        words.comesIn(grouped(outbox.acceptedPerS, 1)),
        words.share((100 * outbox.fill).toFixed(1), mebibytes(outbox.bytesMax)),
        words.lag(span(outbox.oldestMs)),
      ],
      columns,
    ),
    ...wrapped(
      label(common.hosts),
      [
        `${words.gateway} ${share(gateway.cpuPercent)} ${mebibytes(gateway.rssBytes)}`,
        ...hosts.map(
          ({ driver, cpuPercent, rssBytes }) => `${driver} ${share(cpuPercent)} ${mebibytes(rssBytes)}`,
        ),
      ],
      columns,
    ),
  ];
}

/** The screen as lines, cut to `columns`; devices as many as `rows` leaves. */
export function topLines(
  view: TopView,
  language: Language,
  { columns, rows }: { columns: number; rows: number },
): string[] {
  const words = topWords[language];
  const common = dictionary[language];
  const right = "right" as const;
  const above = headLines(view, language, columns, Number.isFinite(rows));
  const head = [...above.map((line) => cut(line, columns)), ""];
  const room = Math.max(1, rows - head.length - 1);
  const { devices } = view;
  const shown = devices.length > room ? devices.slice(0, room - 1) : devices;
  const hidden = devices.length - shown.length;
  const columnsOf = [
    { title: common.device, widthMax: columns < 80 ? 12 : 20 },
    { title: common.state },
    { title: words.pollsColumn, side: right },
    { title: words.tookColumn, side: right },
    { title: words.errorsColumn, side: right },
    { title: common.lastGood, side: right },
    { title: "" },
  ];
  const cells = shown.map((device) => [
    device.id,
    shownState(device, common).text,
    device.pollsPerS.toFixed(1),
    device.lastGoodAgoMs === undefined ? "-" : `${Math.round(device.lastReadMs)} ms`,
    device.errorsPerS.toFixed(1),
    device.lastGoodAgoMs === undefined ? "-" : span(device.lastGoodAgoMs),
    printable(shownReason(device as Parameters<typeof shownReason>[0], common)),
  ]);
  const [titles = "", ...lines] = table(columnsOf, cells);
  return [
    ...head,
    paint("bold", cut(titles, columns)),
    ...lines.map((line, i) => {
      const device = shown[i];
      const { colour } = device === undefined ? { colour: "dim" as const } : shownState(device, common);
      const text = cut(line, columns);
      return colour === "green" ? text : paint(colour, text);
    }),
    ...(hidden > 0 ? [cut(words.more(hidden), columns)] : []),
  ];
}

/** Draws over what was there, on the terminal's other screen; a person's own lines come back at the end. */
class Screen {
  readonly #isLive = process.stdout.isTTY && process.stdin.isTTY;

  open(quit: () => void): void {
    if (!this.#isLive) return;
    process.stdout.write("\u001b[?1049h\u001b[?25l");
    process.stdin.setRawMode(true);
    process.stdin.on("data", (keys: Buffer) => {
      if (quitKeys.some((key) => keys.toString().includes(key))) quit();
    });
  }

  draw(lines: readonly string[]): void {
    if (!this.#isLive) {
      printLines([...lines, ""]);
      return;
    }
    // Without wrapping: a line that took two would push the rest down.
    const text = lines.map((line) => `${line}\u001b[K\n`).join("");
    process.stdout.write(`\u001b[?7l\u001b[H${text}\u001b[J\u001b[?7h`);
  }

  close(): void {
    if (!this.#isLive) return;
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write("\u001b[?25h\u001b[?1049l");
  }
}

/** `kerb top`: the running gateway at a glance, the worst device first, until q or Ctrl-C. */
export async function top(options: TopOptions): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const socket = controlSocket(site);
  const look = async (): Promise<Look> => {
    const status = await askOnce<GatewayStatus>(socket, { verb: "status" });
    return { atMs: performance.now(), status };
  };
  const quit = new AbortController();
  const signal = AbortSignal.any([stopSignal(), quit.signal]);
  const screen = new Screen();
  try {
    let before = await look();
    if (options.json !== true && options.once !== true) screen.open(() => quit.abort());
    for (;;) {
      await pause(everyMs, signal);
      if (signal.aborted) return exitCodes.ok;
      const now = await look();
      const view = topView(before, now);
      before = now;
      if (options.json === true) printData("top", view);
      else if (options.once === true)
        printLines(topLines(view, language, { columns: terminalSize().columns, rows: Infinity }));
      else screen.draw(topLines(view, language, terminalSize()));
      if (options.once === true) return exitCodes.ok;
    }
  } catch (error) {
    return notRunning(error, site, language);
  } finally {
    screen.close();
  }
}
