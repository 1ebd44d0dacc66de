import type { Report, ReportDevice, ReportPoint } from "./report.ts";

/** A report as a table for Excel: one row a point, UTF-8 with its mark, RFC 4180. The columns keep their names. */

type Cell = string | number | boolean | null;

const columns: [name: string, of: (report: Report, device: ReportDevice, point?: ReportPoint) => Cell][] = [
  ["made", ({ made }) => made.at],
  ["gateway", ({ site }) => site.gateway],
  ["device", (_, { id }) => id],
  ["deviceName", (_, { name }) => name],
  ["verdict", (_, { verdict }) => verdict],
  ["state", (_, { state }) => state],
  ["driver", (_, { driver }) => driver],
  ["deviceAddress", (_, { address }) => address],
  ["vendor", (_, { identity }) => identity.vendor],
  ["model", (_, { identity }) => identity.model],
  ["firmware", (_, { identity }) => identity.firmware],
  ["serial", (_, { identity }) => identity.serial],
  ["profile", (_, { profile }) => profile?.id ?? null],
  ["profileFirmware", (_, { profile }) => profile?.firmware ?? null],
  ["firmwareCovered", (_, { profile }) => profile?.covers ?? null],
  ["identityTest", (_, { tests }) => tests.identity],
  ["pointsAsked", (_, { tests }) => tests.read?.asked ?? null],
  ["pointsAnswered", (_, { tests }) => tests.read?.answered ?? null],
  ["latencyMs", (_, { tests }) => tests.read?.latencyMs ?? null],
  ["lossPercent", (_, { tests }) => tests.polls?.lossPercent ?? null],
  ["eventsAccepted", (_, { events }) => events?.accepted ?? null],
  ["eventsDelivered", (_, { events }) => events?.delivered ?? null],
  ["point", (_r, _d, point) => point?.name ?? null],
  ["labelVi", (_r, _d, point) => point?.label?.vi ?? null],
  ["labelEn", (_r, _d, point) => point?.label?.en ?? null],
  ["pointAddress", (_r, _d, point) => point?.address ?? null],
  ["value", (_r, _d, point) => point?.value ?? null],
  ["unit", (_r, _d, point) => point?.unit ?? null],
  ["quality", (_r, _d, point) => point?.quality ?? null],
  ["code", (_r, _d, point) => point?.code ?? null],
  ["reason", (_r, _d, point) => point?.reason ?? null],
  ["time", (_r, _d, point) => point?.time ?? null],
  [
    "ageSeconds",
    (_r, _d, { ageMs } = { ageMs: null } as ReportPoint) => (ageMs === null ? null : ageMs / 1000),
  ],
  ["limitLow", (_r, _d, point) => point?.limits?.[0] ?? null],
  ["limitHigh", (_r, _d, point) => point?.limits?.[1] ?? null],
  ["outsideLimits", (_r, _d, point) => point?.outside ?? null],
];

/**
 * What a spreadsheet would take for the beginning of a formula, also with the full-width signs of East Asia. Where the
 * list separator is ";", as in Vietnam, our quotes do not count, and a cell ends at each ";" and line end within.
 */
const formula = /(^|[;\t])([^\S\t]*)(?=[=+\-@＝＋－＠])/g;

/** A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay numbers. */
function shown(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const oneLine = cell.replaceAll(/[^\P{Cc}\t]+|[\u2028\u2029]/gu, " ");
  const text = oneLine.replaceAll(formula, "$1'$2");
  return /[",\r\n;\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A device without points has one row. */
export function csvOf(report: Report): string {
  const rows = report.devices.flatMap((device) =>
    (device.points.length === 0 ? [undefined] : device.points).map((point) =>
      columns.map(([, of]) => of(report, device, point)),
    ),
  );
  const lines = [columns.map(([name]) => name), ...rows].map((row) => `${row.map(shown).join(",")}\r\n`);
  return `\ufeff${lines.join("")}`;
}
