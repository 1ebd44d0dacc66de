import { styleText } from "node:util";
import { printable } from "./errors.ts";
import type { ReadingValue } from "./event.ts";
import { languageOf } from "./words.ts";

/** Text for people at a terminal: widths, numbers, ages, units, tables. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
// East Asian wide and full-width forms and emoji take two columns (Unicode TR 11, the usual ranges).
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|^[\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
// oxlint-disable-next-line no-control-regex
const styles = /\u001b\[[0-9;]*m/g;
// oxlint-disable-next-line no-control-regex
const ascii = /^[\u0020-\u007e]*$/;

function graphemeWidth(grapheme: string): number {
  return wide.test(grapheme) ? 2 : 1;
}

/** How something stands, as a mark and its colour. */
export const marks = {
  ok: ["✓", "green"],
  warn: ["!", "yellow"],
  bad: ["✗", "red"],
  failed: ["✗", "red"],
  unknown: ["?", "yellow"],
  skipped: ["-", "dim"],
} as const;

/** Columns that a text takes on a terminal; composed or not, a Vietnamese letter is one. Colours take none. */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text.replaceAll(styles, ""))) width += graphemeWidth(segment);
  return width;
}

/** The text in at most `columns` columns; "…" stands for what was cut. The text must hold no colours. */
export function cut(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns < 1) return "";
  let width = 0;
  let kept = "";
  for (const { segment } of graphemes.segment(text)) {
    width += graphemeWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** The text filled up with spaces to `columns`. */
export function pad(text: string, columns: number, side: "left" | "right" = "left"): string {
  const space = " ".repeat(Math.max(0, columns - displayWidth(text)));
  return side === "left" ? text + space : space + text;
}

type Format = Parameters<typeof styleText>[0];

/** Is what goes there to be coloured? NO_COLOR says never, CLICOLOR_FORCE always; else a terminal that can. */
export function isColour(
  { isTTY }: Pick<NodeJS.WriteStream, "isTTY">,
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  const { NO_COLOR = "", CLICOLOR_FORCE = "", CLICOLOR, TERM } = environment;
  if (NO_COLOR !== "") return false;
  if (CLICOLOR_FORCE !== "" && CLICOLOR_FORCE !== "0") return true;
  return isTTY && CLICOLOR !== "0" && TERM !== "dumb";
}

/** The text in colour, where stdout has colours. */
export function paint(format: Format, text: string): string {
  return isColour(process.stdout) ? styleText(format, text, { validateStream: false }) : text;
}

export interface Column {
  title: string;
  side?: "left" | "right";
  /** Longer texts are cut. */
  widthMax?: number;
}

/** Aligned lines, the titles first; the last column is not filled up. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows].map((row) =>
    columns.map(({ widthMax }, i) => (widthMax === undefined ? (row[i] ?? "") : cut(row[i] ?? "", widthMax))),
  );
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => displayWidth(row[i] ?? ""))));
  return cells.map((row) =>
    row
      .map((cell, i) => pad(cell, widths[i] ?? 0, columns[i]?.side))
      .join("  ")
      .trimEnd(),
  );
}

/** "18 442", "-1 234.50". */
export function grouped(value: number, decimals = 0): string {
  const [whole = "", fraction] = value.toFixed(decimals).split(".");
  const spaced = whole.replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, " ");
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

/** Size of the terminal; where its driver does not say (0), that of an old one. */
export function terminalSize(): { columns: number; rows: number } {
  const { columns, rows } = process.stdout;
  return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** "1 reply", "2 replies". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

const spanUnits = {
  en: { second: "s", minute: "min", hour: "h", day: "d" },
  vi: { second: "giây", minute: "phút", hour: "giờ", day: "ngày" },
};

/** A time span in its largest fitting unit: "0.4 s", "34 s", "5 min", "2 h", "3 d"; in Vietnamese "5 phút". */
export function span(ms: number, language = languageOf()): string {
  const { second, minute, hour, day } = spanUnits[language];
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 0.95) return `${seconds.toFixed(1)} ${second}`;
  if (seconds < 90) return `${Math.round(seconds)} ${second}`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} ${minute}`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} ${hour}`;
  return `${Math.round(seconds / 86_400)} ${day}`;
}

/** A remedy of the table for one device: "kerb read DEVICE" can be typed as it stands. */
export function forDevice(remedy: string, id: string | undefined): string {
  return id === undefined ? remedy : remedy.replaceAll(/DEVICE|THIẾT_BỊ/g, () => id);
}

/** How long something took: "12 ms", above a second as `span`. */
export function took(ms: number): string {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : span(ms);
}

/** "63 MiB". */
export function mebibytes(bytes: number): string {
  return `${grouped(bytes / 1024 ** 2)} MiB`;
}

const shownUnits: Record<string, string> = {
  "1": "",
  deg: "°",
  Cel: "°C",
  "[degF]": "°F",
  "V.A": "VA",
  "kV.A": "kVA",
  "V.A{reactive}": "var",
  "kV.A{reactive}": "kvar",
  "W.h": "Wh",
  "kW.h": "kWh",
  "MW.h": "MWh",
  "V.A.h": "VAh",
  "kV.A.h": "kVAh",
  "V.A.h{reactive}": "varh",
  "kV.A.h{reactive}": "kvarh",
  "ug/m3": "µg/m³",
  "ug/m3{N}": "µg/Nm³",
  "mg/m3": "mg/m³",
  "g/m3": "g/m³",
  "[ppb]": "ppb",
  "[ppm]": "ppm",
  "{NTU}": "NTU",
  "[pH]": "pH",
  "uS/cm": "µS/cm",
  "mm[Hg]": "mmHg",
  "W/m2": "W/m²",
  "MJ/m2": "MJ/m²",
  m3: "m³",
  "m3/h": "m³/h",
  "m3/s": "m³/s",
  "{vehicles}": "vehicles",
  "{vehicles}/h": "vehicles/h",
  "dB{A}": "dB(A)",
  "dB{mW}": "dBm",
  By: "B",
  Ohm: "Ω",
  kOhm: "kΩ",
};

/** A UCUM unit as it is printed on devices. */
export function shownUnit(unit: string): string {
  return shownUnits[unit] ?? printable(unit);
}

/** Digits after the point for people: a float without a stated resolution gets four that count at most. */
function shownDecimals(value: number, decimals: number | undefined): number {
  if (decimals !== undefined && decimals <= 4) return decimals;
  const size = Math.abs(value) < 1e-9 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.min(4, Math.max(0, 3 - size));
  return (
    value
      .toFixed(digits)
      .replace(/\.?0+$/, "")
      .split(".")[1]?.length ?? 0
  );
}

/** A value with its unit: "231.4 V", "on", "-" where there is none. */
export function shownValue(value: ReadingValue, unit: string, decimals?: number): string {
  if (value === null) return "-";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "string") return printable(value);
  const mark = shownUnit(unit);
  const number = grouped(value, shownDecimals(value, decimals));
  return mark === "" ? number : mark === "°" ? `${number}°` : `${number} ${mark}`;
}
