import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type ConfigError, exitCodes, printable } from "../../errors.ts";
import { listProfiles, loadProfile, type Point, type Profile } from "../../profiles/profiles.ts";
import { shownDerivation } from "../../host/computed.ts";
import { languageOf } from "../../words.ts";
import { complaintWords, meantBy } from "../complaint-words.ts";
import { type CommandError, notFoundError } from "../errors.ts";
import { hint, printData, printLines } from "../output.ts";
import { profilesWords } from "./profiles-words.ts";
import { shownUnit, span, table } from "../../text.ts";

/** There is no profile of this name; exit code 3. */
export function noProfile(id: string, ids: readonly string[]): CommandError {
  const text = complaintWords[languageOf()];
  return notFoundError(text.noProfile(printable(id), meantBy(id, ids)), text.profiles);
}

/** A profile by its id, or by its file. Throws the sentence with the nearest id when there is none. */
export function profileNamed(id: string): Profile {
  const ids = listProfiles();
  if (ids.includes(id)) return loadProfile(id);
  if (id.endsWith(".yaml") && existsSync(id)) {
    const vendor = dirname(resolve(id));
    return loadProfile(`${basename(vendor)}/${basename(id, ".yaml")}`, dirname(vendor));
  }
  throw noProfile(id, ids);
}

/** What an address looks like without its driver: "holding 40072 int16". */
function plainAddress(address: unknown): string {
  if (typeof address !== "object" || address === null) return String(address);
  return Object.values(address)
    .map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value)))
    .join(" ");
}

function summary({ id, vendor, model, class: kind, driver, firmware, status, points }: Profile) {
  const published = points.filter(({ publish }) => publish).length;
  return { id, vendor, model, class: kind, driver, firmware, status, points: published };
}

/** What may be written: "0 … 100, step 5, while door.open = false, armed first, for 30 s at most". */
function shownWrite({ write }: Point): string {
  if (write === undefined) return "";
  const text = profilesWords[languageOf()];
  const { limits, step, values, interlock, safety, leaseMax, refresh, automatic } = write;
  const parts = [
    limits === undefined ? undefined : `${limits[0]} … ${limits[1]}`,
    step === undefined ? undefined : text.step(String(step)),
    values === undefined ? undefined : text.oneOf(values.join(" ")),
    ...interlock.map(({ point, equals }) => text.while(`${point} = ${equals}`)),
    safety ? text.armed : undefined,
    leaseMax === undefined ? undefined : text.atMost(span(leaseMax)),
    automatic === undefined ? undefined : text.backTo(String(automatic)),
    refresh === undefined ? undefined : text.refreshed(span(refresh)),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? text.yes : parts.join(", ");
}

function pointRow(point: Point, hasWrites: boolean): string[] {
  const language = languageOf();
  const { name, address, derive, unit, scale, poll, limits, label, source, publish } = point;
  return [
    name,
    derive === undefined ? plainAddress(address) : shownDerivation(derive),
    shownUnit(unit) || "-",
    scale === 1 ? "" : `x${scale}`,
    limits === undefined ? "" : `${limits[0]} … ${limits[1]}`,
    poll,
    ...(hasWrites ? [shownWrite(point)] : []),
    publish ? (label?.[language] ?? label?.en ?? "") : profilesWords[language].notSent,
    source ?? "",
  ];
}

function printProfile(profile: Profile): void {
  const { id, vendor, model, driver, firmware, status, sources, quirks } = profile;
  const hasWrites = profile.points.some(({ write }) => write !== undefined);
  const text = profilesWords[languageOf()];
  const writes = hasWrites ? [text.write] : [];
  const titles = [text.point, text.address, text.unit, text.scale, text.limits, text.poll];
  titles.push(...writes, text.meaning, text.source);
  printLines([
    `${id}   ${vendor} ${model}   ${text.driver} ${driver}   ${text.firmware} ${firmware}   ${status}`,
    "",
    ...table(
      titles.map((title) => ({ title, widthMax: 48 })),
      profile.points.map((point) => pointRow(point, hasWrites)),
    ),
    ...(quirks.length === 0
      ? []
      : [
          "",
          ...quirks.map(
            (quirk) =>
              `${text.quirk} ${quirk.id}${quirk.when === undefined ? "" : `, ${text.firmware} ${quirk.when}`}: ${quirk.text} (${quirk.source})`,
          ),
        ]),
    "",
    ...Object.entries(sources).map(([name, { title, revision, url }]) =>
      [`${text.sourceOf} ${name}: ${title}`, revision, url].filter((part) => part !== undefined).join(", "),
    ),
  ]);
  hint(`\n${text.next} kerb simulate ${id} --port 1502`);
}

function printList(list: ReturnType<typeof summary>[]): void {
  const text = profilesWords[languageOf()];
  const columns = [
    { title: text.profileColumn },
    { title: text.model },
    { title: text.class },
    { title: text.driverColumn },
    { title: text.firmwareColumn },
    { title: text.status },
    { title: text.points, side: "right" as const },
  ];
  const rows = list.map((one) => [
    one.id,
    `${one.vendor} ${one.model}`,
    one.class,
    one.driver,
    one.firmware,
    one.status,
    String(one.points),
  ]);
  printLines(table(columns, rows));
}

/** All profiles that can be read; those that cannot are told on stderr. */
function readable(): { list: ReturnType<typeof summary>[]; broken: number } {
  let broken = 0;
  const list = listProfiles().flatMap((id) => {
    try {
      return [summary(loadProfile(id))];
    } catch (error) {
      broken++;
      hint((error as ConfigError).message);
      return [];
    }
  });
  return { list, broken };
}

/** Those that a name plate may mean: each word stands in maker, model, class or id. */
function meant(list: ReturnType<typeof summary>[], words: string): ReturnType<typeof summary>[] {
  const wanted = words.toLowerCase().split(/\s+/);
  return list.filter(({ id, vendor, model, class: kind, driver }) => {
    const all = [id, vendor, model, kind, driver].join(" ").toLowerCase();
    return wanted.every((word) => all.includes(word));
  });
}

/** `kerb profiles [ID]`: the list, those of a word, or one with its points. Exit code 78 when a profile is wrong. */
export async function profiles(id: string | undefined, options: { json?: boolean }): Promise<number> {
  // "eastron/sdm63" is an id with a mistake in it.
  const near = id === undefined || id.includes("/") ? [] : meant(readable().list, id);
  if (near.length > 0) {
    if (options.json === true) printData("profiles", near);
    else printList(near);
    return exitCodes.ok;
  }
  if (id !== undefined) {
    const profile = profileNamed(id);
    if (options.json === true) {
      const { file: _, ...data } = profile;
      printData("profile", data);
    } else printProfile(profile);
    return exitCodes.ok;
  }
  const { list, broken } = readable();
  if (options.json === true) printData("profiles", list);
  else printList(list);
  return broken === 0 ? exitCodes.ok : exitCodes.configInvalid;
}
