import { isIPv6 } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { parseDocument } from "yaml";
import type { DeviceConfig } from "../../config/config.ts";
import type { Written } from "../../config/device-edits.ts";
import { driverSchemas, listDrivers } from "../../config/drivers.ts";
import type { Language } from "../../config/error-texts.ts";
import { leaves } from "../../cassette/secrets.ts";
import { isSecret } from "../../config/secret-key.ts";
import { holdsReference } from "../../config/references.ts";
import type { Reached } from "../../driver.ts";
import { mergeSettings } from "../../profiles/profiles.ts";
import { meantBy } from "../complaint-words.ts";
import { deviceWords } from "./device-words.ts";
import { notFoundError, usageError } from "../errors.ts";
import { type Discovered, lastDiscovered } from "../discover/last-discovered.ts";
import { profileNamed } from "../profile/profiles.ts";

/** Which device is meant: a number of the last look around, or an address. */

export interface TargetOptions {
  driver?: string;
  profile?: string;
  host?: string;
  port?: number;
  serial?: string;
  unit?: number;
  set?: string[];
}

/** A device that is not in the site yet, in the words of a site file. */
export interface Target {
  driver: string;
  profile: string | undefined;
  /** Where it is, without a login. */
  own: Record<string, Written>;
  /** The keys of a login that it is said to want. */
  needs: readonly string[];
}

/** "10.0.0.4", "10.0.0.4:502", "tcp://10.0.0.4:502", "[fe80::1]:502", "/dev/ttyS1", "opc.tcp://host:4840". */
function placeOf(text: string): Reached & { driver?: string; endpoint?: string } {
  if (text.startsWith("/") || /^(tty|COM\d)/.test(text))
    return { line: text.startsWith("tty") ? `/dev/${text}` : text };
  if (text.startsWith("opc.tcp://")) return { driver: "opcua", endpoint: text };
  if (isIPv6(text)) return { host: text };
  const [, bracketed, name = bracketed, port] =
    /^(?:(?:tcp|udp):\/\/)?(?:\[(.+)\]|([^:]+))(?::(\d+))?\/?$/.exec(text) ?? [];
  if (name === undefined) return { host: text };
  return { host: bracketed ?? name, ...(port === undefined ? {} : { port: Number(port) }) };
}

/** `transport.baud=19200` as `{ transport: { baud: 19200 } }`: the value as YAML has it. */
export function setting(text: string, language: Language): Record<string, Written> {
  const words = deviceWords[language];
  const [, path, shown = ""] = /^(?:settings\.)?([A-Za-z][\w.]*)=(.*)$/s.exec(text) ?? [];
  if (path === undefined) throw usageError(words.settingForm(text), "kerb device add --help", language);
  const document = parseDocument(shown, { version: "1.2", schema: "core", logLevel: "silent" });
  const value = (document.errors.length > 0 ? shown : (document.toJS() ?? "")) as Written;
  return path.split(".").reduceRight<Written>((inner, key) => ({ [key]: inner }), value) as Record<
    string,
    Written
  >;
}

/** A secret that would stand in a file in clear; undefined: none. */
export function secretIn(value: unknown): string | undefined {
  const found = leaves(value).find(({ path, value: one }) => {
    const isText = typeof one === "string" && !one.includes("${") && one !== "public";
    const isClear = isText || typeof one === "number";
    return isClear && isSecret(path) && !/^user/i.test(path.at(-1) ?? "");
  });
  return found?.path.at(-1);
}

/** What a device says of itself goes into a file: there it must not stand for a secret. Throws `CommandError`. */
export function checkTold(told: unknown, language: Language): void {
  const words = deviceWords[language];
  if (holdsReference(told)) throw usageError(words.toldReference, words.toldReferenceHint, language);
}

/** Settings without what is undefined, at every depth. */
function given(settings: Record<string, unknown>): Record<string, Written> {
  return JSON.parse(JSON.stringify(settings)) as Record<string, Written>;
}

async function settingsAt(driver: string, to: Reached): Promise<Record<string, Written>> {
  const { reached } = await driverSchemas(driver);
  return given(reached === undefined ? { host: to.host, port: to.port } : reached(to));
}

/** The settings of a login with this driver; undefined: it has none. */
export async function loginOf(
  driver: string,
  user: string,
  password: string,
): Promise<Record<string, Written> | undefined> {
  const without = await settingsAt(driver, {});
  const settings = await settingsAt(driver, { user, password });
  return isDeepStrictEqual(without, settings) ? undefined : settings;
}

/** Whether a device of this driver could have a login, and these settings hold none. */
export async function lacksLogin(driver: string, own: Record<string, Written>): Promise<boolean> {
  const without = await settingsAt(driver, {});
  const login = (await loginOf(driver, "user", "password")) ?? {};
  const keys = Object.keys(login).filter((key) => !isDeepStrictEqual(login[key], without[key]));
  return keys.length > 0 && keys.every((key) => own[key] === undefined);
}

function numbered(number: number, site: string, language: Language): Discovered {
  const words = deviceWords[language];
  const found = lastDiscovered(site);
  if (found === undefined) throw notFoundError(words.noDiscovery, words.noDiscoveryHint);
  const entry = found.find((one) => one.number === number);
  if (entry === undefined) throw notFoundError(words.noNumber(number, found.length), words.noNumberHint);
  checkTold(entry.settings, language);
  return entry;
}

function driverOf(
  target: string,
  options: TargetOptions,
  known: string | undefined,
  language: Language,
): string {
  const words = deviceWords[language];
  const ofProfile = options.profile === undefined ? undefined : profileNamed(options.profile).driver;
  const driver = options.driver ?? ofProfile ?? known;
  const drivers = listDrivers();
  if (driver === undefined)
    throw usageError(words.noDriver(target), words.findDriverHint(drivers.join("|")), language);
  if (!drivers.includes(driver))
    throw usageError(
      words.noSuchDriver(driver, meantBy(driver, drivers)),
      words.noDriverHint(drivers.join("|")),
      language,
    );
  if (ofProfile !== undefined && ofProfile !== driver)
    throw usageError(
      words.otherDriver(options.profile ?? "", ofProfile, driver),
      words.noDriverHint(drivers.join("|")),
      language,
    );
  return driver;
}

/** What a person means. Throws `CommandError`: 2 something is missing, 3 there is no such number. */
export async function targetOf(
  text: string | undefined,
  options: TargetOptions,
  site: string,
  language: Language,
): Promise<Target> {
  const words = deviceWords[language];
  const sets = (options.set ?? []).map((one) => setting(one, language));
  const wished = sets.reduce<Record<string, unknown>>(mergeSettings, {});
  const clear = secretIn(wished);
  if (clear !== undefined)
    throw usageError(words.secretInClear(clear), words.secretInClearHint("NAME"), language);
  const { host, port, serial: line, unit } = options;
  if (text !== undefined && /^\d{1,4}$/.test(text)) {
    const entry = numbered(Number(text), site, language);
    const driver = driverOf(text, options, entry.driver, language);
    const more = unit === undefined ? {} : await settingsAt(driver, { unit });
    const own = given(mergeSettings(mergeSettings(entry.settings, more), wished));
    // Where another one fits as well, a person has to say which it is.
    const found = (entry.equals ?? []).length > 0 ? undefined : entry.profile;
    return { driver, profile: options.profile ?? found, own, needs: entry.needs };
  }
  const { driver: scheme, endpoint, ...place } = text === undefined ? {} : placeOf(text);
  const at = {
    ...place,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(line === undefined ? {} : { line }),
    ...(unit === undefined ? {} : { unit }),
  };
  if (Object.keys(at).length === 0 && endpoint === undefined && sets.length === 0)
    throw usageError(words.noTarget, words.noTargetHint, language);
  const driver = driverOf(text ?? host ?? line ?? "", options, scheme, language);
  const own = endpoint === undefined ? await settingsAt(driver, at) : { endpoint };
  return { driver, profile: options.profile, own: given(mergeSettings(own, wished)), needs: [] };
}

/** A device of the site that is at the same place, unless it is taken for another model. */
export function sameDevice(
  { driver, own, profile }: Target,
  candidate: Record<string, unknown>,
  devices: readonly DeviceConfig[],
): DeviceConfig | undefined {
  const keys = [...Object.keys(own), "unit", "station"].filter((key) => candidate[key] !== undefined);
  return devices.find(
    (device) =>
      device.driver === driver &&
      (profile === undefined || device.profile === profile) &&
      keys.every((key) => isDeepStrictEqual(device.settings[key], candidate[key])),
  );
}
