import type { Answer, Reading, Value } from "../../gateway/driver.ts";
import type { RequestedAddress, StatusAddress } from "./settings.ts";
import { bad, buffered } from "./values.ts";

/**
 * Plan and mode as the centre has asked a site for them (SXL for traffic lights, M0001, M0002): asked for by a
 * command, and seen in a status whose source since SXL 1.1 is "forced" where an order from outside is why.
 */

const forced = "forced";
const flash = "YellowFlash";
const normal = "NormalControl";

const part = (status: string, name: string, component: string | undefined): StatusAddress => ({
  status,
  name,
  component,
  as: "text",
  rate: 0,
  onChange: true,
});

/** What has to be read to know what was asked for. */
export function partsOf({ requested, component }: RequestedAddress): StatusAddress[] {
  const [status, names] =
    requested === "plan" ? ["S0014", ["status", "source"]] : ["S0011", ["intersection", "status", "source"]];
  return names.map((name) => part(status, name, component));
}

/**
 * The plan that was asked for, 0 for none; or the functional position, `NormalControl` where none was asked for. Of
 * parts that the site has all buffered it is what was asked for then; where it has buffered some, it is unknown.
 */
export function requestedAnswer(address: RequestedAddress, parts: ReadonlyMap<string, Answer>): Answer {
  const read = [...parts.values()].map((answer): Reading =>
    isReading(answer) ? answer : { value: answer, status: "good" },
  );
  const isPast = read.length > 0 && read.every(({ past }) => past === true);
  const wrong = read.find(({ status }) => status !== "good");
  if (wrong !== undefined) {
    const { raw: _raw, past: _past, ...told } = wrong;
    return { ...told, value: null, ...(isPast ? { past: true } : {}) };
  }
  // Joined they would tell of a moment that never was.
  if (!isPast && read.some(({ past }) => past === true))
    return bad("rsmp-mixed", "the site has told a part of it as of now, and buffered another");
  const lists = new Map([...parts.keys()].map((name, i) => [name, listOf(read[i]?.value)]));
  const made = address.requested === "plan" ? planOf(lists) : modeOf(lists, String(address.intersection));
  if (isReading(made)) return isPast ? { ...made, past: true } : made;
  const times = read.flatMap(({ sourceTimeMs }) => (sourceTimeMs === undefined ? [] : [sourceTimeMs]));
  return {
    value: made,
    status: "good",
    ...(isPast ? buffered : {}),
    ...(times.length === 0 ? {} : { sourceTimeMs: Math.min(...times) }),
  };
}

const isReading = (answer: Answer | undefined): answer is Reading =>
  typeof answer === "object" && answer !== null && "value" in answer;

const listOf = (value: unknown): string[] => (typeof value === "string" ? value.split(",") : []);

type Lists = ReadonlyMap<string, readonly string[]>;

function planOf(lists: Lists): number | Reading {
  const [plan = ""] = lists.get("status") ?? [];
  if (!/^\d{1,3}$/.test(plan)) return bad("rsmp-type", `${JSON.stringify(plan.slice(0, 40))} is no plan`);
  return lists.get("source")?.includes(forced) === true ? Number(plan) : 0;
}

/** One value for each intersection, in the order of their numbers; "0" alone is the whole site. */
function modeOf(lists: Lists, intersection: string): string | Reading {
  const [numbers, shown, sources] = ["intersection", "status", "source"].map((name) => lists.get(name) ?? []);
  const wanted = (numbers ?? []).flatMap((number, i) =>
    intersection === "0" || number === "0" || number === intersection ? [i] : [],
  );
  if (wanted.length === 0) return bad("rsmp-absent", `there is no intersection ${intersection}`);
  const asked = wanted.map((i) => shown?.[i]?.toLowerCase() === "true" && sources?.[i] === forced);
  if (new Set(asked).size > 1) return bad("rsmp-mixed", "not all intersections have been asked for the same");
  return asked[0] === true ? flash : normal;
}

/** The command that asks for it: its code and its arguments but for the security code; else why it cannot be. */
export function commandOf(
  { requested, intersection, timeoutMinutes }: RequestedAddress,
  value: Value,
): { command: string; do: string; name: string; values: [string, string][] } | string {
  if (requested === "mode") {
    const values: [string, string][] = [
      ["status", String(value)],
      // What gives control back must not lapse: it would end in what was before it.
      ["timeout", String(value === normal ? 0 : timeoutMinutes)],
      ["intersection", String(intersection)],
    ];
    return { command: "M0001", do: "setValue", name: "status", values };
  }
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 255)
    return `a plan is a whole number from 1 to 255, or 0 for none, not ${String(value)}`;
  const isAsked = value > 0;
  const values: [string, string][] = [
    ["status", isAsked ? "True" : "False"],
    ["timeplan", String(isAsked ? value : 1)],
  ];
  return { command: "M0002", do: "setPlan", name: isAsked ? "timeplan" : "status", values };
}
