import type { z } from "zod";
import type { Levels, Place } from "../event.ts";
import type { YamlDocument } from "./document.ts";
import type { Path } from "./path.ts";
import type { levelsSchema, locationSchema } from "./site-schema.ts";

type Location = z.output<typeof locationSchema>;

/** Without members that are not there: what is written into the dictionary. */
export function placeOf({ lat, lon, address }: Location): Place {
  return { lat, lon, ...(address === undefined ? {} : { address }) };
}

/** Without members that are not there; undefined when none is. */
export function levelsOf(levels: z.output<typeof levelsSchema>): Levels | undefined {
  const given = Object.entries(levels).filter(([, value]) => value !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

/** A place outside of Vietnam is mostly a slip, such as a lost digit. It is allowed all the same. */
export function warnOfPlace(document: YamlDocument, path: Path, location: Location | undefined): void {
  if (location === undefined) return;
  const { lat, lon } = location;
  if (lat >= 8 && lat <= 24 && lon >= 102 && lon <= 118) return;
  const message = "this does not lie in Vietnam (lat 8 to 24, lon 102 to 118): compare it with a map";
  document.mistake(path, "KERB-CFG-VALUE", message, { severity: "warning" });
}
