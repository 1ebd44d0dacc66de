import type { z } from "zod";
import type { DeviceConfig, Site } from "../config/config.ts";
import type { YamlDocument } from "../config/document.ts";
import { isRecord, type Path, valueAt } from "../config/path.ts";
import { didYouMean } from "../config/words.ts";
import { ConfigError } from "../errors.ts";
import {
  originMistake,
  type Section,
  sectionMistakes,
  secretMistake,
  type TwinDocument,
  type TwinMistake,
} from "./document.ts";
import { wantedSchema } from "./schema.ts";

/**
 * A document laid over the files: its values are put where the file would have them, and all is checked again as if they
 * were written there. So it can say nothing that the file could not.
 */

type Wanted = z.output<typeof wantedSchema>;
type Given = { [Name in Section]?: unknown };
/** A value, and where a device's entry has it. */
type Laid = readonly [path: Path, value: unknown];

const mistakesMax = 20;
const issuersAt: Path = ["commands", "issuers"];

const entriesOf = (given: unknown): [string, unknown][] => Object.entries(isRecord(given) ? given : {});

/** What each section about devices puts into the entry of one of them. */
const inDevice: Record<Exclude<Section, "issuers">, (wanted: unknown) => Laid[]> = {
  polls: (poll) => [[["poll"], poll]],
  schedules: (given) => entriesOf(given).map(([point, schedule]) => [["schedules", point], schedule]),
  deadBands: (bands) => entriesOf(bands).map(([point, band]) => [["points", point, "deadband"], band]),
};

/** Puts what is wanted into a file of the site: its devices', and, in the site file, whose commands are heard. */
function layOver(document: YamlDocument, cfg: Given, isMain: boolean): void {
  const devices = valueAt(document.value, ["devices"]);
  for (const [i, entry] of (Array.isArray(devices) ? devices : []).entries()) {
    const id = valueAt(entry, ["id"]);
    if (typeof id !== "string") continue;
    for (const [section, laid] of Object.entries(inDevice)) {
      const wanted = valueAt(cfg[section as Section], [id]);
      if (wanted === undefined) continue;
      for (const [path, value] of laid(wanted)) document.lay(["devices", i, ...path], value);
    }
  }
  const { issuers = [] } = cfg as { issuers?: unknown[] };
  const own = valueAt(document.value, issuersAt);
  if (!isMain || !Array.isArray(own)) return;
  const count = own.length;
  issuers.forEach((issuer, i) => document.lay([...issuersAt, count + i], issuer));
}

const wrong = (code: TwinMistake["code"], path: string, text: string): TwinMistake => ({ code, path, text });

/** Devices and points that are not there, and dead bands of what is no number. */
function fieldMistakes(wanted: Wanted, devices: readonly DeviceConfig[]): TwinMistake[] {
  const ids = devices.map(({ id }) => id);
  const found: TwinMistake[] = [];
  for (const section of Object.keys(inDevice) as (keyof typeof inDevice)[])
    for (const [id, given] of entriesOf(wanted[section])) {
      const path = `${section}.${id}`;
      const device = devices.find((one) => one.id === id);
      if (device === undefined)
        found.push(wrong("KERB-TWIN-DEVICE", path, `there is no device "${id}"${didYouMean(id, ids)}`));
      else if (section !== "polls") found.push(...pointMistakes(path, section, device, given));
    }
  return found;
}

function pointMistakes(
  path: string,
  section: Section,
  { id, points }: DeviceConfig,
  given: unknown,
): TwinMistake[] {
  const names = points.map(({ name }) => name);
  return Object.keys(given as object).flatMap((name) => {
    const point = points.find((one) => one.name === name);
    if (point === undefined) {
      const text = `the device "${id}" has no point "${name}"${didYouMean(name, names)}`;
      return [wrong("KERB-TWIN-POINT", `${path}.${name}`, text)];
    }
    const isNumber = point.kind === "number" && point.values === undefined;
    if (section !== "deadBands" || isNumber) return [];
    return [wrong("KERB-TWIN-VALUE", `${path}.${name}`, `"${name}" is no number and has no dead band`)];
  });
}

/** Issuers of the site file stay as they are, and no key gets a right that the site file has not given to a role. */
function issuerMistakes({ issuers = [] }: Wanted, { commands, twin }: Site): TwinMistake[] {
  const roots = new Set(twin?.issuers.map(({ key }) => key));
  const roles = Object.keys(commands.roles);
  return issuers.flatMap(({ id, key, roles: asked }, i) => {
    const path = `issuers.${i}`;
    if (commands.issuers.some((one) => one.id === id))
      return [
        wrong("KERB-TWIN-ROOT", `${path}.id`, `"${id}" is an issuer of the site file, which stays as it is`),
      ];
    if (roots.has(key))
      return [wrong("KERB-TWIN-ROOT", `${path}.key`, "the key is that of an issuer of twin documents")];
    return asked
      .filter((role) => !Object.hasOwn(commands.roles, role))
      .map((role) =>
        wrong("KERB-TWIN-ROLE", `${path}.roles`, `there is no role "${role}"${didYouMean(role, roles)}`),
      );
  });
}

/** What is wrong with a document against the site that the files alone make. */
function mistakesIn(document: TwinDocument, site: Site): TwinMistake[] {
  const origin = originMistake(document, site.gateway.id, site.twin) ?? secretMistake(document);
  if (origin !== undefined || site.twin === undefined) return origin === undefined ? [] : [origin];
  const closed = sectionMistakes(document, site.twin);
  if (closed.length > 0) return closed;
  const { data, error } = wantedSchema.safeParse(document.cfg);
  if (error !== undefined)
    return error.issues.map(({ path, message }) => wrong("KERB-TWIN-VALUE", path.join("."), message));
  return [...fieldMistakes(data, site.devices), ...issuerMistakes(data, site)];
}

/** A kept document that somebody has damaged must not keep the files from being loaded. */
function soundMistakes(document: TwinDocument, site: Site): TwinMistake[] {
  try {
    return mistakesIn(document, site);
  } catch (error) {
    return [wrong("KERB-TWIN-SHAPE", "", (error as Error).message)];
  }
}

/**
 * Lays a document over a site. `read` reads the same files again, with what `lay` puts into each. Gives back the site
 * that came of it, or everything that is wrong with the document.
 */
export async function overlaid<Read extends { site: Site }>(
  document: TwinDocument,
  plain: Read,
  read: (lay: (file: YamlDocument, isMain: boolean) => void) => Promise<Read>,
): Promise<Read | TwinMistake[]> {
  const mistakes = soundMistakes(document, plain.site);
  if (mistakes.length > 0) return mistakes.slice(0, mistakesMax);
  try {
    const laid = await read((file, isMain) => layOver(file, document.cfg, isMain));
    // Whose documents are taken is what the files say, whomever the document has added.
    return { ...laid, site: { ...laid.site, twin: plain.site.twin } };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.diagnostics
      .slice(0, mistakesMax)
      .map(({ path = "", message }) => wrong("KERB-TWIN-VALUE", path, message));
  }
}
