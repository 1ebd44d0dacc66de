import pino, { type Logger } from "pino";

/**
 * Logs synchronously to stdout, one JSON object a line; a person at a terminal gets the same as text. Rotation is
 * the journal's business.
 */
export function openLog(level: string, json = false): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (json || !process.stdout.isTTY) return pino(options, pino.destination({ dest: 1, sync: true }));
  return pino(options, { write: (line: string) => process.stdout.write(readable(line)) });
}

/** Control characters from a device's text must not reach a terminal. */
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

function readable(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as { level: number; time: string; msg: string };
  const name = level >= 50 ? "error" : level >= 40 ? "warn " : level >= 30 ? "info " : "debug";
  const details = Object.entries(rest)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  return `${time.slice(11, 19)} ${name} ${msg}${details === "" ? "" : `  (${details})`}\n`.replaceAll(
    controls,
    " ",
  );
}
