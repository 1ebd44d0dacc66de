import type { ScheduleReport, ScheduleState } from "../../commands/scheduling.ts";
import type { DeviceConfig, Site } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { describeError } from "../../errors.ts";
import { levelAt } from "../../schedules/levels.ts";
import { localAt } from "../../schedules/local-time.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { words } from "../../words.ts";

/** The schedules of a device in `kerb device show`. */

/** unknown: no gateway runs that would keep it. */
export type ShownSchedule = Omit<ScheduleReport, "state"> & { state: ScheduleState | "unknown" };

const scheduleWords = words({
  en: {
    label: "schedule",
    nothing: "nothing now",
    until: (time: string) => `until ${time}`,
    states: {
      kept: "kept",
      due: "about to be written",
      leased: "waits for the end of a lease",
      ordered: "waits for the next change: somebody has ordered otherwise",
      held: "waits",
      unknown: "no gateway runs",
    },
  },
  vi: {
    label: "lịch",
    nothing: "hiện không có",
    until: (time: string) => `đến ${time}`,
    states: {
      kept: "đang đúng",
      due: "sắp ghi",
      leased: "chờ hết hạn lệnh tạm",
      ordered: "chờ mốc kế tiếp: đã có lệnh khác",
      held: "đang chờ",
      unknown: "không có gateway đang chạy",
    },
  },
});

/** How the schedules stand by the running gateway; where none runs, what the site file wants now. */
export function schedulesOf(
  { schedules = {}, location }: DeviceConfig,
  { gateway: { timeZone } }: Site,
  known: GatewayStatus["devices"][number] | undefined,
  nowMs: number,
): ShownSchedule[] {
  if (known?.schedules !== undefined) return known.schedules;
  return Object.entries(schedules).map(([point, entries]) => {
    const level = levelAt(entries, nowMs, { timeZone, location });
    const state = known === undefined ? ("unknown" as const) : ("due" as const);
    if (level === undefined) return { point, value: null, state };
    const { value, sinceMs, untilMs } = level;
    return { point, value, sinceMs, ...(untilMs === Infinity ? {} : { untilMs }), state };
  });
}

/** "17:45", or with its day where that is not the next time it is so late. */
function localTime(ms: number, nowMs: number, timeZone: string): string {
  const text = new Date(localAt(ms, timeZone)).toISOString();
  return ms - nowMs < 86_400_000 ? text.slice(11, 16) : text.slice(0, 16).replace("T", " ");
}

/** A row for each schedule. */
export function scheduleRows(
  schedules: readonly ShownSchedule[],
  timeZone: string,
  nowMs: number,
  language: Language,
): [string, string][] {
  const { label, nothing, until, states } = scheduleWords[language];
  return schedules.map(({ point, value, untilMs, state, problem, reason }) => {
    const wanted = value === null ? nothing : `${point} = ${String(value)}`;
    const end = untilMs === undefined ? "" : until(localTime(untilMs, nowMs, timeZone));
    const why = problem === undefined ? "" : `${describeError(problem, language).title} (${problem})`;
    const said = [why, reason ?? ""].filter((part) => part !== "").join(": ");
    const standing = said === "" ? states[state] : `${states[state]}: ${said}`;
    return [label, [wanted, end, standing].filter((part) => part !== "").join("   ")];
  });
}
