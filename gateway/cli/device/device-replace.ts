import type { DeviceConfig } from "../../config/config.ts";
import { setKey } from "../../config/device-edits.ts";
import { DevicesFiles } from "../../config/devices-file.ts";
import { exitCodes, printable } from "../../errors.ts";
import { differing, type Marks, marksOf } from "../../host/pin.ts";
import { changeOf } from "./device-change.ts";
import { noteReplacement, pinOf } from "./device-history.ts";
import { agree, asking, checkEditable, type SaveOptions, shownChange, store } from "./device-save.ts";
import { checkTold } from "./device-target.ts";
import { deviceWords } from "./device-words.ts";
import { usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { namedIdentity } from "../../discovery/named-identity.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { NoAnswerError } from "../prompt.ts";
import { deviceNamed, openSource, type Source, type WhoItIs } from "../read/read-source.ts";
import { findSite, notRunning } from "../site.ts";
import { displayWidth, pad } from "../../text.ts";

/** `kerb device replace`: another unit in the place of the one that was there. */

function pinned(stateFolder: string, device: DeviceConfig): Marks | undefined {
  try {
    return pinOf(stateFolder, device).read();
  } catch {
    return undefined;
  }
}

/** Replaces one device of an opened site. */
async function replaced(
  files: DevicesFiles,
  device: DeviceConfig,
  source: Source,
  options: SaveOptions,
): Promise<number> {
  const language = languageOf(options.lang);
  const words = deviceWords[language];
  const { id, serial } = device;
  const { stateFolder } = files.site.gateway;
  const signal = stopSignal();
  const found: WhoItIs = await source.identify(false, signal).catch((error: unknown) => {
    throw signal.aborted ? new NoAnswerError() : error;
  });
  if (found.mismatch !== undefined)
    throw usageError(`${words.otherModel}: ${printable(found.mismatch)}`, words.otherModelHint(id), language);
  const now = marksOf(found.identity);
  const before = pinned(stateFolder, device);
  const known: Marks = { ...before, ...(serial === undefined ? {} : { serial }) };
  const isWritten = serial !== undefined && now.serial !== undefined && serial !== now.serial;
  const isMute = Object.keys(now).length === 0;
  const isSame = before !== undefined && differing(known, now).length === 0;
  if (!isWritten && (isMute || isSame)) {
    if (options.json === true)
      printData("device-replace", { device: id, changed: false, before: known, now });
    else printLines([isMute ? words.tellsNothing : words.sameUnit]);
    return exitCodes.ok;
  }
  checkTold(isWritten ? now.serial : "", language);
  const change = isWritten
    ? changeOf(files, device, language, (text, index) => setKey(text, index, "serial", now.serial ?? ""))
    : undefined;
  if (change !== undefined) {
    checkEditable(files, device, () => words.handSet("serial", now.serial ?? ""), language);
    await files.checked(change);
  }
  if (options.json !== true) {
    const width = Math.max(displayWidth(words.unitBefore), displayWidth(words.unitNow));
    printLines([
      `  ${pad(words.unitBefore, width)}  ${namedIdentity(known, language) || words.nobody}`,
      `  ${pad(words.unitNow, width)}  ${namedIdentity(now, language) || words.nobody}`,
      ...(change === undefined ? [] : shownChange(change, words)),
    ]);
    if (now.serial === undefined && now.certificate === undefined) hint(words.untoldUnit);
  }
  await agree(words.replaceAsk(id), false, options, language);
  const saved = change === undefined ? undefined : await store(files, change, options, language);
  // A gateway that does not know the new line yet would refuse; with it, it takes the new unit by itself.
  if (saved === undefined || saved.gateway === "applied") await source.identify(true, stopSignal());
  noteReplacement(stateFolder, device, { before: before ?? null, now });
  if (options.json === true)
    printData("device-replace", { device: id, changed: true, before: known, now, saved });
  else hint(words.accepted(id, namedIdentity(now, language) || words.nobody));
  return exitCodes.ok;
}

/** `kerb device replace`: the unit that answers is the right one from here on. Exit codes: 3 no such device, 5 no answer. */
export function deviceReplace(id: string, options: SaveOptions): Promise<number> {
  const language = languageOf(options.lang);
  return asking(language, async () => {
    const words = deviceWords[language];
    const site = findSite(options.site);
    const files = await DevicesFiles.open(site);
    const device = deviceNamed(files.site.devices, id, site);
    if (!device.enabled) throw usageError(words.disabledFirst(id), words.disabledFirstHint(id), language);
    let source: Source | undefined;
    try {
      source = await openSource(site, id, { points: [], raw: false, asksWho: true, language });
      return await replaced(files, device, source, options);
    } catch (error) {
      return notRunning(error, site, language);
    } finally {
      await source?.close();
    }
  });
}
