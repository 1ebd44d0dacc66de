import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { DeviceConfig } from "../../config/config.ts";
import { type Marks, Pin } from "../../host/pin.ts";
import { user } from "../user.ts";

/** Which units a device has been, on this box: a line for each that a person has put in the place of another. */

export interface Replacement {
  timeMs: number;
  by: string;
  before: Marks | null;
  now: Marks;
}

type Which = Pick<DeviceConfig, "driver" | "id">;

/** Where the unit is noted that a device was first. */
export function pinOf(stateFolder: string, { driver, id }: Which): Pin {
  return new Pin(join(stateFolder, "drivers", driver), id);
}

const shownMax = 20;
/** Root may write here, in a folder of the service's user. */
const noLink = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const fileOf = (stateFolder: string, device: Which): string =>
  pinOf(stateFolder, device).file.replace(/json$/, "history.jsonl");

export function noteReplacement(
  stateFolder: string,
  device: Which,
  one: Omit<Replacement, "by" | "timeMs">,
): void {
  const file = fileOf(stateFolder, device);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const line: Replacement = { timeMs: Date.now(), by: user(), ...one };
  const handle = openSync(file, noLink, 0o600);
  try {
    writeFileSync(handle, `${JSON.stringify(line)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The newest last; a line that was cut by a power failure is left out. */
export function replacementsOf(stateFolder: string, device: Which): Replacement[] {
  const file = fileOf(stateFolder, device);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .slice(-shownMax - 1);
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Replacement];
    } catch {
      return [];
    }
  });
}

/** What is known of a device's units goes to its new id. */
export function moveUnits(stateFolder: string, from: Which, to: Which): void {
  for (const fileAt of [fileOf, (folder: string, device: Which) => pinOf(folder, device).file]) {
    const file = fileAt(stateFolder, from);
    if (existsSync(file)) renameSync(file, fileAt(stateFolder, to));
  }
}

/** Nobody is known any more: whoever answers first is trusted again. */
export function forgetUnits(stateFolder: string, device: Which): void {
  rmSync(pinOf(stateFolder, device).file, { force: true });
  rmSync(fileOf(stateFolder, device), { force: true });
}
