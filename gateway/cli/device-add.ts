import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DeviceConfig } from "../config.ts";
import type { Written } from "../config/device-edits.ts";
import { driverSchemas } from "../config/drivers.ts";
import type { Language } from "../config/error-texts.ts";
import { type Change, DevicesFiles, secretFile, writeSecret } from "../devices-file.ts";
import type { Identity } from "../driver.ts";
import { describeError, exitCodes, printable, shownFile } from "../errors.ts";
import type { Match } from "../profile-match.ts";
import { mergeSettings } from "../profiles.ts";
import type { Step } from "../diagnosis/facts.ts";
import { climb, type Climbed } from "./device-ladder.ts";
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
import { loginOf, sameDevice, type Target, type TargetOptions, targetOf } from "./device-target.ts";
import { type DeviceWords, deviceWords } from "./device-words.ts";
import { CommandError, usageError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { profileNamed } from "./profiles.ts";
import { askLine, askSecret, isPersonThere, NoAnswerError, pipedLine } from "./prompt.ts";
import { controlSocket, findSite, siteFlag } from "./site.ts";
import { paint } from "./text.ts";
import { whyWords } from "./why-words.ts";

export interface AddOptions extends TargetOptions, SaveOptions {
  id?: string;
  name?: string;
  user?: string;
  passwordStdin?: boolean;
  file?: string;
  saveAnyway?: boolean;
}

const idPattern = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,39}$/;

const marks = { ok: "✓", failed: "✗", unknown: "?", skipped: "-" } as const;
const colours = { ok: "green", failed: "red", unknown: "yellow", skipped: "dim" } as const;

/** A step of the ladder as a line. */
export function stepLine({ step, verdict, evidence }: Step, number: number, language: Language): string {
  const { rungs } = whyWords[language];
  const width = Math.max(...Object.values(rungs).map((name) => name.length));
  const mark = paint(colours[verdict], marks[verdict]);
  return ` ${number} ${rungs[step].padEnd(width)}  ${mark} ${printable(evidence[language])}`.trimEnd();
}

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
  #steps = 0;

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
      const password = await this.#password();
      const stranger = await this.#stranger(password);
      const same = sameDevice(this.#target, stranger.settings, this.#files.site.devices);
      if (same !== undefined && this.#options.saveAnyway !== true)
        throw usageError(
          this.#words.sameDevice(same.id, shownPlace(same)),
          this.#words.sameDeviceHint(same.id),
          this.#language,
        );
      const climbed = await this.#climb(stranger);
      const saved = await this.#save(climbed);
      this.#secret = undefined;
      this.#told(climbed, saved);
      return exitCodes.ok;
    } finally {
      if (this.#secret !== undefined) rmSync(this.#secret, { force: true });
    }
  }

  /** Asks for the password of `--user`, writes it as a secret, and refers to it. */
  async #password(): Promise<string | undefined> {
    const { user, passwordStdin, json } = this.#options;
    const words = this.#words;
    if (user === undefined) return undefined;
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
    return password;
  }

  #usersOf(reference: string): string[] {
    return this.#files.site.files
      .filter((file) => this.#files.textOf(file)?.includes(reference) === true)
      .map((file) => shownFile(file));
  }

  /** The device without profile and points: who is there is open. */
  async #stranger(password: string | undefined): Promise<DeviceConfig> {
    const { driver, own, profile } = this.#target;
    const { user } = this.#options;
    const login = user === undefined ? {} : ((await loginOf(driver, user, password ?? "")) ?? {});
    const under = profile === undefined ? {} : profileNamed(profile).settings;
    const { settings } = await driverSchemas(driver);
    const parsed = settings.safeParse(mergeSettings(under, mergeSettings(own, login)));
    const place = { file: this.#file, line: 0 };
    const bare = {
      id: this.#id,
      name: this.#id,
      driver,
      enabled: true,
      profile: undefined,
      class: undefined,
    };
    return {
      ...bare,
      firmwareRange: "*",
      // What is wrong with them is told by the checker, with its place.
      settings: parsed.success ? parsed.data : own,
      identify: undefined,
      identity: undefined,
      pollMs: { fast: 1000, normal: 1000, slow: 1000 },
      points: [],
      records: [],
      alarms: [],
      silenceMs: 0,
      place,
    };
  }

  /** The device as it will stand in the file, checked with all the others. Throws `ConfigError`. */
  async #written(profile: string | undefined, needed: Record<string, unknown>): Promise<DeviceConfig> {
    const { driver, own } = this.#target;
    const { name } = this.#options;
    const settings = mergeSettings(mergeSettings(own, needed), this.#login) as Record<string, Written>;
    const device: Record<string, Written> = {
      id: this.#id,
      ...(name === undefined ? {} : { name }),
      driver,
      ...(profile === undefined ? {} : { profile }),
      ...settings,
    };
    const at = { id: this.#id, place: { file: this.#file, line: 1 } } as DeviceConfig;
    this.#change = edited(at, this.#language, () => this.#files.adding(this.#file, device));
    const { devices } = await this.#files.checked(this.#change);
    return devices.find(({ id }) => id === this.#id)!;
  }

  async #climb(stranger: DeviceConfig): Promise<Climbed> {
    const { profile, own } = this.#target;
    const isKnown = profile !== undefined || own["points"] !== undefined;
    // What the checker says comes before anybody is asked.
    const device = isKnown ? await this.#written(profile, {}) : stranger;
    const signal = stopSignal();
    const climbed = climb({
      device,
      choose: async (_identity: Identity, matches: readonly Match[], needed: Record<string, unknown>) => {
        const best = onlyBest(matches);
        return best === undefined ? undefined : this.#written(best.profile, needed);
      },
      stateFolder: this.#files.site.gateway.stateFolder,
      socket: controlSocket(this.#files.siteFile),
      report: (step) => {
        if (this.#options.json !== true) printLines([stepLine(step, ++this.#steps, this.#language)]);
      },
      signal,
    });
    return climbed.catch((error: unknown) => {
      throw signal.aborted ? new NoAnswerError() : error;
    });
  }

  async #save(climbed: Climbed): Promise<Saved> {
    const { saveAnyway } = this.#options;
    const words = this.#words;
    const { failed, steps } = climbed;
    if (failed !== undefined && (saveAnyway !== true || this.#change === undefined))
      throw this.#failure(climbed, failed);
    const change = this.#change!;
    if (this.#options.json !== true) printLines(["", ...shownChange(change, words)]);
    const isDoubtful =
      failed !== undefined || steps.some(({ step, verdict }) => step === "values" && verdict !== "ok");
    await agree(isDoubtful ? words.saveDoubtful : words.save, !isDoubtful, this.#options, this.#language);
    return store(this.#files, change, this.#options, this.#language);
  }

  /** Why nothing was saved: the cause, and what to do. */
  #failure(climbed: Climbed, { step, code, seen }: NonNullable<Climbed["failed"]>): CommandError {
    const words = this.#words;
    const language = this.#language;
    // A profile that was only guessed, and is not it, is no failure of the device.
    const isProfileOpen = step === "identity" && this.#target.profile === undefined;
    const table = describeError(code, language);
    const wantsLogin =
      this.#options.user === undefined && (code === "KERB-DEV-DENIED" || this.#target.needs.length > 0);
    const cure = isProfileOpen
      ? profileCure(climbed, this.#target.driver, onlyBest(climbed.matches), words)
      : wantsLogin
        ? words.needsLoginHint
        : `${table.do}; ${words.saveAnyway}`;
    const title = isProfileOpen ? words.whichProfile : wantsLogin ? words.needsLogin : table.title;
    return new CommandError({
      code,
      exitCode: exitCodes.noAnswer,
      title: `${words.notSaved}: ${words.testFailed(whyWords[this.#language].rungs[step])}: ${title}`,
      hint: cure,
      details: [
        ["seen", printable(seen[language])],
        ...(isProfileOpen || wantsLogin ? [] : [["likely", table.likely] as ["likely", string]]),
      ],
      more: { steps: climbed.steps },
      language,
    });
  }

  #told(climbed: Climbed, saved: Saved): void {
    const words = this.#words;
    const { device, steps, identity, failed } = climbed;
    const offered = device?.points.filter(({ write }) => write !== undefined).length ?? 0;
    if (this.#options.json === true) {
      const { profile = null } = device ?? {};
      printData("device-add", {
        device: this.#id,
        tested: failed === undefined,
        steps,
        identity,
        profile,
        ...saved,
      });
      return;
    }
    if (failed !== undefined) hint(words.notTested);
    if (Object.keys(this.#login).length > 0)
      hint(words.secretSaved(shownFile(secretFile(this.#files.siteFile, this.#id))));
    if (device !== undefined) hint(words.writable(offered));
    hint(words.next(this.#id, siteFlag(this.#options.site)));
  }
}

/** The profile that fits best, where no other fits as well. */
function onlyBest(matches: readonly Match[]): Match | undefined {
  const [best, second] = matches;
  if (best === undefined || best.rank === "none") return undefined;
  const isAlone = second === undefined || second.rank !== best.rank || second.firmware !== best.firmware;
  return isAlone ? best : undefined;
}

const profilesShown = 6;

function profileCure(
  { matches }: Climbed,
  driver: string,
  tried: Match | undefined,
  words: DeviceWords,
): string {
  const fitting = matches.filter((match) => match.rank !== "none" && match !== tried);
  if (fitting.length === 0) return words.noProfileFits(driver);
  const names = fitting.slice(0, profilesShown).map(({ profile }) => profile);
  return words.whichProfileHint(names.join("|") + (fitting.length > profilesShown ? "|…" : ""));
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
