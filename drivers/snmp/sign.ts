import type { Varbind } from "net-snmp";
import { DeviceError } from "../../gateway/driver.ts";
import { activationCode, messageCrc } from "./crc.ts";
import { aborted, Refusal } from "./errors.ts";
import type { Fetcher } from "./fetch.ts";
import { encode, parse, unsupportedTags, withoutDiacritics, type Parsed } from "./multi.ts";
import { undefinedCharacters } from "./sign-font.ts";
import {
  activateErrors,
  column,
  columns,
  memoryTypes,
  objects,
  status,
  syntaxErrors,
  validateErrors,
} from "./sign-objects.ts";
import type { SignSettings } from "./settings.ts";
import { numberOf, types } from "./values.ts";

/** A sign is asked for its state so often while it works. */
const askAgainMs = 200;
/** How long it may take a sign to give a row for changing. */
const openRowMs = 2000;
const slowActivating = 4;
const slowActivatedError = 3;

/** What putting a message on a sign needs of its connection. */
export interface SignLink {
  readonly place: string;
  readonly fetcher: Fetcher;
  set(varbind: Varbind, signal: AbortSignal): Promise<void>;
  /** Own address towards the sign, 4 octets. */
  readonly source: Uint8Array;
  log(text: string): void;
}

/**
 * Shows a MULTI text on a message sign, or blanks it with an empty one: the whole sequence of NTCIP 1203 v03.05,
 * 4.2.3. Rejects with `DeviceError("rejected")`, and says what the sign holds against it.
 */
export class SignWriter {
  readonly #link: SignLink;
  readonly #settings: SignSettings;
  readonly #signal: AbortSignal;

  constructor(link: SignLink, settings: SignSettings, signal: AbortSignal) {
    this.#link = link;
    this.#settings = settings;
    this.#signal = signal;
  }

  async show(text: string): Promise<void> {
    const { memory, number, runTimePriority, stripDiacritics } = this.#settings;
    if (text === "") {
      await this.#activate(memoryTypes.blank, runTimePriority, 0);
      return;
    }
    const multi = stripDiacritics ? withoutDiacritics(text) : text;
    const bytes = await this.#checked(multi);
    const crc = await this.#define(memoryTypes[memory], number, bytes);
    await this.#activate(memoryTypes[memory], number, crc);
  }

  /** Checks what can be known before the sign is touched. */
  async #checked(multi: string): Promise<Buffer> {
    const parsed = parse(multi);
    if (parsed.problem !== undefined) throw this.#rejected(`MULTI has ${parsed.problem}`);
    const { bytes, missing } = encode(multi, this.#settings.charset);
    if (missing.length > 0) throw this.#cannotShow(missing);
    const limits = await this.#values(objects.supportedTags, objects.lengthMax, objects.pagesMax);
    const [supported, lengthMax, pagesMax] = limits;
    if (Buffer.isBuffer(supported?.value) && supported.value.length > 0) {
      const [tag] = unsupportedTags(parsed, supported.value);
      if (tag !== undefined) throw this.#rejected(`the sign has no tag [${tag.name}], at offset ${tag.at}`);
    }
    const bytesMax = numberFrom(lengthMax);
    if (bytesMax !== undefined && bytesMax > 0 && bytes.length > bytesMax)
      throw this.#rejected(`${bytes.length} octets of MULTI, and the sign takes ${bytesMax}`);
    const pages = numberFrom(pagesMax);
    if (pages !== undefined && pages > 0 && parsed.pages > pages)
      throw this.#rejected(`${parsed.pages} pages, and the sign shows ${pages}`);
    await this.#checkFont(parsed);
    return bytes;
  }

  async #checkFont(parsed: Parsed): Promise<void> {
    if (!this.#settings.checkFont || this.#settings.charset === "utf8") return;
    const missing = await undefinedCharacters(parsed, (...oids) => this.#values(...oids));
    if (missing.length > 0) throw this.#cannotShow(missing);
  }

  /** Writes the message into its row and has it validated; gives the sign's own check sum. */
  async #define(memory: number, number: number, multi: Buffer): Promise<number> {
    const at = (index: number): string => column(index, memory, number);
    const { owner, beacon, runTimePriority } = this.#settings;
    // Somebody's message may still be under examination there.
    await this.#settled(at(columns.status), status.validating, true);
    await this.#openRow(at(columns.status));
    await this.#set(at(columns.multi), octets(multi), "MULTI");
    await this.#set(at(columns.owner), octets(Buffer.from(owner)), "the owner");
    await this.#set(at(columns.priority), integer(runTimePriority), "the run-time priority");
    const beaconIs = await this.#setIfThere(at(columns.beacon), beacon ? 1 : 0, "beacons");
    const pixelServiceIs = await this.#setIfThere(at(columns.pixelService), 0, "pixel service");
    await this.#validate(at(columns.status), multi);
    const [crc, stored] = await this.#values(at(columns.crc), at(columns.multi));
    const own = messageCrc(multi, beaconIs, pixelServiceIs);
    const theirs = numberFrom(crc);
    if (theirs === undefined || !Number.isInteger(theirs) || theirs < 0 || theirs > 0xffff)
      throw this.#rejected(`the sign gives no check sum of the message: ${theirs ?? "nothing"}`);
    if (theirs !== own) this.#compare(multi, stored, theirs, own);
    return theirs;
  }

  /** Signs have check sums of their own; what counts is that the message is the one that was sent. */
  #compare(multi: Buffer, stored: Varbind | undefined, theirs: number, own: number): void {
    const sums = `${theirs.toString(16)} where ${own.toString(16)} belongs`;
    if (!Buffer.isBuffer(stored?.value) || !stored.value.equals(multi))
      throw this.#rejected(`the sign has stored another message than was sent (check sum ${sums})`);
    this.#link.log(`${this.#link.place}: the sign counts check sums in its own way: ${sums}`);
  }

  async #activate(memory: number, number: number, crc: number): Promise<void> {
    const { duration, activationPriority } = this.#settings;
    const { source } = this.#link;
    const code = activationCode({
      minutes: duration,
      priority: activationPriority,
      memory,
      number,
      crc,
      source,
    });
    try {
      await this.#link.set({ oid: objects.activate, ...octets(code) }, this.#signal);
    } catch (error) {
      throw await this.#activationError(error, code);
    }
    try {
      await this.#activated(Buffer.from([memory, number >> 8, number & 255, crc >> 8, crc & 255]));
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "silent") throw error;
      const taken = "the sign had accepted the message, whether it shows it is not known";
      throw new DeviceError("silent", `${error.message}; ${taken}`, { cause: error });
    }
  }

  /** Signs that turn drums take their time; then the message that is shown must be the one with this id. */
  async #activated(id: Buffer): Promise<void> {
    const end = await this.#settled(objects.activateState, slowActivating, true);
    if (end === slowActivatedError) throw this.#accepted("the sign could not change its face");
    const [shown] = await this.#values(objects.source);
    if (!Buffer.isBuffer(shown?.value) || shown.value.equals(id)) return;
    const [error] = await this.#values(objects.activateError);
    const reason = activateErrors[numberFrom(error) ?? 1] ?? "other";
    throw this.#accepted(
      `the sign shows ${shown.value.toString("hex")}, not ${id.toString("hex")} (${reason})`,
    );
  }

  async #activationError(error: unknown, code: Buffer): Promise<unknown> {
    if (!(error instanceof Refusal)) return error;
    const [reason, at] = await this.#values(objects.activateError, objects.errorCode);
    const isOurs = !Buffer.isBuffer(at?.value) || at.value.equals(code);
    const name = isOurs ? (activateErrors[numberFrom(reason) ?? 0] ?? "") : "";
    const detail = name === "syntaxMULTI" ? `: ${await this.#syntaxError("")}` : "";
    return this.#rejected(
      `the sign does not activate the message: ${name === "" ? error.message : name}${detail}`,
    );
  }

  async #invalid(multi: Buffer, end: number | undefined): Promise<DeviceError> {
    if (end === status.validating)
      return this.#rejected(`the sign is still validating after ${this.#settings.validateTimeout / 1000} s`);
    const [found] = await this.#values(objects.validateError);
    const name = validateErrors[numberFrom(found) ?? 0] ?? "";
    const detail = name === "syntaxMULTI" ? `: ${await this.#syntaxError(multi.toString("latin1"))}` : "";
    return this.#rejected(
      `the sign finds the message not valid: ${name === "" ? "no reason given" : name}${detail}`,
    );
  }

  async #syntaxError(multi: string): Promise<string> {
    const [error, position, other] = await this.#values(
      objects.syntaxError,
      objects.syntaxPosition,
      objects.otherError,
    );
    const name = syntaxErrors[numberFrom(error) ?? 1] ?? "other";
    const at = numberFrom(position);
    const text = Buffer.isBuffer(other?.value) ? other.value.toString("latin1").trim() : "";
    const where =
      at === undefined ? "" : ` at offset ${at}${multi === "" ? "" : ` ("${multi.slice(at, at + 12)}")`}`;
    return `${name}${where}${text === "" ? "" : ` - ${text}`}`;
  }

  /** Asks for the row; signs may be a moment late in giving it. */
  async #openRow(oid: string): Promise<void> {
    await this.#set(oid, integer(status.modifyRequest), "the request to change the message");
    const endMs = performance.now() + Math.min(openRowMs, this.#settings.validateTimeout);
    for (;;) {
      const [now] = await this.#values(oid);
      const value = numberFrom(now);
      if (value === status.modifying) return;
      if (performance.now() > endMs)
        throw this.#rejected(`the row of the message table takes no changes: status ${value ?? "unknown"}`);
      await pause(askAgainMs, this.#signal, this.#link.place);
    }
  }

  /** Has the message validated. Signs may refuse the request itself when the message is not valid. */
  async #validate(oid: string, multi: Buffer): Promise<void> {
    try {
      await this.#link.set({ oid, ...integer(status.validateRequest) }, this.#signal);
    } catch (error) {
      if (error instanceof Refusal) throw await this.#invalid(multi, undefined);
      throw error;
    }
    const end = await this.#settled(oid, status.validating);
    if (end !== status.valid) throw await this.#invalid(multi, end);
  }

  /** Asks until the object is no longer `working`, within the sign's time. */
  async #settled(oid: string, working: number, isOptional = false): Promise<number | undefined> {
    const endMs = performance.now() + this.#settings.validateTimeout;
    for (;;) {
      const [now] = await this.#values(oid);
      const value = numberFrom(now);
      if (value === undefined && !isOptional)
        throw this.#rejected(`the sign does not say its state (${oid})`);
      if (value !== working || performance.now() > endMs) return value;
      await pause(askAgainMs, this.#signal, this.#link.place);
    }
  }

  async #set(oid: string, value: Omit<Varbind, "oid">, what: string): Promise<void> {
    try {
      await this.#link.set({ oid, ...value }, this.#signal);
    } catch (error) {
      if (error instanceof Refusal) throw this.#rejected(`the sign refuses ${what}: ${error.message}`);
      throw error;
    }
  }

  /** Beacon and pixel service count as 0 where a sign has none (5.6.8.5). */
  async #setIfThere(oid: string, value: number, what: string): Promise<number> {
    try {
      await this.#link.set({ oid, ...integer(value) }, this.#signal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (value !== 0) throw this.#rejected(`the sign has no ${what}: ${error.message}`);
    }
    return value;
  }

  /** Objects that have a value; undefined for those that the sign has not. An answer that is lost is no answer. */
  async #values(...oids: readonly string[]): Promise<(Varbind | undefined)[]> {
    const { found } = await this.#link.fetcher.fetch(oids, [], this.#signal);
    for (const { problem } of found.values()) {
      if (problem?.code !== "timeout" && problem?.code !== "garbage") continue;
      throw new DeviceError(problem.code === "timeout" ? "silent" : "garbage", problem.reason ?? "");
    }
    return oids.map((oid) => found.get(oid)?.varbind);
  }

  #cannotShow(characters: readonly string[]): DeviceError {
    const shown = characters.slice(0, 20).map((one) => `"${one}"`);
    const cure = this.#settings.stripDiacritics
      ? ""
      : "; stripDiacritics writes Vietnamese without its marks";
    return this.#rejected(`the sign cannot show ${shown.join(" ")}${cure}`);
  }

  /** It had taken the message; what became of it is not sure. */
  #accepted(what: string): DeviceError {
    return new DeviceError("garbage", `${this.#link.place}: ${what}`);
  }

  #rejected(what: string): DeviceError {
    return new DeviceError("rejected", `${this.#link.place}: ${what}`);
  }
}

const octets = (value: Buffer): Omit<Varbind, "oid"> => ({ type: types.octets ?? 4, value });
const integer = (value: number): Omit<Varbind, "oid"> => ({ type: types.integer ?? 2, value });

function numberFrom(varbind: Varbind | undefined): number | undefined {
  const number = varbind === undefined ? undefined : numberOf(varbind);
  return number === undefined ? undefined : Number(number);
}

function pause(ms: number, signal: AbortSignal, place: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const giveUp = (): void => reject(aborted(place));
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  });
}
