import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Cassette, cassetteText, filler } from "../cassette/cassette.ts";
import { expectedRead, expectedRecord, type Outcome, withoutUnstable } from "../cassette/expected.ts";
import { scrub, type Secret, secretCharsMin } from "../cassette/scrub.ts";
import { blankSettings, secretsOf, shortSecrets } from "../cassette/secrets.ts";
import { openTap, type Tap } from "../cassette/tap.ts";
import { type DeviceConfig, loadSite, type Site } from "../config.ts";
import type { Language } from "../config/error-texts.ts";
import { driverSchemas } from "../config/drivers.ts";
import { DeviceError, type Identity, type Wire } from "../driver.ts";
import { exitCodes, printable, shownFile } from "../errors.ts";
import type { ReadingValue } from "../event.ts";
import { comparedIdentity, personalFields, playCassette } from "./cassettes.ts";
import { CommandError, deviceFailure, usageError } from "./errors.ts";
import { FieldDevice } from "./field.ts";
import { languageOf } from "./language.ts";
import { hint, pause, printData, printLines, stopSignal } from "./output.ts";
import { deviceNamed } from "./read-source.ts";
import { recordWords } from "./record-words.ts";
import { findSite } from "./site.ts";
import { kerbVersion } from "./verbs.ts";

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
const readsMax = 10;
/** `Listening` keeps 100; a record that is not kept cannot be scrubbed. */
const recordsMax = 90;
const lookMs = 200;

/** What came of the conversation that is on the tape. */
interface Take extends Outcome {
  way: Cassette["way"];
  who: Identity;
  personal: Secret[];
  limits: string[];
}

/** Every field that is personal is told in clear here, for who must be hidden has to be known. */
function unveiled(device: DeviceConfig): DeviceConfig {
  return {
    ...device,
    records: device.records.map((one) => ({
      ...one,
      fields: one.fields.map((field) =>
        field.privacy === "none" ? field : { ...field, privacy: "token" as const },
      ),
    })),
  };
}

function personalTexts(field: FieldDevice, personal: ReadonlySet<string>): Secret[] {
  const texts = field.records.flatMap(({ data }) =>
    Object.entries((data["values"] ?? {}) as Record<string, { value?: ReadingValue }>)
      .filter(([name]) => personal.has(`${String(data["record"])}.${name}`))
      .map(([, { value }]) => (value === null || value === undefined ? "" : String(value))),
  );
  return [...new Set(texts)].filter((text) => text !== "").map((text) => ({ what: "personal data", text }));
}

async function take(
  device: DeviceConfig,
  stateFolder: string,
  { tape }: Tap,
  forMs: number,
  stop: AbortSignal,
): Promise<Take> {
  const startedMs = performance.now();
  const leftMs = () => startedMs + forMs - performance.now();
  const personal = personalFields(device);
  const options = { points: [], raw: false };
  const { signal } = new AbortController();
  const field = await FieldDevice.open(unveiled(device), stateFolder, stop, {
    how: "clear",
    legalBasis: "recording",
  });
  try {
    const first = await field.read(options, stop);
    const isPushed = device.points.some(({ poll }) => poll === "push") || device.records.length > 0;
    const way = isPushed || first.some(({ unheard }) => unheard === true) ? "listens" : "asks";
    const reads: Outcome["reads"] = [];
    const isOver = () => tape.full !== undefined || stop.aborted || field.records.length >= recordsMax;
    if (way === "listens") {
      while (leftMs() > 0 && !isOver()) await pause(Math.min(lookMs, Math.max(0, leftMs())), stop);
      reads.push({}, expectedRead(await field.read(options, signal)));
    } else {
      const periodMs = Math.min(Math.max(Math.min(device.pollMs.normal, forMs / 3), lookMs), 10_000);
      reads.push(expectedRead(first));
      while (reads.length < readsMax && leftMs() > periodMs) {
        await pause(periodMs, stop);
        if (isOver()) break;
        const read = expectedRead(await field.read(options, signal));
        // The end of this one is not on the tape.
        if (tape.full !== undefined) break;
        reads.push(read);
      }
    }
    return {
      way,
      reads,
      who: field.identity,
      identity: comparedIdentity(field.identity),
      records: field.records.map((one) => expectedRecord(one, personal)),
      personal: personalTexts(field, personal),
      limits: [tape.full, field.records.length >= recordsMax ? "records" : undefined].filter(
        (limit) => limit !== undefined,
      ),
    };
  } finally {
    await field.close();
  }
}

/** Device and site of a recording, and what to say where it cannot be. */
class Recording {
  readonly device: DeviceConfig;
  readonly #site: Site;
  readonly #options: RecordOptions;
  readonly #language: Language;

  constructor(site: Site, device: DeviceConfig, options: RecordOptions) {
    this.#site = site;
    this.device = device;
    this.#options = options;
    this.#language = languageOf(options.lang);
  }

  refused(why: string, cure: string): CommandError {
    const title = recordWords[this.#language].refused(this.device.id, printable(why));
    return usageError(title, cure, this.#language);
  }

  async wire(): Promise<Exclude<Wire<Record<string, unknown>>, { over: "none" }>> {
    const words = recordWords[this.#language];
    const { wire } = await driverSchemas(this.device.driver);
    const way = wire?.(this.device.settings as never);
    if (way === undefined) throw this.refused(words.noWay(this.device.driver), words.noWayCure);
    if (way.over === "none") throw this.refused(way.cannot[this.#language], words.noWayCure);
    return way;
  }

  /** Secrets of the site, as far as they are known beforehand. Throws where one cannot be found for sure. */
  secrets(): Secret[] {
    const words = recordWords[this.#language];
    const own = secretsOf(this.device, this.#site.files, this.#site.file);
    const given = (this.#options.hide ?? []).map((text) => ({ what: "--hide", text }));
    const all = [...own, ...given];
    const [short] = shortSecrets(all);
    if (short !== undefined) throw this.refused(words.short(short.what, secretCharsMin), words.shortCure);
    return all;
  }

  /** The cassette of a take, scrubbed and played once. Throws where it cannot be either. */
  async cassette(
    way: Exclude<Wire<unknown>, { over: "none" }>,
    tap: Tap,
    taken: Take,
    known: readonly Secret[],
  ): Promise<Cassette> {
    const words = recordWords[this.#language];
    const { device } = this;
    const { hideSerial = false } = this.#options;
    const serial = hideSerial ? (taken.who.serial ?? "") : "";
    const { host, port } = tap.place;
    const secrets = [
      ...known,
      ...taken.personal,
      ...(serial.length >= secretCharsMin ? [{ what: "serial number", text: serial }] : []),
      { what: "addresses", text: `${host}:${port}` },
      ...("host" in way && way.host.length >= secretCharsMin ? [{ what: "addresses", text: way.host }] : []),
    ];
    const [short] = shortSecrets(taken.personal);
    if (short !== undefined) throw this.refused(words.short(short.what, secretCharsMin), words.privateCure);
    const connections = tap.tape.connections.filter((frames) => frames.length > 0);
    const { found, nowhere } = scrub(connections, secrets, filler);
    if (nowhere.some(({ what }) => what === "personal data" || what === "serial number"))
      throw this.refused(words.veiled, words.privateCure);
    const places = "path" in way ? { [way.path]: "/dev/null" } : { [way.host]: "127.0.0.1" };
    const cassette: Cassette = {
      cassette: 1,
      profile: device.profile ?? "",
      driver: device.driver,
      recorded: new Date().toISOString(),
      kerb: kerbVersion(),
      over: way.over === "udp" ? "udp" : "tcp",
      way: taken.way,
      identity: hidden(taken.identity, secrets),
      settings: blankSettings(device, this.#site.file, secrets, places),
      scrubbed: found,
      limits: taken.limits,
      unstable: [],
      connections,
      reads: hidden(taken.reads, secrets),
      records: hidden(taken.records, secrets),
    };
    const { differences, failure } = await playCassette(cassette, device.id);
    const kept = withoutUnstable(cassette, differences);
    const isEmpty = kept.reads.every((read) => Object.keys(read).length === 0) && kept.records.length === 0;
    const why = failure ?? differences[0]?.point ?? words.nothing;
    if (failure !== undefined || isEmpty) throw this.refused(words.unplayable(why), words.unplayableCure);
    return kept;
  }
}

/** Texts that came out of a device may hold a secret as well as its bytes. */
function hidden<Value>(value: Value, secrets: readonly Secret[]): Value {
  const text = secrets.reduce(
    (left, secret) =>
      left.replaceAll(JSON.stringify(secret.text).slice(1, -1), (one) => "x".repeat(one.length)),
    JSON.stringify(value),
  );
  return JSON.parse(text) as Value;
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
  const recording = new Recording(site, device, options);
  const way = await recording.wire();
  const secrets = recording.secrets();
  const forMs = options.forMs ?? defaultForMs;
  if (options.json !== true) hint(words.recording(id, forMs / 1000));
  const tap = await openTap(way);
  let taken: Take;
  try {
    const moved = { ...device, settings: way.moved(tap.place) };
    taken = await take(moved, site.gateway.stateFolder, tap, forMs, stopSignal());
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw deviceFailure(id, error.code, error.message, language);
  } finally {
    await tap.close();
  }
  const cassette = await recording.cassette(way, tap, taken, secrets);
  writeFileSync(out, cassetteText(cassette), { flag: "wx", mode: 0o600 });
  const { scrubbed, limits, unstable, reads, records, connections } = cassette;
  const counts = { frames: connections.flat().length, reads: reads.length, records: records.length };
  if (options.json === true) printData("record", { file: out, ...counts, scrubbed, limits, unstable });
  else {
    printLines([words.done(shownFile(out), counts.frames, counts.reads, counts.records)]);
    if (scrubbed.length > 0) hint(words.scrubbed(scrubbed.join(", ")));
    if (limits.length > 0) hint(words.limited(limits.join(", ")));
    if (unstable.length > 0) hint(words.unstable(unstable.join(", ")));
    hint(words.next(shownFile(out)));
  }
  return exitCodes.ok;
}
