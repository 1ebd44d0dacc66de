import { printable } from "../../errors.ts";
import type { LatestReading } from "../../host/messages.ts";
import type { Words } from "../language.ts";
import { decodingLines } from "./decodings.ts";
import { displayWidth, paint, shownValue, span, table } from "../../text.ts";

/** Eight registers; a longer text has its value beside it. */
const rawColumnsMax = 39;

/** "4365 8a3d" from "43658a3d". */
function shownHex(hex: string): string {
  return hex.toUpperCase().replaceAll(/(.{4})(?=.)/g, "$1 ");
}

function shownQuality({ status, code, reason }: LatestReading): string {
  return [status, code, reason].filter((part) => part !== undefined).join(", ");
}

function colour(line: string, { status }: LatestReading): string {
  return status === "good" ? line : paint(status === "bad" ? "red" : "yellow", line);
}

/**
 * The table POINT VALUE QUALITY AGE RAW ADDRESS; what is not good says why at the end of its line. Readings that
 * came with their bytes have every decoding of them below their line; where none did, there is no column RAW.
 * `textOf`: what a state is called.
 */
export function readingLines(
  readings: readonly LatestReading[],
  nowMs: number,
  words: Words,
  textOf: (reading: LatestReading) => string | undefined = () => undefined,
): string[] {
  const hasRaw = readings.some(({ rawHex }) => rawHex !== undefined);
  const columns = [
    { title: words.pointColumn },
    { title: words.valueColumn, widthMax: 40 },
    { title: words.qualityColumn },
    { title: words.ageColumn, side: "right" as const },
    ...(hasRaw ? [{ title: words.rawColumn, widthMax: rawColumnsMax }] : []),
    { title: words.addressColumn },
  ];
  const rows = readings.map((reading) => [
    reading.point,
    [shownValue(reading.value, reading.unit, reading.decimals), textOf(reading)]
      .filter((part) => part !== undefined)
      .join(" · "),
    reading.unheard === true ? words.unheard : words[reading.status],
    reading.unheard === true ? "-" : span(nowMs - reading.timeMs),
    ...(hasRaw ? [reading.rawHex === undefined ? "-" : shownHex(reading.rawHex)] : []),
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
      const decoded = reading.rawHex === undefined ? [] : decodingLines(reading.rawHex);
      return [colour(line.trimEnd(), reading), ...decoded.map((text) => paint("dim", indent + text))];
    }),
  ];
}
