import type { Language } from "../../config/error-texts.ts";
import { printable } from "../../errors.ts";
import type { DeviceChange, KeyChange, Plan } from "../../generations/plan.ts";
import { configWords } from "./config-words.ts";
import { displayWidth, pad, paint } from "../../text.ts";

/** A plan as people read it: one line for each thing that changes. */

const marks = { added: "+", removed: "-", other: "~", gateway: "!", rest: "=" } as const;
const colours = { "+": "green", "-": "red", "~": "yellow", "!": "red", "=": "dim" } as const;

interface Row {
  mark: keyof typeof colours;
  what: string;
  change: string;
  does: string;
}

function changeText({ key, before, after }: KeyChange, changed: string): string {
  const name = printable(key);
  if (before === undefined && after === undefined) return `${name} ${changed}`;
  return `${name} ${printable(before ?? "-")} -> ${printable(after ?? "-")}`;
}

function deviceRows({ device, action, change, keys }: DeviceChange, language: Language): Row[] {
  const words = configWords[language];
  const isOnOff = keys.some(({ key }) => key === "enabled");
  const started = action === "start" ? marks.added : action === "stop" ? marks.removed : marks.other;
  const mark = change === undefined ? started : marks[change];
  const shown = isOnOff ? keys.filter(({ key }) => key === "enabled") : keys;
  const texts = shown.map((one) => changeText(one, words.changed));
  const [first = ""] = texts;
  const rows: Row[] = [{ mark, what: device, change: first, does: words.actions[action] }];
  for (const text of texts.slice(1)) rows.push({ mark, what: "", change: text, does: "" });
  return rows;
}

const keysMax = 6;

/** The lines of a plan, aligned; without the last line where nothing is untouched. */
export function planLines(plan: Plan, language: Language): string[] {
  const words = configWords[language];
  const rows: Row[] = plan.devices.flatMap((one) => {
    const found = deviceRows(one, language);
    const hidden = found.length - keysMax;
    return hidden > 0
      ? [...found.slice(0, keysMax), { mark: marks.other, what: "", change: `… +${hidden}`, does: "" }]
      : found;
  });
  for (const { restarts, ...one } of plan.site)
    rows.push({
      mark: restarts ? marks.gateway : marks.other,
      what: printable(one.key),
      change: changeText(one, words.changed).slice(printable(one.key).length + 1),
      does: restarts ? words.restarts : words.live,
    });
  const widths = (of: (row: Row) => string) =>
    Math.min(34, Math.max(0, ...rows.map((row) => displayWidth(of(row)))));
  const [what, change] = [widths((row) => row.what), widths((row) => row.change)];
  const lines = rows.map((row) => {
    const sign = row.what === "" ? " " : row.mark;
    const text = `${sign} ${pad(row.what, what)}  ${pad(row.change, change)}  ${row.does}`;
    return paint(colours[row.mark], text.trimEnd());
  });
  return plan.untouched === 0 ? lines : [...lines, paint("dim", `= ${words.untouched(plan.untouched)}`)];
}
