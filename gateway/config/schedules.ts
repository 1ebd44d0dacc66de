import { z } from "zod";
import { checkValue } from "../commands/checks.ts";
import { type CommandedDevice, Policy } from "../commands/policy.ts";
import { type DeviceSchedules, type ScheduleEntry, timeOf, weekdays } from "../schedules/levels.ts";
import type { YamlDocument } from "./document.ts";
import type { Path } from "./path.ts";
import { didYouMean } from "./words.ts";

/** `schedules` of a device: their form, and what they say against its points. */

const entriesMax = 48;
const timeWanted = 'a local time such as "17:45", or "sunset-15m", "sunrise+1h" (at most 6h before or after)';

/** The schedule of one point. */
const scheduleSchema = z
  .array(
    z.strictObject({
      at: z
        .string()
        .refine((at) => timeOf(at) !== undefined, { error: `expected ${timeWanted}` })
        .describe(timeWanted),
      value: z
        .union([z.number(), z.boolean(), z.string().max(256)])
        .describe("in the point's unit, or one of its words"),
      days: z
        .array(z.enum(weekdays))
        .min(1)
        .max(weekdays.length)
        .optional()
        .describe("of the week, by the day on which `at` lies; each day if not given"),
    }),
  )
  .min(1)
  .max(entriesMax);

/** The schedules of one device by point, as site file and twin have them. */
export const schedulesSchema = z
  .record(z.string().min(1).max(100), scheduleSchema)
  .describe("what points are to be, from which time of the day on");

const anybody = { issuers: [], roles: {}, ratePerMinute: 1, clock: "synced" } as const;

const overlap = (a: ScheduleEntry, b: ScheduleEntry): boolean =>
  a.days === undefined || b.days === undefined || a.days.some((day) => b.days?.includes(day) === true);

/** An entry that comes twice, or out of its order; a list may begin in the evening. */
function checkOrder(document: YamlDocument, path: Path, schedule: readonly ScheduleEntry[]): void {
  const wrong = (i: number, message: string) =>
    document.mistake([...path, i, "at"], "KERB-CFG-VALUE", message);
  const isDouble = (entry: ScheduleEntry, i: number): boolean =>
    schedule.slice(0, i).some((other) => sameTime(other.at, entry.at) && overlap(other, entry));
  for (const [i, entry] of schedule.entries())
    if (isDouble(entry, i)) wrong(i, `"${entry.at}" is there twice for one day: leave one of the two out`);
  const clock = schedule.flatMap(({ at }, i) => {
    const time = timeOf(at);
    return time !== undefined && "ofDayMs" in time ? [{ i, at, ofDayMs: time.ofDayMs }] : [];
  });
  const [first, last] = [clock[0], clock.at(-1)];
  const falls = clock.filter(({ ofDayMs }, n) => n > 0 && ofDayMs < (clock[n - 1]?.ofDayMs ?? 0));
  if (falls.length === 0 || first === undefined || last === undefined) return;
  const late = falls[1] ?? (last.ofDayMs > first.ofDayMs ? last : undefined);
  if (late !== undefined)
    wrong(late.i, `"${late.at}" is not in its order: write the times as they follow, over midnight once`);
}

function sameTime(a: string, b: string): boolean {
  return JSON.stringify(timeOf(a)) === JSON.stringify(timeOf(b));
}

/** What is wrong with the schedule of a point; undefined: it may have one. */
function refusal(
  { class: deviceClass, points, write }: CommandedDevice,
  name: string,
  policy: Policy,
  id: string,
): string | undefined {
  const names = write?.allow ?? [];
  const point = policy.point(id, name);
  if (deviceClass === "signal-controller")
    return "a signal controller has no schedules here: it keeps its plans by itself";
  if (!points.some((one) => one.name === name))
    return `this device has no point "${name}"${didYouMean(name, names)}`;
  if (point === undefined)
    return `"${name}" is not open for writing: enter it in write.allow${didYouMean(name, names)}`;
  if (point.isSafety) return `"${name}" is a safety point: it is armed by hand each time`;
  if (point.twoPerson) return `"${name}" is written by two persons only (write.confirm)`;
  if (point.refreshMs !== undefined)
    return `"${name}" is held by leases only: its device falls back by itself`;
  return undefined;
}

/** `schedules` of a device, against its points and its `write`. `hasPlace`: it is known where the sun sets. */
export function checkSchedules(
  document: YamlDocument,
  path: Path,
  schedules: DeviceSchedules,
  device: CommandedDevice,
  hasPlace: boolean,
): void {
  const policy = new Policy(anybody, [device]);
  for (const [name, schedule] of Object.entries(schedules)) {
    const own = [...path, name];
    const refused = refusal(device, name, policy, device.id);
    if (refused !== undefined) {
      document.mistake(own, "KERB-CFG-VALUE", refused, { at: "key" });
      continue;
    }
    const point = policy.point(device.id, name);
    for (const [i, { at, value }] of schedule.entries()) {
      const wrong = point === undefined ? undefined : checkValue(value, point);
      if (wrong !== undefined) document.mistake([...own, i, "value"], "KERB-CFG-VALUE", wrong.reason);
      if (!hasPlace && at.startsWith("sun")) {
        const message = `"${at}" needs a place: enter "location" in "gateway", or at the device`;
        document.mistake([...own, i, "at"], "KERB-CFG-MISSING", message);
      }
    }
    checkOrder(document, own, schedule);
  }
}
