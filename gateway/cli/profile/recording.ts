import { type Cassette, cassetteText } from "../../cassette/cassette.ts";
import { withoutUnstable } from "../../cassette/expected.ts";
import { packedIn, scrub, type Secret, secretCharsMin, veiled } from "../../cassette/scrub.ts";
import { blankSettings, secretsOf, serialsOf, shortSecrets } from "../../cassette/secrets.ts";
import type { Tap } from "../../cassette/tape.ts";
import type { DeviceConfig, Site } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import { driverSchemas } from "../../config/drivers.ts";
import { fileBytesMax } from "../../config/file-text.ts";
import type { Wire } from "../../driver.ts";
import { ConfigError, printable } from "../../errors.ts";
import { playCassette } from "./cassettes.ts";
import { type CommandError, usageError } from "../errors.ts";
import { recordWords } from "./record-words.ts";
import type { Take } from "./take.ts";
import { kerbVersion } from "../verbs.ts";

/** A way to a device that can be recorded. */
type Way = Exclude<Wire<Record<string, unknown>>, { over: "none" }>;

const communities = /communit/i;

/** Device and site of a recording, and what to say where it cannot be. */
export class Recording {
  readonly device: DeviceConfig;
  readonly #site: Site;
  readonly #hide: readonly string[];
  readonly #hidesSerial: boolean;
  readonly #language: Language;

  constructor(
    site: Site,
    device: DeviceConfig,
    { hide = [], hideSerial = false }: { hide?: readonly string[]; hideSerial?: boolean },
    language: Language,
  ) {
    this.#site = site;
    this.device = device;
    this.#hide = hide;
    this.#hidesSerial = hideSerial;
    this.#language = language;
  }

  refused(why: string, cure: string): CommandError {
    const title = recordWords[this.#language].refused(this.device.id, printable(why));
    return usageError(title, cure, this.#language);
  }

  async way(): Promise<Way> {
    const words = recordWords[this.#language];
    const { wire } = await driverSchemas(this.device.driver);
    const way = wire?.(this.device.settings as never);
    if (way === undefined) throw this.refused(words.noWay(this.device.driver), words.noWayCure);
    if (way.over === "none") {
      const { cannot, cure } = way;
      throw this.refused(cannot[this.#language], cure?.[this.#language] ?? words.noWayCure);
    }
    return way;
  }

  /** Secrets of the site, as far as they are known beforehand. Throws where one cannot be found for sure. */
  secrets({ over }: Way): Secret[] {
    const words = recordWords[this.#language];
    const own = secretsOf(this.device, this.#site.files, this.#site.file);
    const given = this.#hide.map((text) => ({ what: "--hide", text }));
    const all = [...own, ...given];
    // Where a community stands in a datagram is known; a login of MQTT or OPC UA is in nothing that is kept.
    const isPlaced = ({ what }: Secret) =>
      (over === "udp" && communities.test(what)) ||
      ((over === "mqtt" || over === "opcua") && /^(?:user(?:name)?|password)$/.test(what));
    const short = shortSecrets(all).find((one) => !isPlaced(one));
    if (short !== undefined) throw this.refused(words.short(short.what, secretCharsMin), words.shortCure);
    return all;
  }

  /** Everything that must not be in it. Throws where some of it cannot be found for sure. */
  #hidden(way: Way, { place, tape }: Tap, { who, heard }: Take, known: readonly Secret[]): Secret[] {
    const words = recordWords[this.#language];
    if (heard.isTooMuch) throw this.refused(words.manyPersonal, words.privateCure);
    const personal = [...heard.personal.keys()].map((text): Secret => {
      return { what: "personal data", text, isPersonal: true };
    });
    const [short] = shortSecrets(personal);
    if (short !== undefined) throw this.refused(words.short(short.what, secretCharsMin), words.privateCure);
    const serials = this.#hidesSerial ? [who.serial ?? "", ...serialsOf(this.device)] : [];
    const named = "host" in way && way.over !== "calls" ? way.host : "";
    // A bare name may be a word of topics or nodes, and says nothing of where the broker or server is.
    const isBare = (way.over === "mqtt" || way.over === "opcua") && !/[.:]/.test(named);
    const host = isBare ? "" : named;
    // What profile or site call it by themselves must be found again.
    const { points, records, identify, settings } = this.device;
    const written = JSON.stringify([points, records, identify, settings]);
    const names = [...tape.names].filter((text) => !written.includes(JSON.stringify(text).slice(1, -1)));
    return [
      ...known,
      ...personal,
      ...[...new Set(serials)]
        .filter((text) => text.length >= secretCharsMin)
        .map((text) => ({ what: "serial number", text })),
      ...names.map((text) => ({ what: "names of the device", text })),
      ...(place === undefined ? [] : [{ what: "addresses", text: `${place.host}:${place.port}` }]),
      ...(host.length >= secretCharsMin ? [{ what: "addresses", text: host, isWord: true }] : []),
    ];
  }

  #settings(way: Way, secrets: readonly Secret[]): Record<string, unknown> {
    const places = "path" in way ? { [way.path]: "/dev/null" } : { [way.host]: "127.0.0.1" };
    const blank = blankSettings(this.device, this.#site.file, secrets, places);
    const instead = ("instead" in way ? way.instead : undefined) ?? {};
    const all = Object.entries({ ...blank, ...instead });
    return Object.fromEntries(all.filter(([, value]) => value !== undefined));
  }

  /** Throws where a setting cannot be checked any more, once what is secret in it is blanked. */
  async #played(cassette: Cassette): ReturnType<typeof playCassette> {
    const words = recordWords[this.#language];
    try {
      return await playCassette(cassette, this.device.id);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const { message = error.message } = error.diagnostics[0] ?? {};
      throw this.refused(words.unplayable(message), words.unplayableSettingCure);
    }
  }

  /** The cassette of a take, scrubbed and played once. Throws where it cannot be either. */
  async cassette(way: Way, tap: Tap, taken: Take, known: readonly Secret[]): Promise<Cassette> {
    const words = recordWords[this.#language];
    const { device } = this;
    const readings = taken.reads.flatMap((read) => Object.values(read));
    if (taken.records.length === 0 && readings.length > 0 && readings.every(({ status }) => status === "bad"))
      throw this.refused(words.noneGood, words.noneGoodCure(device.id));
    const secrets = this.#hidden(way, tap, taken, known);
    const connections = tap.tape.connections.filter((frames) => frames.length > 0);
    const packed = connections.map(packedIn).find((how) => how !== undefined);
    if (packed !== undefined) throw this.refused(words.packed(packed), words.packedCure);
    const { found, nowhere } = scrub(connections, secrets);
    const mustBeThere = ({ what, text }: Secret) =>
      (what === "serial number" && text === taken.who.serial) ||
      (what === "personal data" && taken.heard.personal.get(text) === true);
    if (nowhere.some(mustBeThere)) throw this.refused(words.veiled, words.privateCure);
    const { leftOut } = taken.heard;
    const cassette: Cassette = {
      cassette: 1,
      profile: device.profile ?? "",
      driver: device.driver,
      recorded: new Date().toISOString(),
      kerb: kerbVersion(),
      over: way.over === "serial" ? "tcp" : way.over,
      way: taken.way,
      identity: veiled(taken.identity, secrets),
      settings: this.#settings(way, secrets),
      scrubbed: [...found, ...tap.tape.skipped].toSorted(),
      limits: taken.limits,
      ...(leftOut === 0 ? {} : { leftOut }),
      unstable: [],
      connections,
      reads: veiled(taken.reads, secrets),
      records: veiled(taken.records, secrets),
    };
    const { differences, failure } = await this.#played(cassette);
    const kept = withoutUnstable(cassette, differences);
    const isEmpty = kept.reads.every((read) => Object.keys(read).length === 0) && kept.records.length === 0;
    const why = failure ?? differences[0]?.point ?? words.nothing;
    if (failure !== undefined || isEmpty) throw this.refused(words.unplayable(why), words.unplayableCure);
    const bytes = Buffer.byteLength(cassetteText(kept));
    if (bytes > fileBytesMax) throw this.refused(words.tooLarge(bytes), words.tooLargeCure);
    return kept;
  }
}
