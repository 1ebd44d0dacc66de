import { isDeepStrictEqual } from "node:util";
import type { DeviceConfig } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import type { DevicesFiles } from "../../config/devices-file.ts";
import type { Diagnosed } from "../../diagnosis/facts.ts";
import type { Known } from "../../diagnosis/history.ts";
import { diagnosisOf } from "../../diagnosis/knowledge.ts";
import type { Climb } from "../../diagnosis/ladder.ts";
import { placeKey } from "../../diagnosis/places.ts";
import { rungOrder } from "../../diagnosis/rungs.ts";
import type { Rung } from "../../driver.ts";
import { describeError, exitCodes } from "../../errors.ts";
import { deviceCause } from "../../health/causes.ts";
import { newReport } from "../../host/poll-report.ts";
import { deviceWords } from "./device-words.ts";
import { CommandError } from "../errors.ts";
import { climbAloud, observationLines, plainDiagnosis } from "../why/ladder-lines.ts";
import { stopSignal, printLines } from "../output.ts";
import { NoAnswerError } from "../prompt.ts";
import { controlSocket, runningStatus, SilentError } from "../site.ts";
import { forDevice } from "../../text.ts";

/** The test of a device before it is saved: `kerb device add`, `kerb device set`. */

/** How long a device that tells by itself is listened to: most that are not still tell something in that time. */
const listenMs = 10_000;

/**
 * What the gateway knows, without what it knows of this device: that holds for how it was. A line that it holds and a
 * port on which it is called have one user only: there nothing is tried.
 */
async function knownBeside(device: DeviceConfig, siteFile: string): Promise<Known | undefined> {
  const status = await runningStatus(controlSocket(siteFile)).catch(unlessSilent);
  if (status === undefined) return undefined;
  const place = (await diagnosisOf(device.driver))?.place(device.settings);
  const isHeld = place?.over === "serial" || place?.over === "calls";
  const devices = status.devices.flatMap((one) => {
    if (one.id !== device.id) return [one];
    const { id, name, driver, profile, enabled, sinceMs } = one;
    return isHeld ? [{ ...newReport(id, sinceMs), name, driver, profile, enabled, place }] : [];
  });
  return { status: { ...status, devices }, readings: [], nowMs: Date.now() };
}

/** One that does not answer is as good as none here. */
function unlessSilent(error: unknown): undefined {
  if (!(error instanceof SilentError)) throw error;
}

/** Climbs the ladder of a device as it would stand in its file. Throws `NoAnswerError` after Ctrl-C. */
export async function testDevice(
  device: DeviceConfig,
  { siteFile, site }: DevicesFiles,
  choose: Climb["choose"],
  language: Language,
  isJson: boolean,
): Promise<Diagnosed> {
  const signal = stopSignal();
  const climb = {
    device,
    ...(choose === undefined ? {} : { choose }),
    stateFolder: site.gateway.stateFolder,
    siblings: site.devices.filter(({ id }) => id !== device.id),
    known: await knownBeside(device, siteFile),
    signal,
    listenMs,
    hearsAll: true,
  };
  const diagnosed = await climbAloud(climb, language, isJson);
  if (signal.aborted) throw new NoAnswerError();
  return diagnosed;
}

/**
 * The lowest rung that a change of a device concerns; undefined: none, because only the gateway goes by what has
 * changed (its name, how often it is read).
 */
export async function concernedFrom(
  before: DeviceConfig,
  after: DeviceConfig,
  isNewLogin: boolean,
): Promise<Rung | undefined> {
  const isSame = (...keys: (keyof DeviceConfig)[]): boolean =>
    keys.every((key) => isDeepStrictEqual(before[key], after[key]));
  if (!isSame("driver", "settings") || isNewLogin) {
    const driver = await diagnosisOf(after.driver);
    const [was, is] = [before, after].map(({ settings }) => driver?.place(settings));
    if (is === undefined || was === undefined || placeKey(was) !== placeKey(is)) return "network";
    const isSameLine = was.over !== "serial" || is.over !== "serial" || was.line === is.line;
    return was.unit === is.unit && isSameLine ? "protocol" : "line";
  }
  return isSame("profile", "serial", "identify", "points", "records") ? undefined : "identity";
}

/** Whether a rung that was concerned has failed. One that was not reached, because another is broken, has not. */
export const failsFrom = (diagnosed: Diagnosed, from: Rung): boolean =>
  hasFailed(diagnosed) &&
  !isQuiet(diagnosed) &&
  rungOrder.indexOf(diagnosed.failed as Rung) >= rungOrder.indexOf(from);

/** A rung of the device's own; that the IOC is away is no fault of it. */
export const hasFailed = ({ failed }: Diagnosed): boolean => failed !== undefined && failed !== "upstream";

/** One that tells by itself may rightly have nothing to tell yet. */
export const isQuiet = ({ failed, readings }: Diagnosed): boolean =>
  failed === "values" && readings.length > 0 && readings.every(({ unheard }) => unheard === true);

/** It was climbed to its values; a line that the running gateway has to itself was not tried. */
export const hasPassed = (diagnosed: Diagnosed): boolean =>
  isQuiet(diagnosed) ||
  (!hasFailed(diagnosed) &&
    diagnosed.steps.some(({ step, verdict }) => step === "values" && verdict !== "skipped"));

/** Something is not as it should be: it is not saved without a word. */
export const isDoubted = (diagnosed: Diagnosed): boolean =>
  hasFailed(diagnosed) ||
  diagnosed.causes.some(({ step }) => step !== "upstream") ||
  diagnosed.readings.some(({ status, unheard }) => status !== "good" || unheard === true);

/** Why nothing was saved: the cause, and what to do (`cure` instead of what the cause says); `device`: its id, if known. */
export function testFailure(
  diagnosed: Diagnosed,
  { canSave, isJson, cure, device }: { canSave: boolean; isJson: boolean; cure?: string; device?: string },
  language: Language,
): CommandError {
  const words = deviceWords[language];
  const { causes, facts, steps } = diagnosed;
  const [cause] = causes;
  if (cause === undefined && !isJson) printLines(observationLines(diagnosed, language));
  const code = cause?.code ?? deviceCause(String(facts["error"])) ?? "KERB-DEV-REJECTED";
  const { title, likely, do: remedy } = describeError(code, language);
  const evidence = steps.find(({ verdict }) => verdict === "failed")?.evidence;
  return new CommandError({
    exitCode: exitCodes.noAnswer,
    more: plainDiagnosis(diagnosed, language, device),
    language,
    code,
    title: `${words.notSaved}: ${title}`,
    hint:
      cure ??
      [`${forDevice(remedy, device)};`, words.again, ...(canSave ? [words.saveAnyway] : [])].join(" "),
    details: [
      ["seen", (cause?.seen ?? evidence)?.[language] ?? ""],
      ["likely", likely],
    ],
  });
}
