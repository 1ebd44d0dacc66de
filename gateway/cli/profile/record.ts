import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { cassetteText } from "../../cassette/cassette.ts";
import { openTap } from "../../cassette/tap.ts";
import type { Tap } from "../../cassette/tape.ts";
import { loadSite } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { DeviceError, type WirePlace } from "../../driver.ts";
import { exitCodes, shownFile } from "../../errors.ts";
import { WrongDeviceError } from "../../host/identify.ts";
import { deviceFailure, usageError } from "../errors.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { checkFolder, writeOut } from "../out-file.ts";
import { deviceNamed } from "../read/read-source.ts";
import { recordWords } from "./record-words.ts";
import { Recording } from "./recording.ts";
import { findSite } from "../site.ts";
import { take, type Take } from "./take.ts";

export interface RecordOptions {
  site?: string;
  forMs?: number;
  out?: string;
  /** Further texts that must not be in it. */
  hide?: string[];
  /** The serial number must not be in it. */
  hideSerial?: boolean;
  json?: boolean;
  lang?: Language;
}

const defaultForMs = 60_000;

/** Opens the tap; where the device calls, its port may be the gateway's. */
async function tapOf(way: Parameters<typeof openTap>[0], recording: Recording, lang: Language): Promise<Tap> {
  const words = recordWords[lang];
  try {
    return await openTap(way);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (way.over !== "calls") throw error;
    const place = `${way.host}:${way.port}`;
    if (code === "EADDRINUSE") throw recording.refused(words.portTaken(place), words.portTakenCure);
    throw recording.refused(words.cannotListen(place, message), words.cannotListenCure);
  }
}

/** What the driver said of the tap's place, said of the device's. */
function atDevice(text: string, way: Parameters<typeof openTap>[0], tapped: WirePlace | undefined): string {
  if (tapped === undefined) return text;
  const place = "path" in way ? way.path : `${way.host}:${way.port}`;
  return text.replaceAll(`${tapped.host}:${tapped.port}`, place);
}

/**
 * `kerb record`: what a device and its driver say to each other, into a cassette. Asks the device itself, beside a
 * running gateway too. Exit codes: 2 cannot be recorded, 3 unknown device, 5 no answer.
 */
export async function record(id: string, options: RecordOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = recordWords[language];
  const file = findSite(options.site);
  const site = await loadSite(file);
  const device = deviceNamed(site.devices, id, file);
  const out = resolve(options.out ?? `${id}.cassette.yaml`);
  if (existsSync(out)) throw usageError(words.exists(shownFile(out)), words.existsCure, language);
  checkFolder(out, language);
  const recording = new Recording(site, device, options, language);
  if (device.points.length === 0 && device.records.length === 0)
    throw recording.refused(words.noPoints, words.noPointsCure);
  const way = await recording.way();
  const secrets = recording.secrets(way);
  const forMs = options.forMs ?? defaultForMs;
  if (options.json !== true) hint(words.recording(id, forMs / 1000));
  const tap = await tapOf(way, recording, language);
  let taken: Take;
  try {
    const moved = tap.place === undefined ? device : { ...device, settings: way.moved(tap.place) };
    taken = await take(moved, site.gateway.stateFolder, tap, forMs, stopSignal());
  } catch (thrown) {
    if (thrown instanceof WrongDeviceError)
      throw recording.refused(words.otherDevice(thrown.message), words.otherDeviceCure(id));
    // Behind the tap the driver sees only that somebody hung up.
    const error = tap.failure ?? thrown;
    if (!(error instanceof DeviceError)) throw error;
    const seen = atDevice(error.message, way, tap.place);
    throw deviceFailure(id, error.code, seen, language);
  } finally {
    await tap.close();
  }
  const cassette = await recording.cassette(way, tap, taken, secrets);
  writeOut(out, cassetteText(cassette), { flag: "wx", mode: 0o600 }, language);
  const { scrubbed, limits, unstable, reads, records, connections, leftOut = 0 } = cassette;
  const counts = { frames: connections.flat().length, reads: reads.length, records: records.length };
  if (options.json === true)
    printData("record", { file: out, ...counts, scrubbed, limits, leftOut, unstable });
  else {
    printLines([words.done(shownFile(out), counts.frames, counts.reads, counts.records)]);
    if (scrubbed.length > 0) hint(words.scrubbed(scrubbed.join(", ")));
    if (limits.length > 0) hint(words.limited(limits.join(", ")));
    if (leftOut > 0) hint(words.leftOut(leftOut));
    if (unstable.length > 0) hint(words.unstable(unstable.join(", ")));
    hint(words.next(shownFile(out)));
  }
  return exitCodes.ok;
}
