import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DeviceConfig } from "../../config/config.ts";
import type { Written } from "../../config/device-edits.ts";
import type { Language } from "../../config/error-texts.ts";
import { type Change, DevicesFiles, secretFile, writeSecret } from "../../config/devices-file.ts";
import type { Diagnosed } from "../../diagnosis/facts.ts";
import type { Met } from "../../diagnosis/talk.ts";
import type { Chosen } from "../../discovery/candidates.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { mergeSettings } from "../../profiles/profiles.ts";
import {
  agree,
  asking,
  checkWritable,
  edited,
  type Saved,
  type SaveOptions,
  shownChange,
  shownPlace,
  store,
} from "./device-save.ts";
import {
  checkTold,
  lacksLogin,
  loginOf,
  sameDevice,
  type Target,
  type TargetOptions,
  targetOf,
} from "./device-target.ts";
import { type DeviceWords, deviceWords } from "./device-words.ts";
import { CommandError, usageError } from "../errors.ts";
import { hasFailed, isDoubted, isQuiet, testDevice, testFailure } from "./device-test.ts";
import { causeLines, plainDiagnosis } from "../why/ladder-lines.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { profileFor } from "../discover/profile-choice.ts";
import { profileNamed } from "../profile/profiles.ts";
import { askLine, askSecret, isPersonThere, pipedLine } from "../prompt.ts";
import { findSite, siteFlag } from "../site.ts";

export interface AddOptions extends TargetOptions, SaveOptions {
  id?: string;
  name?: string;
  user?: string;
  passwordStdin?: boolean;
  file?: string;
  saveAnyway?: boolean;
}

const idPattern = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,39}$/;

/** One run of the verb. */
class Adding {
  readonly #options: AddOptions;
  readonly #language: Language;
  readonly #words: DeviceWords;
  readonly #files: DevicesFiles;
  readonly #target: Target;
  readonly #id: string;
  readonly #file: string;
  #login: Record<string, Written> = {};
  /** Written for the test, and taken back where nothing is saved. */
  #secret: string | undefined;
  #change: Change | undefined;
  /** As it will stand in the file. */
  #device: DeviceConfig | undefined;
  /** Of a device that came without a profile. */
  #chosen: Chosen | undefined;

  private constructor(
    files: DevicesFiles,
    target: Target,
    place: { id: string; file: string },
    options: AddOptions,
  ) {
    this.#files = files;
    this.#target = target;
    this.#id = place.id;
    this.#file = place.file;
    this.#options = options;
    this.#language = languageOf(options.lang);
    this.#words = deviceWords[this.#language];
  }

  static async open(text: string | undefined, options: AddOptions): Promise<Adding> {
    const language = languageOf(options.lang);
    const files = await DevicesFiles.open(findSite(options.site));
    const target = await targetOf(text, options, files.siteFile, language);
    const id = await idFor(files, target, options, language);
    const file = fileFor(files, id, options, language);
    checkWritable(file, language);
    return new Adding(files, target, { id, file }, options);
  }

  async run(): Promise<number> {
    try {
      await this.#password();
      const { profile, own } = this.#target;
      const isStranger = profile === undefined && own["points"] === undefined;
      // What the checker says comes before anybody is asked.
      const device = isStranger
        ? (await this.#checked(undefined, { points: {} })).device
        : await this.#written(profile);
      const same = sameDevice(this.#target, device.settings, this.#files.site.devices);
      if (same !== undefined && this.#options.saveAnyway !== true)
        throw usageError(
          this.#words.sameDevice(same.id, shownPlace(same)),
          this.#words.sameDeviceHint(same.id),
          this.#language,
        );
      const diagnosed = await this.#climb(device, isStranger);
      const saved = await this.#save(diagnosed);
      this.#secret = undefined;
      this.#told(diagnosed, saved);
      return exitCodes.ok;
    } finally {
      if (this.#secret !== undefined) rmSync(this.#secret, { force: true });
    }
  }

  /** Asks for the password of `--user`, writes it as a secret, and refers to it. */
  async #password(): Promise<void> {
    const { user, passwordStdin, json } = this.#options;
    const words = this.#words;
    if (user === undefined) return;
    const reference = `\${secret:${this.#id}}`;
    const login = await loginOf(this.#target.driver, user, reference);
    if (login === undefined)
      throw usageError(words.noLogin(this.#target.driver), words.noLoginHint, this.#language);
    const file = secretFile(this.#files.siteFile, this.#id);
    const users = this.#usersOf(reference);
    if (existsSync(file) && users.length > 0)
      throw usageError(
        words.secretTaken(shownFile(file), users.join(", ")),
        words.secretTakenHint,
        this.#language,
      );
    checkWritable(file, this.#language);
    const canAsk = json !== true && isPersonThere();
    const password =
      passwordStdin === true ? await pipedLine() : canAsk ? await askSecret(words.passwordFor(user)) : "";
    if (password === "") throw usageError(words.noPassword, words.noPasswordHint, this.#language);
    const before = existsSync(file) ? readFileSync(file) : undefined;
    writeSecret(this.#files.siteFile, this.#id, password);
    // One that was left behind by a device of that id is nobody's.
    if (before === undefined) this.#secret = file;
    this.#login = login;
  }

  #usersOf(reference: string): string[] {
    return this.#files.site.files
      .filter((file) => this.#files.textOf(file)?.includes(reference) === true)
      .map((file) => shownFile(file));
  }

  /** The device as it would stand in the file, checked with all the others. Throws `ConfigError`. */
  async #checked(
    profile: string | undefined,
    more: Record<string, unknown>,
  ): Promise<{ change: Change; device: DeviceConfig }> {
    const { driver, own } = this.#target;
    const { name } = this.#options;
    checkTold(more, this.#language);
    const settings = mergeSettings(mergeSettings(own, more), this.#login) as Record<string, Written>;
    const device: Record<string, Written> = {
      id: this.#id,
      ...(name === undefined ? {} : { name }),
      driver,
      ...(profile === undefined ? {} : { profile }),
      ...settings,
    };
    const at = { id: this.#id, place: { file: this.#file, line: 1 } } as DeviceConfig;
    const change = edited(at, this.#language, () => this.#files.adding(this.#file, device));
    const { devices } = await this.#files.checked(change);
    return { change, device: devices.find(({ id }) => id === this.#id)! };
  }

  /** The device as it will stand in the file. Throws `ConfigError`. */
  async #written(profile: string | undefined, needed: Record<string, unknown> = {}): Promise<DeviceConfig> {
    const { change, device } = await this.#checked(profile, needed);
    this.#change = change;
    this.#device = device;
    return device;
  }

  /** The profile that `kerb discover` would name. */
  async #choose(stranger: DeviceConfig, { identity, needed }: Met): Promise<DeviceConfig | undefined> {
    const chosen = await profileFor(stranger, identity, stopSignal());
    this.#chosen = chosen;
    const { profile, equals = [] } = chosen;
    if (profile === undefined || equals.length > 0) return undefined;
    if (this.#options.json !== true)
      printLines(this.#words.taken(profile, reasonText(chosen, this.#language)));
    return this.#written(profile, needed);
  }

  async #climb(device: DeviceConfig, isStranger: boolean): Promise<Diagnosed> {
    const choose = isStranger ? (met: Met) => this.#choose(device, met) : undefined;
    return testDevice(device, this.#files, choose, this.#language, this.#options.json === true);
  }

  async #save(diagnosed: Diagnosed): Promise<Saved> {
    const { saveAnyway, json } = this.#options;
    const words = this.#words;
    const { causes } = diagnosed;
    const isBlocked = hasFailed(diagnosed) && !isQuiet(diagnosed);
    if (isBlocked && (saveAnyway !== true || this.#change === undefined))
      throw await this.#failure(diagnosed);
    const change = this.#change!;
    if (json !== true)
      printLines([
        ...causes.flatMap((one) => causeLines(one, this.#language)),
        "",
        ...shownChange(change, words),
      ]);
    const isDoubtful = isDoubted(diagnosed);
    await agree(isDoubtful ? words.saveDoubtful : words.save, !isDoubtful, this.#options, this.#language);
    return store(this.#files, change, this.#options, this.#language);
  }

  /** Why nothing was saved: the cause, and what to do. */
  async #failure(diagnosed: Diagnosed): Promise<CommandError> {
    const words = this.#words;
    const language = this.#language;
    const { failed, causes } = diagnosed;
    const { profile, driver, needs, own } = this.#target;
    // A profile that was only guessed, and is not it, is no failure of the device.
    if (failed === "identity" && profile === undefined && causes[0]?.code !== "KERB-DEV-UNIT")
      return new CommandError({
        exitCode: exitCodes.noAnswer,
        more: plainDiagnosis(diagnosed, language),
        language,
        code: "KERB-DEV-UNSUPPORTED",
        title: `${words.notSaved}: ${words.whichProfile}`,
        hint: profileCure(this.#chosen, this.#device?.profile, driver, words),
        ...(this.#chosen === undefined
          ? {}
          : { details: [["seen", reasonText(this.#chosen, language)]] as const }),
      });
    const wantsLogin =
      this.#options.user === undefined &&
      (failed === "login" || (needs.length > 0 && failed !== "network" && failed !== "port")) &&
      (await lacksLogin(driver, own));
    // Without a profile there is nothing yet that could be saved.
    const canSave = this.#change !== undefined;
    const isJson = this.#options.json === true;
    return testFailure(
      diagnosed,
      { canSave, isJson, ...(wantsLogin ? { cure: words.needsLoginHint } : {}) },
      language,
    );
  }

  #told(diagnosed: Diagnosed, saved: Saved): void {
    const words = this.#words;
    const device = this.#device;
    const tested = !hasFailed(diagnosed);
    if (this.#options.json === true) {
      const { steps, causes } = plainDiagnosis(diagnosed, this.#language);
      const { identity } = diagnosed;
      const { profile = null } = device ?? {};
      const { match, reasons } = this.#chosen ?? {};
      const chosen = match === undefined ? {} : { chosen: { match, reasons } };
      const what = { device: this.#id, tested, steps, causes, identity, profile, ...chosen };
      printData("device-add", { ...what, ...saved });
      return;
    }
    if (!tested) hint(words.notTested);
    if (Object.keys(this.#login).length > 0)
      hint(words.secretSaved(shownFile(secretFile(this.#files.siteFile, this.#id))));
    const offered = device?.points.filter(({ write }) => write !== undefined).length ?? 0;
    if (device !== undefined) hint(words.writable(offered));
    hint(words.next(this.#id, siteFlag(this.#options.site)));
  }
}

const reasonText = ({ reasons }: Chosen, language: Language): string =>
  reasons.map((reason) => reason[language]).join("; ");

function profileCure(
  chosen: Chosen | undefined,
  tried: string | undefined,
  driver: string,
  words: DeviceWords,
): string {
  const { profile, equals = [], also = [] } = chosen ?? {};
  const fitting = [...new Set([profile, ...equals, ...also])].filter(
    (one) => one !== undefined && one !== tried,
  );
  return fitting.length === 0 ? words.noProfileFits(driver) : words.whichProfileHint(fitting.join("|"));
}

/** "energy-meter-02": the class of the model, or the driver, with the next number that is free. */
function suggestedId(devices: readonly DeviceConfig[], { profile, driver }: Target): string {
  const stem = profile === undefined ? driver : profileNamed(profile).class;
  for (let number = 1; ; number++) {
    const id = `${stem.slice(0, 36)}-${String(number).padStart(2, "0")}`;
    if (devices.every((device) => device.id !== id)) return id;
  }
}

async function idFor(
  { site }: DevicesFiles,
  target: Target,
  options: AddOptions,
  language: Language,
): Promise<string> {
  const words = deviceWords[language];
  const suggested = suggestedId(site.devices, target);
  const canAsk = options.json !== true && isPersonThere();
  const asked = options.id ?? (canAsk ? (await askLine(words.idPrompt(suggested))) || suggested : undefined);
  if (asked === undefined) throw usageError(words.idNeeded, words.idNeededHint(suggested), language);
  checkId(asked, site.devices, language);
  return asked;
}

/** Throws `CommandError` where an id is none, or taken. */
export function checkId(id: string, devices: readonly DeviceConfig[], language: Language): void {
  const words = deviceWords[language];
  if (!idPattern.test(id)) throw usageError(words.idWrong(id), "--id light-cab-01", language);
  const taken = devices.find((device) => device.id === id);
  if (taken !== undefined)
    throw usageError(words.idTaken(id, shownPlace(taken)), words.idTakenHint, language);
}

/** The file that the device goes into. Throws `CommandError` where there is none. */
function fileFor(files: DevicesFiles, id: string, { file }: AddOptions, language: Language): string {
  const words = deviceWords[language];
  const { siteFile, site } = files;
  const shownSite = shownFile(siteFile);
  if (file !== undefined) {
    const named = [resolve(file), resolve(dirname(siteFile), file)];
    if (named.includes(siteFile))
      throw usageError(words.siteItself(shownSite), "--file devices.d/NAME.yaml", language);
    const found = named.find((one) => files.isIncluded(one));
    if (found !== undefined) return found;
    const list = site.files.filter((one) => one !== siteFile).map((one) => shownFile(one));
    throw usageError(
      words.notIncluded(file, shownSite),
      list.length === 0
        ? words.noIncludeHint("include: [devices.d/*.yaml]")
        : words.notIncludedHint(list.join(", ")),
      language,
    );
  }
  const own = files.fileFor(id);
  if (own !== undefined) return own;
  throw usageError(words.noInclude(shownSite), words.noIncludeHint("include: [devices.d/*.yaml]"), language);
}

/** `kerb device add`: tests a device step by step, and writes it into a file of the site when somebody agrees. */
export function deviceAdd(text: string | undefined, options: AddOptions): Promise<number> {
  return asking(languageOf(options.lang), async () => (await Adding.open(text, options)).run());
}
