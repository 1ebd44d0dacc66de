import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type DeviceConfig, loadSite } from "../../config/config.ts";
import { driverSchemas } from "../../config/drivers.ts";
import type { Language } from "../../config/error-texts.ts";
import { DeviceError, type LeftOut } from "../../driver.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { closed } from "../../host/identify.ts";
import { draftId, draftProfile, type Draft } from "../../profiles/draft/draft.ts";
import { secretOf } from "../../profiles/draft/private.ts";
import { modelSettings } from "../../profiles/draft/settings.ts";
import { lintProfiles } from "../../profiles/lint/lint.ts";
import { meantBy } from "../complaint-words.ts";
import { profileFolder, profileSchema } from "../../profiles/profiles.ts";
import { type BrowseOptions, isComplete, type Listing, listDevice } from "../discover/browse.ts";
import { browseWords } from "../discover/browse-words.ts";
import { deviceFailure, notFoundError, usageError } from "../errors.ts";
import { openAny, type OpenDevice, type Stranger } from "../../field/field.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { checkFolder, writeOut } from "../out-file.ts";
import { newWords } from "./profile-new-words.ts";
import { deviceNamed } from "../read/read-source.ts";
import { findSite } from "../site.ts";
import { kerbVersion } from "../verbs.ts";

export interface ProfileNewOptions extends Omit<BrowseOptions, "depth"> {
  /** The device's id in the site file. */
  from: string;
  out?: string;
  class?: string;
  force?: boolean;
}

const defaults = { limit: 500, depth: 16, waitMs: 120_000 };
/** So a draft begins: --force writes over nothing else. */
const draftMark = "# DRAFT by kerb profile new";
const profileId = /^[a-z0-9][a-z0-9.-]{0,59}\/[a-z0-9][a-z0-9.-]{0,59}$/;

/** Where the draft goes: beside the library's profiles, where the other verbs find it by its id, or as asked for. */
function placeOf(id: string, { out }: ProfileNewOptions): string {
  return out === undefined ? join(profileFolder, `${id}.yaml`) : resolve(out);
}

/** The file's place is the profile's id. */
function idOf({ out }: ProfileNewOptions): string | undefined {
  if (out === undefined) return undefined;
  const file = resolve(out);
  const id = `${basename(dirname(file))}/${basename(file, ".yaml")}`;
  return profileId.test(id) ? id : undefined;
}

function isDraft(file: string): boolean {
  try {
    return readFileSync(file, "utf8").startsWith(draftMark);
  } catch {
    return false;
  }
}

/** Before the device is asked for minutes: may the draft be written there? */
function checkPlace(file: string, { force, lang }: ProfileNewOptions): void {
  const language = languageOf(lang);
  const words = newWords[language];
  if (force !== true && existsSync(file))
    throw usageError(words.exists(shownFile(file)), words.existsCure, language);
  if (force === true && existsSync(file) && !isDraft(file))
    throw usageError(words.noDraft(shownFile(file)), words.noDraftCure, language);
  checkFolder(file, language);
}

/** Ends of a listing at which more would have been found. */
const cuts: readonly LeftOut["left"][] = ["limit", "depth", "time", "bound"];

/** Why the listing is not all, `lost` in the caller's words; undefined where it is. */
function endOf(
  { failure, left }: Listing,
  isStopped: boolean,
  language: Language,
  options: ProfileNewOptions,
  lost: (failure: DeviceError) => string,
): string | undefined {
  if (isStopped) return newWords[language].interrupted;
  if (failure !== undefined) return lost(failure);
  const limits = { ...defaults, ...options };
  const cut = left.filter((one) => cuts.includes(one.left));
  return cut.length === 0
    ? undefined
    : cut.map((one) => printable(browseWords[language].left(one, limits))).join("; ");
}

async function draftOf(
  { driver, settings }: DeviceConfig,
  { open: { found }, needed }: Stranger,
  listing: Listing,
  options: ProfileNewOptions,
  isStopped: boolean,
): Promise<Omit<Draft, "isMute">> {
  const schemas = await driverSchemas(driver);
  const { address, personal } = schemas;
  const { entries, left } = listing;
  const limits = { ...defaults, ...options };
  // A host's address in the driver's sentence would be the site's.
  const ended = endOf(listing, isStopped, "en", options, ({ code }) => `the device was lost (${code})`);
  return {
    driver,
    className: options.class,
    identity: found.identity,
    settings: modelSettings(schemas, { ...settings, ...needed }),
    entries,
    // The driver's reasons may hold what the device told.
    left: left.map((one) => browseWords.en.left({ ...one, reason: "" }, limits)),
    ended,
    date: new Date().toISOString().slice(0, 10),
    kerb: kerbVersion(),
    rules: {
      isAddress: (given) => address.safeParse(given).success,
      isPersonal: (given, record) => {
        const [own, whole] = [given, record].map((one) => address.safeParse(one).data);
        return personal?.(own as never, whole as never) === true;
      },
    },
  };
}

async function show(
  file: string,
  id: string,
  drafted: ReturnType<typeof draftProfile>,
  ended: string | undefined,
  isWhole: boolean,
  { from, lang, json, out }: ProfileNewOptions,
): Promise<void> {
  const words = newWords[languageOf(lang)];
  const { points, records, guesses, commands } = drafted;
  const findings = (await lintProfiles([file])).flatMap((one) => one.findings);
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const lint = { errors, warnings: findings.length - errors };
  if (json === true) {
    printData("profile-new", {
      file,
      id,
      points,
      records,
      guesses,
      commands,
      isComplete: isWhole && ended === undefined,
      lint,
    });
    return;
  }
  const shown = shownFile(file);
  printLines([words.wrote(shown, points, records, guesses)]);
  if (ended !== undefined) hint(words.notComplete(ended));
  if (commands > 0) hint(words.commands(commands));
  hint(words.lint(lint.errors, lint.warnings));
  hint(words.next);
  words.steps(shown, id, out === undefined, from).forEach((step, i) => hint(`  ${i + 1}. ${step}`));
}

function checkWords(
  given: string | undefined,
  { class: kind, under }: ProfileNewOptions,
  language: Language,
): void {
  const words = newWords[language];
  const classes: readonly string[] = profileSchema.shape.class.options;
  if (kind !== undefined && !classes.includes(kind))
    throw usageError(
      `${words.noClass(printable(kind))}${meantBy(kind, classes)}`,
      classes.join(", "),
      language,
    );
  const secret = under === undefined ? undefined : secretOf(under);
  if (secret !== undefined) throw usageError(words.secret(printable(secret)), words.secretCure, language);
  if (given !== undefined && !profileId.test(given))
    throw usageError(words.wrongId(printable(given)), words.wrongIdCure, language);
}

/**
 * `kerb profile new [VENDOR/MODEL] --from DEVICE`: drafts a profile from what a device has. Reads only, beside a
 * running gateway too. Exit codes: 2 the driver cannot, or the file is there; 3 unknown device, nothing found; 5 no
 * answer, 130 interrupted: what was found until then is written all the same.
 */
export async function profileNew(given: string | undefined, options: ProfileNewOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = newWords[language];
  checkWords(given, options, language);
  if (given !== undefined || options.out !== undefined) checkPlace(placeOf(given ?? "", options), options);
  const site = findSite(options.site);
  const { devices, gateway } = await loadSite(site);
  const device = deviceNamed(devices, options.from, site);
  const stop = stopSignal();
  let open: OpenDevice | undefined;
  try {
    const opened = await openAny(device, gateway.stateFolder, stop);
    ({ open } = opened);
    if (open.connection.browse === undefined)
      throw usageError(
        `${device.id}: ${browseWords[language].cannot(device.driver)}`,
        (words.cure as Partial<Record<string, string>>)[device.driver] ?? words.otherCure,
        language,
      );
    const { identity } = open.found;
    const id = given ?? idOf(options) ?? draftId(identity, device.id);
    const file = placeOf(id, options);
    checkPlace(file, options);
    if (options.json !== true) hint(words.asking(device.id, (options.waitMs ?? defaults.waitMs) / 1000));
    const listing = await listDevice(open, { ...defaults, ...options }, stop);
    const { entries, failure } = listing;
    if (failure?.code === "rejected" && entries.length === 0)
      throw notFoundError(`${device.id}: ${printable(failure.message)}`, browseWords[language].underCure);
    if (failure !== undefined && entries.length === 0) throw failure;
    if (entries.length === 0) throw notFoundError(words.nothing(device.id), words.nothingCure);
    const draft = await draftOf(device, opened, listing, options, stop.aborted);
    const drafted = draftProfile({ ...draft, given, isMute: opened.isMute });
    writeOut(file, drafted.text, { flag: options.force === true ? "w" : "wx" }, language);
    const ended = endOf(listing, stop.aborted, language, options, ({ message }) =>
      words.lost(printable(message)),
    );
    await show(file, id, drafted, ended, isComplete(listing), options);
    if (stop.aborted) return exitCodes.interrupted;
    return failure === undefined ? exitCodes.ok : exitCodes.noAnswer;
  } catch (error) {
    if (stop.aborted && error instanceof DeviceError) {
      hint(words.nothing(device.id));
      return exitCodes.interrupted;
    }
    if (!(error instanceof DeviceError)) throw error;
    throw deviceFailure(device.id, error.code, error.message, language);
  } finally {
    if (open !== undefined) await closed(open.connection);
  }
}
