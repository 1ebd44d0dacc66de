import { existsSync } from "node:fs";
import type { DeviceConfig } from "../../config/config.ts";
import { indexOfDevice, removeDevice, setKey } from "../../config/device-edits.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Change, DevicesFiles, secretFile } from "../../config/devices-file.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { checkId } from "./device-add.ts";
import { forgetUnits, moveUnits } from "./device-history.ts";
import { statusOf } from "./device-list.ts";
import { agree, asking, checkEditable, edited, type SaveOptions, shownChange, store } from "./device-save.ts";
import { type DeviceWords, deviceWords } from "./device-words.ts";
import { usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { deviceNamed } from "../read/read-source.ts";
import { findSite } from "../site.ts";
import { totalBooks } from "../status.ts";

/** `kerb device rename|enable|disable|remove`: changes of the lines of one device. */

export interface RenameOptions extends SaveOptions {
  id?: string;
}

/** A device of a site whose files may be changed. */
export interface Opened {
  files: DevicesFiles;
  device: DeviceConfig;
  language: Language;
  words: DeviceWords;
}

/** Opens the files of a site. Throws where there is no such device, or the site is wrong. */
export async function openDevice(id: string, options: SaveOptions): Promise<Opened> {
  const language = languageOf(options.lang);
  const files = await DevicesFiles.open(findSite(options.site));
  const device = deviceNamed(files.site.devices, id, files.siteFile);
  return { files, device, language, words: deviceWords[language] };
}

/** The change of a device's file by an edit of its text. */
export function changeOf(
  files: DevicesFiles,
  device: DeviceConfig,
  language: Language,
  edit: (text: string, index: number) => string,
): Change {
  const { file } = device.place;
  return edited(device, language, () =>
    files.editing(file, (text) => edit(text, indexOfDevice(text, device.id))),
  );
}

/** Says that all is so already; exit code 0. */
export function nothing(
  kind: string,
  id: string,
  what: string,
  { words }: Opened,
  options: SaveOptions,
): number {
  if (options.json === true) printData(kind, { device: id, changed: false });
  else printLines([words.nothingToDo(what)]);
  return exitCodes.ok;
}

/** Shows, asks, saves, and tells what follows of it. Throws `ConfigError` where the site would be wrong. */
export async function carryOut(
  kind: string,
  { files, device, language }: Opened,
  change: Change,
  {
    question,
    otherwise,
    notes,
    told = {},
    whenSaved,
    after,
  }: {
    question: string;
    otherwise: boolean;
    notes: string[];
    /** Further members for machines. */
    told?: object;
    whenSaved?: () => void;
    after?: () => void;
  },
  options: SaveOptions,
): Promise<number> {
  const words = deviceWords[language];
  await files.checked(change);
  if (options.json !== true) printLines([...shownChange(change, words), ...notes]);
  await agree(question, otherwise, options, language);
  const saved = await store(files, change, options, language, whenSaved);
  after?.();
  if (options.json === true) printData(kind, { device: device.id, changed: true, ...told, ...saved });
  return exitCodes.ok;
}

/** `kerb device rename`: its name, which only people read, or its id, by which the IOC knows it. */
export function deviceRename(id: string, name: string | undefined, options: RenameOptions): Promise<number> {
  return asking(languageOf(options.lang), async () => {
    const opened = await openDevice(id, options);
    const { files, device, language, words } = opened;
    const { id: fresh } = options;
    if (name === undefined && fresh === undefined)
      throw usageError(words.renameWhat, words.renameWhatHint, language);
    if (fresh !== undefined) checkId(fresh, files.site.devices, language);
    if (fresh === undefined && device.name === name)
      return nothing("device-rename", id, words.isNamed(id, name ?? ""), opened, options);
    const by = [
      ...(name === undefined ? [] : [words.handSet("name", name)]),
      ...(fresh === undefined ? [] : [words.handSet("id", fresh)]),
    ];
    checkEditable(files, device, () => by.join(", "), language);
    const change = changeOf(files, device, language, (text, index) => {
      const named = name === undefined ? text : setKey(text, index, "name", name);
      return fresh === undefined ? named : setKey(named, index, "id", fresh);
    });
    const { stateFolder } = files.site.gateway;
    const ask =
      fresh === undefined
        ? { question: words.save, otherwise: true, notes: [] }
        : {
            question: words.saveDoubtful,
            otherwise: false,
            notes: [words.newId(id, fresh)],
            whenSaved: () => moveUnits(stateFolder, device, { ...device, id: fresh }),
          };
    return carryOut("device-rename", opened, change, ask, options);
  });
}

/** `kerb device enable|disable`: whether it is read. */
export function deviceEnable(id: string, enabled: boolean, options: SaveOptions): Promise<number> {
  return asking(languageOf(options.lang), async () => {
    const opened = await openDevice(id, options);
    const { files, device, language, words } = opened;
    const kind = enabled ? "device-enable" : "device-disable";
    if (device.enabled === enabled)
      return nothing(kind, id, enabled ? words.isEnabled(id) : words.isDisabled(id), opened, options);
    checkEditable(files, device, () => words.handSet("enabled", String(enabled)), language);
    const change = changeOf(files, device, language, (text, index) =>
      setKey(text, index, "enabled", enabled),
    );
    const notes = enabled ? [] : [words.disabledMeans];
    return carryOut(kind, opened, change, { question: words.save, otherwise: true, notes }, options);
  });
}

/** Secrets that only this device refers to. */
function secretsOf(files: DevicesFiles, { file, after }: Change): string[] {
  const before = files.textOf(file) ?? "";
  const others = files.site.files.filter((one) => one !== file).map((one) => files.textOf(one) ?? "");
  const used = new Set(before.match(/\$\{secret:[\w.-]+\}/g));
  return [...used]
    .filter((reference) => [after ?? "", ...others].every((text) => !text.includes(reference)))
    .map((reference) => secretFile(files.siteFile, reference.slice("${secret:".length, -1)))
    .filter((one) => existsSync(one));
}

/** `kerb device remove`: takes its lines out. What it has told is still delivered. */
export function deviceRemove(id: string, options: SaveOptions): Promise<number> {
  return asking(languageOf(options.lang), async () => {
    const opened = await openDevice(id, options);
    const { files, device, language, words } = opened;
    checkEditable(files, device, (_, { first, last }) => words.handRemove(first, last), language);
    const change = changeOf(files, device, language, removeDevice);
    const status = await statusOf(files.siteFile);
    const kept = status === undefined ? undefined : totalBooks(status.outbox).kept;
    const secrets = secretsOf(files, change);
    return carryOut(
      "device-remove",
      opened,
      change,
      {
        question: words.removeAsk(id),
        otherwise: false,
        notes: [words.stillDelivered(kept)],
        after: () => {
          forgetUnits(files.site.gateway.stateFolder, device);
          if (options.json !== true) for (const file of secrets) hint(words.secretLeft(shownFile(file)));
        },
      },
      options,
    );
  });
}
