import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type ConfigError, exitCodes } from "../errors.ts";
import { listProfiles, loadProfile, type Point, type Profile } from "../profiles.ts";
import { shownDerivation } from "../host/computed.ts";
import { didYouMean } from "../config/words.ts";
import { notFoundError } from "./errors.ts";
import { hint, printData, printLines } from "./output.ts";
import { shownUnit, span, table } from "./text.ts";

/** How a person names a profile that does not ship with kerb. */
export const ownFileCure = "a profile of your own is named by its file, ending in .yaml";

/** A profile by its id, or by its file. Throws the sentence with the nearest id when there is none. */
export function profileNamed(id: string): Profile {
  const ids = listProfiles();
  if (ids.includes(id)) return loadProfile(id);
  if (id.endsWith(".yaml") && existsSync(id)) {
    const vendor = dirname(resolve(id));
    return loadProfile(`${basename(vendor)}/${basename(id, ".yaml")}`, dirname(vendor));
  }
  throw notFoundError(
    `there is no profile "${id}"${didYouMean(id, ids)}`,
    `kerb profiles lists those that ship; ${ownFileCure}`,
  );
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
  const { limits, step, values, interlock, safety, leaseMax, refresh, automatic } = write;
  const parts = [
    limits === undefined ? undefined : `${limits[0]} … ${limits[1]}`,
    step === undefined ? undefined : `step ${step}`,
    values === undefined ? undefined : `one of ${values.join(" ")}`,
    ...interlock.map(({ point, equals }) => `while ${point} = ${equals}`),
    safety ? "armed first" : undefined,
    leaseMax === undefined ? undefined : `for ${span(leaseMax)} at most`,
    automatic === undefined ? undefined : `back to ${automatic}`,
    refresh === undefined ? undefined : `said again every ${span(refresh)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "yes" : parts.join(", ");
}

function pointRow(point: Point, hasWrites: boolean): string[] {
  const { name, address, derive, unit, scale, poll, limits, label, source, publish } = point;
  return [
    name,
    derive === undefined ? plainAddress(address) : shownDerivation(derive),
    shownUnit(unit) || "-",
    scale === 1 ? "" : `x${scale}`,
    limits === undefined ? "" : `${limits[0]} … ${limits[1]}`,
    poll,
    ...(hasWrites ? [shownWrite(point)] : []),
    publish ? (label?.en ?? "") : "(not sent: other points need it)",
    source ?? "",
  ];
}

function printProfile(profile: Profile): void {
  const { id, vendor, model, driver, firmware, status, sources, quirks } = profile;
  const hasWrites = profile.points.some(({ write }) => write !== undefined);
  const writes = hasWrites ? ["WRITE"] : [];
  const titles = ["POINT", "ADDRESS", "UNIT", "SCALE", "LIMITS", "POLL", ...writes, "MEANING", "SOURCE"];
  printLines([
    `${id}   ${vendor} ${model}   driver ${driver}   firmware ${firmware}   ${status}`,
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
              `quirk ${quirk.id}${quirk.when === undefined ? "" : `, firmware ${quirk.when}`}: ${quirk.text} (${quirk.source})`,
          ),
        ]),
    "",
    ...Object.entries(sources).map(([name, { title, revision, url }]) =>
      [`source ${name}: ${title}`, revision, url].filter((part) => part !== undefined).join(", "),
    ),
  ]);
  hint(`\nNext: kerb simulate ${id} --port 1502`);
}

function printList(list: ReturnType<typeof summary>[]): void {
  const columns = [
    { title: "PROFILE" },
    { title: "MODEL" },
    { title: "CLASS" },
    { title: "DRIVER" },
    { title: "FIRMWARE" },
    { title: "STATUS" },
    { title: "POINTS", side: "right" as const },
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

/** `kerb profiles [ID]`: the list, or one profile with its points. Exit code 78 when a profile is wrong. */
export async function profiles(id: string | undefined, options: { json?: boolean }): Promise<number> {
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
