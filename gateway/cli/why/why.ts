import { type DeviceConfig, loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import type { Diagnosed } from "../../diagnosis/facts.ts";
import type { Known } from "../../diagnosis/history.ts";
import { exitCodes, printable } from "../../errors.ts";
import { knownOf } from "./known.ts";
import { causeLines, climbAloud, observationLines, plainDiagnosis } from "./ladder-lines.ts";
import { dictionary, languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { deviceNamed } from "../read/read-source.ts";
import { findSite, siteFlag } from "../site.ts";
import { shownState } from "../status.ts";
import { paint, span } from "../../text.ts";
import { whyWords } from "./why-words.ts";

export interface WhyOptions {
  site?: string;
  json?: boolean;
  lang?: Language;
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

/** What follows of the steps: the causes, or what was seen where no rule fits. */
function conclusion(diagnosed: Diagnosed, device: string, language: Language): string[] {
  const { failed, causes } = diagnosed;
  if (causes.length > 0)
    return causes.flatMap((one) => [
      ...causeLines(one, language, device),
      ...(causes.length > 1 ? [""] : []),
    ]);
  return failed === undefined ? ["", whyWords[language].allBears] : observationLines(diagnosed, language);
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
    ...plainDiagnosis(diagnosed, language, device.id),
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
  const { known, isSilent = false } = await knownOf(file, device, devices);
  const signal = stopSignal();
  if (!isJson) {
    printLines([headLine(device, known, language)]);
    if (known === undefined) hint(isSilent ? words.gatewaySilent : words.noPast);
  }
  const siblings = devices.filter((one) => one.id !== id);
  const { stateFolder } = gateway;
  const diagnosed = await climbAloud({ device, siblings, stateFolder, known, signal }, language, isJson);
  if (signal.aborted) return exitCodes.interrupted;
  if (isJson) printData("why", asJson(diagnosed, device, known, language));
  else {
    printLines(conclusion(diagnosed, id, language));
    if (diagnosed.failed !== undefined && diagnosed.causes.length > 0)
      hint(words.toSet(id, siteFlag(options.site)));
  }
  return diagnosed.failed === undefined && diagnosed.causes.length === 0 ? exitCodes.ok : exitCodes.findings;
}
