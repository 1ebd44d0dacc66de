import { type DeviceConfig, loadSite } from "../config.ts";
import type { Language } from "../config/error-texts.ts";
import { NotRunningError } from "../control.ts";
import type { Diagnosed, Finding, Step } from "../diagnosis/facts.ts";
import type { Known } from "../diagnosis/history.ts";
import { climbLadder } from "../diagnosis/ladder.ts";
import { describeError, exitCodes, printable } from "../errors.ts";
import type { LatestReading } from "../host/messages.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { dictionary, languageOf } from "./language.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { deviceNamed } from "./read-source.ts";
import { askOnce, controlSocket, findSite, SilentError, siteFlag } from "./site.ts";
import { shownState } from "./status.ts";
import { displayWidth, forDevice, pad, paint, span } from "./text.ts";
import { whyWords } from "./why-words.ts";

export interface WhyOptions {
  site?: string;
  json?: boolean;
  lang?: Language;
}

const columns = 80;

/** A text in lines of at most `width` columns, broken at spaces. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || displayWidth(last) + 1 + displayWidth(word) > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** "label  text", the text in as many lines as it needs. */
export function labelled(label: string, text: string, indent: number, labelWidth: number): string[] {
  const left = indent + labelWidth + 1;
  return wrapped(text, Math.max(30, columns - left)).map((line, index) =>
    index === 0 ? `${" ".repeat(indent)}${pad(label, labelWidth)} ${line}` : `${" ".repeat(left)}${line}`,
  );
}

/** Seen, likely, do: the lines below the title of a cause. */
export function causeLines(
  { code, seen, severity }: Omit<Finding, "step">,
  language: Language,
  { device, indent = 3 }: { device?: string; indent?: number } = {},
): string[] {
  const words = dictionary[language];
  const { title, likely, do: remedy } = describeError(code, language);
  const width = Math.max(9, ...[words.seen, words.likely, words.remedy].map(displayWidth)) + 1;
  const colour = severity === "bad" ? "red" : "yellow";
  return [
    ...wrapped(`${code}  ${title}`, columns - indent).map(
      (line) => `${" ".repeat(indent)}${paint(colour, line)}`,
    ),
    ...labelled(words.seen, seen[language], indent, width),
    ...labelled(words.likely, likely, indent, width),
    ...labelled(words.remedy, forDevice(remedy, device), indent, width),
  ];
}

const marks = {
  ok: ["✓", "green"],
  failed: ["✗", "red"],
  unknown: ["?", "yellow"],
  skipped: ["-", "dim"],
} as const;

function stepLines({ step, verdict, evidence, ms }: Step, number: number, language: Language): string[] {
  const words = whyWords[language];
  const width = Math.max(...Object.values(words.rungs).map(displayWidth));
  const [mark, colour] = marks[verdict];
  const time = step !== "values" || ms === undefined || ms < 50 ? "" : `, ${span(ms)}`;
  return wrapped(`${evidence[language]}${verdict === "ok" ? time : ""}`, columns - width - 6).map(
    (line, index) =>
      index === 0
        ? `${String(number).padStart(2)} ${pad(words.rungs[step], width)} ${paint(colour, mark)} ${line}`
        : `${" ".repeat(width + 6)}${line}`,
  );
}

const clockTime = (ms: number): string => new Date(ms).toTimeString().slice(0, 8);

function headLine(device: DeviceConfig, known: Known | undefined, language: Language): string {
  const words = whyWords[language];
  const report = known?.status.devices.find(({ id }) => id === device.id);
  if (known === undefined || report === undefined) return `${device.id}   ${printable(device.name)}`;
  const parts = [
    device.id,
    shownState(report, dictionary[language]).text,
    words.since(clockTime(report.sinceMs), span(known.nowMs - report.sinceMs)),
    ...((report.enabled && report.state === "online") || report.lastGoodMs === undefined
      ? []
      : [words.lastGood(clockTime(report.lastGoodMs))]),
  ];
  return paint("bold", parts.join("   "));
}

/** What the running gateway knows of a device; undefined where none runs. `isSilent`: one runs and does not answer. */
export async function knownOf(site: string, id: string): Promise<{ known?: Known; isSilent?: boolean }> {
  const socket = controlSocket(site);
  try {
    const status = await askOnce<GatewayStatus>(socket, { verb: "status" });
    const isOnline = status.devices.some((one) => one.id === id && one.enabled && one.state === "online");
    const ask = (verb: string) =>
      askOnce<LatestReading[]>(socket, { verb, args: { device: id, points: [], raw: false } });
    // Asked anew, through the gateway: what is read once a minute only may not have been read yet.
    const readings = await ask(isOnline ? "read" : "latest").catch(() => ask("latest").catch(() => []));
    return { known: { status, readings, nowMs: Date.now() } };
  } catch (error) {
    if (error instanceof NotRunningError) return {};
    if (error instanceof SilentError) return { isSilent: true };
    throw error;
  }
}

/** What follows of the steps: the causes, or what was seen where no rule fits. */
function conclusion({ failed, causes, facts }: Diagnosed, device: string, language: Language): string[] {
  const words = whyWords[language];
  if (causes.length > 0)
    return causes.flatMap((one) => [
      ...causeLines(one, language, { device }),
      ...(causes.length > 1 ? [""] : []),
    ]);
  if (failed === undefined) return ["", words.allBears];
  const seen = Object.entries(facts).toSorted(([a], [b]) => a.localeCompare(b));
  const width = Math.max(...seen.map(([name]) => name.length)) + 1;
  return [
    `   ${paint("yellow", words.noCause)}`,
    `   ${words.noCauseDo}`,
    ...seen.flatMap(([name, fact]) => labelled(name, printable(String(fact)), 5, width)),
  ];
}

/** A finding for machines: its texts in one language. */
function plainFinding({ code, severity, step, seen }: Finding, device: string, language: Language) {
  const { title, likely, do: remedy } = describeError(code, language);
  return { code, severity, step, title, seen: seen[language], likely, do: forDevice(remedy, device) };
}

function asJson(diagnosed: Diagnosed, device: DeviceConfig, known: Known | undefined, language: Language) {
  const report = known?.status.devices.find(({ id }) => id === device.id);
  return {
    device: device.id,
    name: device.name,
    driver: device.driver,
    gateway: known !== undefined,
    ...(report === undefined
      ? {}
      : { state: report.state, sinceMs: report.sinceMs, lastGoodMs: report.lastGoodMs }),
    steps: diagnosed.steps.map(({ evidence, ...step }) => ({ ...step, evidence: evidence[language] })),
    failed: diagnosed.failed,
    causes: diagnosed.causes.map((one) => plainFinding(one, device.id, language)),
    facts: diagnosed.facts,
  };
}

/**
 * `kerb why`: the ladder of one device up to the rung that does not bear, and why. Reads only. Exit codes: 0 all
 * bears, 3 no such device, 6 something does not.
 */
export async function why(id: string, options: WhyOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = whyWords[language];
  const isJson = options.json === true;
  const file = findSite(options.site);
  const { devices, gateway } = await loadSite(file);
  const device = deviceNamed(devices, id, file);
  const { known, isSilent = false } = await knownOf(file, id);
  const signal = stopSignal();
  if (!isJson) {
    printLines([headLine(device, known, language)]);
    if (known === undefined) hint(isSilent ? words.gatewaySilent : words.noPast);
  }
  const climbing = climbLadder({
    device,
    siblings: devices.filter((one) => one.id !== id),
    stateFolder: gateway.stateFolder,
    known,
    signal,
  });
  let number = 0;
  let next = await climbing.next();
  for (; next.done !== true; next = await climbing.next())
    if (!isJson && next.value.verdict !== "skipped") printLines(stepLines(next.value, ++number, language));
  const diagnosed = next.value;
  if (signal.aborted) return exitCodes.interrupted;
  if (isJson) printData("why", asJson(diagnosed, device, known, language));
  else {
    printLines(conclusion(diagnosed, id, language));
    if (diagnosed.failed !== undefined && diagnosed.causes.length > 0)
      hint(words.toSet(id, siteFlag(options.site)));
  }
  return diagnosed.failed === undefined && diagnosed.causes.length === 0 ? exitCodes.ok : exitCodes.findings;
}
