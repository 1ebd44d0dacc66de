import { existsSync, readFileSync, rmSync } from "node:fs";
import { setKey, type Written } from "../../config/device-edits.ts";
import type { Language } from "../../config/error-texts.ts";
import { isRecord } from "../../config/path.ts";
import { type Change, secretFile, writeSecret } from "../../config/devices-file.ts";
import { shownFile } from "../../errors.ts";
import { carryOut, changeOf, nothing, openDevice, type Opened } from "./device-change.ts";
import { asking, checkEditable, checkWritable, type SaveOptions } from "./device-save.ts";
import { loginOf, secretIn, setting } from "./device-target.ts";
import {
  concernedFrom,
  failsFrom,
  hasFailed,
  hasPassed,
  isDoubted,
  isQuiet,
  testDevice,
  testFailure,
} from "./device-test.ts";
import { usageError } from "../errors.ts";
import { causeLines, plainDiagnosis } from "../why/ladder-lines.ts";
import { languageOf } from "../language.ts";
import { hint, printLines } from "../output.ts";
import { givenPassword } from "../prompt.ts";
import { siteFlag } from "../site.ts";

export interface SetOptions extends SaveOptions {
  user?: string;
  passwordStdin?: boolean;
  saveAnyway?: boolean;
}

/** `{ transport: { port: 1502 } }` as "transport.port" and its value; a list is a value. */
function keysOf(settings: Readonly<Record<string, Written>>, above = ""): [key: string, value: Written][] {
  return Object.entries(settings).flatMap(([name, value]): [string, Written][] =>
    isRecord(value)
      ? keysOf(value as Record<string, Written>, `${above}${name}.`)
      : [[`${above}${name}`, value]],
  );
}

async function passwordFor(user: string, options: SetOptions, { words, language }: Opened): Promise<string> {
  const password = await givenPassword(words.passwordFor(user), options);
  if (password === "") throw usageError(words.noPassword, words.noPasswordHint, language);
  return password;
}

/** What is to be set; the keys of a login refer to a secret of the device's own. */
async function wanted(
  given: readonly string[],
  { user }: SetOptions,
  { device, words, language }: Opened,
): Promise<[key: string, value: Written][]> {
  const settings = given.map((text) => setting(text, language));
  const clear = settings.map((one) => secretIn(one)).find((key) => key !== undefined);
  if (clear !== undefined) throw usageError(words.secretInClear(clear), words.setSecretHint, language);
  const login = user === undefined ? {} : await loginOf(device.driver, user, `\${secret:${device.id}}`);
  if (login === undefined) throw usageError(words.noLogin(device.driver), words.setWhatHint, language);
  const keys = [...settings.flatMap((one) => keysOf(one)), ...keysOf(login)];
  if (keys.length === 0) throw usageError(words.setWhat, words.setWhatHint, language);
  if (keys.some(([key]) => key === "id"))
    throw usageError(words.setId, `kerb device rename ${device.id} --id NEW`, language);
  return keys;
}

/** `kerb device set`: settings of a device, as its file has them, and its login; tested before they are saved. */
export function deviceSet(id: string, given: readonly string[], options: SetOptions): Promise<number> {
  const language: Language = languageOf(options.lang);
  return asking(language, async () => {
    const opened = await openDevice(id, options);
    const { files, device, words } = opened;
    const keys = await wanted(given, options, opened);
    checkEditable(
      files,
      device,
      () => keys.map(([key, value]) => words.handSet(key, JSON.stringify(value))).join(", "),
      language,
    );
    const change = changeOf(files, device, language, (text, index) =>
      keys.reduce((edited, [key, value]) => setKey(edited, index, key, value), text),
    );
    const { user } = options;
    if (user === undefined && change.before === change.after)
      return nothing("device-set", id, words.isSet(id), opened, options);
    const secret = user === undefined ? undefined : secretFile(files.siteFile, id);
    const password = user === undefined ? "" : await passwordFor(user, options, opened);
    if (secret !== undefined) checkWritable(secret, language);
    const before = secret !== undefined && existsSync(secret) ? readFileSync(secret, "utf8") : undefined;
    let isSaved = false;
    try {
      if (secret !== undefined) writeSecret(files.siteFile, id, password);
      const test = await tested(opened, change, options);
      const ask = { question: test.isDoubted ? words.saveDoubtful : words.save, otherwise: !test.isDoubted };
      const more = { notes: test.notes, told: test.told, whenSaved: () => (isSaved = true) };
      const code = await carryOut("device-set", opened, change, { ...ask, ...more }, options);
      if (options.json !== true) {
        if (test.told.tested === false) hint(words.notTested);
        if (secret !== undefined) hint(words.secretSaved(shownFile(secret)));
        hint(words.nextWhy(id, siteFlag(options.site)));
      }
      return code;
    } finally {
      if (secret !== undefined && !isSaved) {
        if (before === undefined) rmSync(secret, { force: true });
        else writeSecret(files.siteFile, id, before.replace(/\n$/, ""));
      }
    }
  });
}

/** What the test of a change has found. `tested`: null where there was nothing to test. */
interface Tested {
  isDoubted: boolean;
  notes: string[];
  told: { tested: boolean | null } & Partial<Pick<ReturnType<typeof plainDiagnosis>, "steps" | "causes">>;
}

/** Climbs the ladder with the changed settings. Throws `CommandError` where a rung that they concern fails. */
async function tested(
  { files, device, language, words }: Opened,
  change: Change,
  { user, saveAnyway, json }: SetOptions,
): Promise<Tested> {
  const { devices } = await files.checked(change);
  const changed = devices.find(({ id }) => id === device.id);
  const from =
    changed?.enabled === true ? await concernedFrom(device, changed, user !== undefined) : undefined;
  if (changed === undefined || from === undefined)
    return { isDoubted: false, notes: [], told: { tested: null } };
  const isJson = json === true;
  const diagnosed = await testDevice(changed, files, undefined, language, isJson);
  const isFailed = failsFrom(diagnosed, from);
  if (isFailed && saveAnyway !== true)
    throw testFailure(diagnosed, { canSave: true, isJson, device: device.id }, language);
  const { steps, causes } = plainDiagnosis(diagnosed, language, device.id);
  if (!isJson) printLines([...diagnosed.causes.flatMap((one) => causeLines(one, language, device.id)), ""]);
  const isUntold = hasFailed(diagnosed) && !isFailed && !isQuiet(diagnosed);
  return {
    isDoubted: isDoubted(diagnosed),
    notes: isUntold ? [words.notReached] : [],
    told: { tested: hasPassed(diagnosed), steps, causes },
  };
}
