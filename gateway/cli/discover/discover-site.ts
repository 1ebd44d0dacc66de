import type { DeviceConfig } from "../../config/config.ts";
import { loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { occupiedBy, type Occupied } from "../../discovery/known.ts";
import type { Finding } from "../../discovery/kept.ts";
import type { Wanted } from "../../discovery/search.ts";
import { ConfigError, shownFile } from "../../errors.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { discoverWords } from "./discover-words.ts";
import { usageError } from "../errors.ts";
import { hint } from "../output.ts";
import { controlSocket, notRunning, runningStatus } from "../site.ts";

/** Who is in the site file already, and what the running gateway uses. */
export interface Neighbours {
  readonly isRunning: boolean;
  readonly occupied: Occupied;
  /** As the gateway knows them. */
  readonly reports: GatewayStatus["devices"];
}

/** The devices of the gateway that runs; undefined: none does. */
async function running(site: string, language: Language): Promise<GatewayStatus["devices"] | undefined> {
  const status = await runningStatus(controlSocket(site)).catch((error: unknown) =>
    // One that hangs may hold anything.
    notRunning(error, site, language),
  );
  return status?.devices;
}

/** Throws `CommandError` where a gateway runs and what it uses cannot be told. */
export async function neighbours(site: string | undefined, language: Language): Promise<Neighbours> {
  const words = discoverWords[language];
  const nobody = { isRunning: false, occupied: await occupiedBy([]), reports: [] };
  if (site === undefined) return nobody;
  const reports = await running(site, language).catch((error: unknown) => {
    // A site file that is no site file has no gateway.
    if (error instanceof ConfigError) return undefined;
    throw error;
  });
  try {
    const { devices } = await loadSite(site);
    return { isRunning: reports !== undefined, occupied: await occupiedBy(devices), reports: reports ?? [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (reports !== undefined)
      throw usageError(
        `${words.unread(shownFile(site))}: ${words.unreadRunning}`,
        `kerb config check ${shownFile(site)}`,
        language,
      );
    hint(words.unread(shownFile(site)));
    return nobody;
  }
}

/** Those at places that the running gateway uses: they are shown as it knows them, and not asked. */
export function heldFindings(
  { isRunning, occupied, reports }: Neighbours,
  { range }: Wanted,
  drivers: readonly string[],
): Omit<Finding, "number">[] {
  if (!isRunning || range === undefined) return [];
  return [...occupied.places].flatMap(([place, devices]) => {
    const host = place.slice(0, place.lastIndexOf(":"));
    if (!range.has(host)) return [];
    return devices
      .filter(({ driver }) => drivers.includes(driver))
      .map((device) => held(device, place, reports));
  });
}

function held(
  device: DeviceConfig,
  place: string,
  reports: GatewayStatus["devices"],
): Omit<Finding, "number"> {
  const { id, driver, profile, settings } = device;
  const unit = typeof settings["unit"] === "number" ? ` unit ${settings["unit"]}` : "";
  return {
    driver,
    place: `${place}${unit}`,
    settings: {},
    identity: reports.find((one) => one.id === id)?.identity ?? {},
    match: "none",
    ...(profile === undefined ? {} : { profile }),
    also: [],
    reasons: [
      {
        en: `the running gateway reads it as ${id}: it was not asked`,
        vi: `gateway đang đọc nó với tên ${id}: không hỏi thêm`,
      },
    ],
    needs: [],
    known: id,
  };
}
