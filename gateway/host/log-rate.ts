const linesMax = 10;
const windowMs = 60_000;

type Level = "debug" | "info" | "warn";

/**
 * Limits what one device may log: ten lines a minute, then one line at the minute's end that says how many were
 * left out.
 */
export function limitLog(
  write: (level: Level, text: string) => void,
  lengthMs = windowMs,
): (level: Level, text: string) => void {
  let lines = 0;
  let leftOut = 0;
  let timer: NodeJS.Timeout | undefined;
  const next = () => {
    timer = undefined;
    if (leftOut > 0) write("warn", `${leftOut} more lines were left out: at most ${linesMax} in a minute`);
    lines = leftOut = 0;
  };
  return (level, text) => {
    timer ??= setTimeout(next, lengthMs);
    if (lines < linesMax) {
      lines++;
      write(level, text);
    } else leftOut++;
  };
}
