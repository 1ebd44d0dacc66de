import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cassette } from "../../cassette/cassette.ts";
import { differences, expectedRead, type Difference, type Outcome } from "../../cassette/expected.ts";
import { Heard } from "../../cassette/heard.ts";
import { startPlayer } from "../../cassette/player.ts";
import type { Player } from "../../cassette/playing.ts";
import type { DeviceConfig } from "../../config/config.ts";
import { checkDevice } from "../../config/devices.ts";
import { YamlDocument } from "../../config/document.ts";
import { driverSchemas } from "../../config/drivers.ts";
import { SiteFiles } from "../../config/site-files.ts";
import { DeviceError, type Identity } from "../../driver.ts";
import { fileBytesMax, readText } from "../../config/file-text.ts";
import { ConfigError, type Diagnostic } from "../../errors.ts";
import { profileFolder } from "../../profiles/profiles.ts";
import { startBroker } from "../simulate/broker.ts";
import { FieldDevice } from "../../field/field.ts";
import { pause } from "../output.ts";

/** Playing cassettes against driver and profile as they are now. */

/** No pause on a tape is played for longer: drivers tell frames apart by pauses that are shorter. */
const gapMsMax = 100;
/** A device that says nothing by itself for this long has said all that is on the tape. */
const quietMs = 700;
const quietTriesMax = 1800;
const shownCharsMax = 160;
let plays = 0;

/** The cassettes of the library: `firmware-profiles/<vendor>/<model>.cassettes/*.yaml`, sorted. */
export function libraryCassettes(folder = profileFolder): string[] {
  return globSync("*/*.cassettes/*.yaml", { cwd: folder })
    .toSorted()
    .map((file) => join(folder, file));
}

/** Fields of records that name a person or a vehicle, as "record.field". */
export function personalFields({ records }: Pick<DeviceConfig, "records">): Set<string> {
  return new Set(
    records.flatMap(({ name, fields }) =>
      fields.filter(({ privacy }) => privacy !== "none").map((field) => `${name}.${field.name}`),
    ),
  );
}

/** What is compared of who a device says it is; its serial number is its own. */
export function comparedIdentity({ vendor, model, firmware }: Identity): Record<string, string> {
  const known = Object.entries({ vendor, model, firmware }).filter(([, text]) => text !== undefined);
  return Object.fromEntries(known) as Record<string, string>;
}

/** Mistakes of what was made of a cassette, at the lines of its file that hold them. */
function inCassette(mistakes: readonly Diagnostic[], file: string): Diagnostic[] {
  const content = readText(file, fileBytesMax);
  const lines = "text" in content ? content.text.split("\n") : [];
  return mistakes.map((mistake) => {
    if (mistake.file !== file) return mistake;
    const { path = "", message } = mistake;
    const member = path.replace(/^devices(?: "[^"]*"|\[0\])\.?/, "");
    const name = member === "driver" || member === "profile" ? member : "settings";
    const line = lines.findIndex((one) => one.startsWith(`${name}:`)) + 1;
    return {
      ...mistake,
      line,
      column: 1,
      sourceLine: (lines[line - 1] ?? "").slice(0, shownCharsMax),
      message: name === "settings" && member !== "" ? `settings.${member}: ${message}` : message,
      path: name === "settings" && member !== "" ? `settings.${member}` : name,
    };
  });
}

/** The device of a cassette by the profile as it is now. Throws `ConfigError`. */
async function deviceOf(cassette: Cassette, file: string, folder: string): Promise<DeviceConfig> {
  const { profile, driver, settings } = cassette;
  // What is loaded by name below is what was checked here.
  // Drivers remember what a device has told: each time it is another one.
  const entry = { ...settings, id: `cassette-${++plays}`, driver, ...(profile === "" ? {} : { profile }) };
  const document = new YamlDocument(JSON.stringify({ devices: [entry] }), file, { references: false });
  const files = new SiteFiles(folder);
  const device = await checkDevice(files, document, ["devices", 0]);
  const mistakes = [...files.found, ...document.mistakes].filter(({ severity }) => severity === "error");
  if (device === undefined || mistakes.length > 0) throw new ConfigError(inCassette(mistakes, file));
  return device;
}

async function outcomeOf(device: DeviceConfig, cassette: Cassette, player: Player): Promise<Outcome> {
  const stateFolder = mkdtempSync(join(tmpdir(), "kerb-cassette-"));
  const { signal } = new AbortController();
  let field: FieldDevice | undefined;
  try {
    const heard = new Heard(personalFields(device));
    field = await FieldDevice.open(device, stateFolder, signal, undefined, heard);
    const reads: Outcome["reads"] = [];
    for (const i of cassette.reads.keys()) {
      if (cassette.way === "listens" && i === cassette.reads.length - 1) await played(player);
      reads.push(expectedRead(await field.read({ points: [], raw: false }, signal)));
    }
    return { identity: comparedIdentity(field.identity), reads, records: heard.records };
  } finally {
    await field?.close();
    rmSync(stateFolder, { recursive: true, force: true });
  }
}

async function played(player: Player): Promise<void> {
  for (let tries = 0; tries < quietTriesMax && player.quietMs() < quietMs; tries++)
    await pause(100, new AbortController().signal);
}

export interface Verdict {
  differences: Difference[];
  /** Requests that the cassette does not know. */
  unknown: number;
  /** Why the device was lost; undefined: it was not. */
  failure: string | undefined;
}

/**
 * Plays a cassette to its driver and compares what comes out. `file` is what messages call it. Throws `ConfigError`
 * where its profile cannot be used.
 */
export async function playCassette(
  cassette: Cassette,
  file: string,
  folder = profileFolder,
): Promise<Verdict> {
  const device = await deviceOf(cassette, file, folder);
  const { wire, retold } = await driverSchemas(cassette.driver);
  const way = wire?.(device.settings as never);
  if (way === undefined || way.over === "none")
    return { differences: [], unknown: 0, failure: `${cassette.driver} cannot be played` };
  const player = await startPlayer(cassette, { gapMsMax, startBroker, retold, log: () => {} });
  try {
    const moved = { ...device, settings: way.moved(player.place) };
    const found = await outcomeOf(moved, cassette, player);
    return { differences: differences(cassette, found), unknown: player.counts.unknown, failure: undefined };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { differences: [], unknown: player.counts.unknown, failure: error.message };
  } finally {
    await player.close();
  }
}
