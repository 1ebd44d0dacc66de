import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import type { Reach, Wire } from "../driver.ts";
import type { Language } from "./error-texts.ts";

/** What a driver can say of an address beside its schema: for the lint of profiles. */
export interface AddressFacts {
  /** The cells of a table that it takes (registers, bits), and the most that one request may ask for. */
  cells?: { table: string; first: number; count: number; most: number };
  /** What `read` answers for it; absent: it depends on the device. */
  gives?: "number" | "boolean" | "text";
  /** The least and the greatest raw number that it can hold; of a boolean 0 and 1, which need no saying. */
  raw?: readonly [least: number, greatest: number];
  /** Every text that it can be. */
  words?: readonly string[];
  /** Raw numbers are whole: the scale decides how many decimals there are. */
  isWhole?: boolean;
  /** Why a device with the profile's settings is never asked for it. */
  unreachable?: Record<Language, string>;
}

/** What a driver's `settings.ts` exports. */
export interface DriverSchemas {
  settings: z.ZodType<Record<string, unknown>>;
  address: z.ZodType;
  /** Settings that no profile can have and a pretend device needs: `kerb simulate PROFILE` puts them in. */
  example?: Record<string, unknown>;
  /** Settings with which a device that tells nothing of itself may say who it is. */
  tellsMore?: Record<string, unknown>;
  /** Settings that a profile must not have: whom to trust, and secrets. */
  siteOnly?: readonly string[];
  /** Does an address (a field's with that of its record) name a person or a vehicle? */
  personal?: (address: never, record?: never) => boolean;
  /** What an address holds and takes, and whether these settings (a profile's, not parsed) let it be read. */
  facts?: (address: never, settings: never) => AddressFacts;
  /** The settings of a device at an address that a person has typed. */
  reached?: Reach;
  /** By what bytes a device is reached; absent: it cannot be recorded. */
  wire?: (settings: never) => Wire<Record<string, unknown>>;
  /**
   * Of a device that calls: what it would have said to a request that is on no tape, by all that it has `told`;
   * undefined: it is no such request.
   */
  retold?:
    | ((
        request: Record<string, unknown>,
        told: readonly Record<string, unknown>[],
      ) => Record<string, unknown>[] | undefined)
    | undefined;
}

const driverFolder = fileURLToPath(new URL("../../drivers", import.meta.url));

/** The names of the drivers that are installed, sorted. */
export function listDrivers(): string[] {
  return readdirSync(driverFolder)
    .filter((name) => existsSync(join(driverFolder, name, "settings.ts")))
    .toSorted();
}

/** The schemas of an installed driver. */
export async function driverSchemas(name: string): Promise<DriverSchemas> {
  return (await import(`../../drivers/${name}/settings.ts`)) as DriverSchemas;
}
