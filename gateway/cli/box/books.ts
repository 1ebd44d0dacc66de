import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable } from "../../errors.ts";
import type { BooksLine } from "../../outbox/books.ts";
import type { GatewayBooks } from "../../supervisor.ts";
import { dictionary, languageOf, type Words } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { grouped, paint, table } from "../../text.ts";

const rangesShown = 50;

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** "0", "12 (evicted 10, corrupt 2)". */
function shownDropped(dropped: Record<string, number>): string {
  const reasons = Object.entries(dropped).map(
    ([reason, events]) => `${printable(reason)} ${grouped(events)}`,
  );
  return reasons.length === 0 ? "0" : `${grouped(sum(dropped))} (${reasons.join(", ")})`;
}

function totalOf(lines: readonly BooksLine[]): BooksLine {
  const total: BooksLine = {
    device: "",
    class: "live",
    accepted: 0,
    delivered: 0,
    kept: 0,
    rows: 0,
    dropped: {},
  };
  for (const line of lines) {
    for (const name of ["accepted", "delivered", "kept", "rows"] as const) total[name] += line[name];
    for (const [reason, events] of Object.entries(line.dropped))
      total.dropped[reason] = (total.dropped[reason] ?? 0) + events;
  }
  return total;
}

const cells = (line: BooksLine, name: string, kind: string, lostEvents: number) => [
  name,
  kind,
  grouped(line.accepted),
  grouped(line.delivered),
  grouped(line.kept),
  grouped(lostEvents),
  shownDropped(line.dropped),
];

function tableLines({ lines, lost }: GatewayBooks, words: Words): string[] {
  const right = "right" as const;
  const columns = [
    { title: words.device },
    { title: words.booksClass },
    { title: words.acceptedColumn, side: right },
    { title: words.deliveredColumn, side: right },
    { title: words.keptColumn, side: right },
    { title: words.lostBeforeColumn, side: right },
    { title: words.droppedColumn },
  ];
  // What a host dropped has no class any more; it stands on the device's first line.
  const told = new Set<string>();
  const rows = lines.map((line) => {
    const lostEvents = told.has(line.device) ? 0 : (lost[line.device] ?? 0);
    told.add(line.device);
    const name = line.device === "" ? words.beforeAccounts : printable(line.device);
    return cells(line, name, line.class, lostEvents);
  });
  const unread = Object.entries(lost).filter(([device]) => !told.has(device));
  for (const [device, events] of unread) rows.push(cells(totalOf([]), printable(device), "-", events));
  const [head = "", ...body] = table(columns, [...rows, cells(totalOf(lines), words.total, "", sum(lost))]);
  return [paint("bold", head), ...body, ...(sum(lost) > 0 ? [words.lostBeforeNote] : [])];
}

function rangeLines({ tombstones, tombstonesLeftOut }: GatewayBooks, words: Words): string[] {
  const lines = tombstones
    .slice(0, rangesShown)
    .map(({ epoch, first, last, reason, fromMs, toMs, reported }) => {
      const span = `${new Date(fromMs).toISOString()}..${new Date(toMs).toISOString()}`;
      const state = reported ? words.declared : words.notDeclared;
      return `${words.numbers} ${first}..${last} ${words.ofEpoch} ${epoch}   ${printable(reason)}   ${span}   ${state}`;
    });
  const more = tombstones.length - lines.length + tombstonesLeftOut;
  if (more > 0) lines.push(`… ${grouped(more)} ${words.moreRanges}`);
  return lines;
}

/** The books as lines for people; the last one says whether they close, and if not, which lines do not. */
export function booksLines(found: GatewayBooks, words: Words): string[] {
  const wrong = found.lines.filter(({ kept, rows }) => kept !== rows);
  const closing = found.closes
    ? [paint("green", `${words.closes}: ${words.yes}`)]
    : [
        ...wrong.map(
          ({ device, class: kind, kept, rows }) =>
            `  ${device === "" ? words.beforeAccounts : printable(device)} ${kind}: ${words.kept} ${grouped(kept)}, ${words.rowsInFile} ${grouped(rows)}`,
        ),
        paint("red", `${words.closes}: ${words.no}`),
      ];
  return [...tableLines(found, words), ...rangeLines(found, words), ...closing];
}

/** `kerb books`: accepted = delivered + kept + dropped by device and class; exit code 6 when a line does not close. */
export async function books(options: { site?: string; json?: boolean; lang?: Language }): Promise<number> {
  const site = findSite(options.site);
  try {
    const found = await askOnce<GatewayBooks>(controlSocket(site), { verb: "books" });
    if (options.json === true) printData("books", found);
    else printLines(booksLines(found, dictionary[languageOf(options.lang)]));
    return found.closes ? exitCodes.ok : exitCodes.findings;
  } catch (error) {
    return notRunning(error, site, languageOf(options.lang));
  }
}
