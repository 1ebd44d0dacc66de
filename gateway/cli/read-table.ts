import { printable } from "../errors.ts";
import type { ShownReading } from "../supervisor.ts";
import { decodingLines } from "./decodings.ts";
import { displayWidth, paint, shownValue, span, table } from "./text.ts";

const rawColumnsMax = 19;

/** "4365 8a3d" from "43658a3d". */
export function shownHex(hex: string): string {
  return hex.toUpperCase().replaceAll(/(.{4})(?=.)/g, "$1 ");
}

function shownQuality({ status, code, reason }: ShownReading): string {
  return [status, code, reason].filter((part) => part !== undefined).join(", ");
}

function colour(line: string, { status }: ShownReading): string {
  return status === "good" ? line : paint(status === "bad" ? "red" : "yellow", line);
}

/**
 * The table POINT VALUE QUALITY AGE RAW ADDRESS; what is not good says why at the end of its line. `raw` shows all
 * bytes and adds every decoding below its point.
 */
export function readingLines(readings: readonly ShownReading[], nowMs: number, raw: boolean): string[] {
  const columns = [
    { title: "POINT" },
    { title: "VALUE", widthMax: 40 },
    { title: "QUALITY" },
    { title: "AGE", side: "right" as const },
    { title: "RAW", ...(raw ? {} : { widthMax: rawColumnsMax }) },
    { title: "ADDRESS" },
  ];
  const rows = readings.map((reading) => [
    reading.point,
    shownValue(reading.value, reading.unit, reading.decimals),
    reading.status,
    span(nowMs - reading.timeMs),
    reading.rawHex === undefined ? "-" : shownHex(reading.rawHex),
    reading.status === "good"
      ? reading.address
      : `${reading.address}   ${printable(shownQuality(reading).replace(/^\w+(, )?/, ""))}`,
  ]);
  const [head = "", ...lines] = table(columns, rows);
  const indent = " ".repeat(2 + Math.max(5, ...readings.map(({ point }) => displayWidth(point))));
  return [
    paint("bold", head),
    ...lines.flatMap((line, i) => {
      const reading = readings[i];
      if (reading === undefined) return [];
      const decoded = raw && reading.rawHex !== undefined ? decodingLines(reading.rawHex) : [];
      return [colour(line.trimEnd(), reading), ...decoded.map((text) => paint("dim", indent + text))];
    }),
  ];
}
