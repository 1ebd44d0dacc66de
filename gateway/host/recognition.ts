import type { DriverContext, Identity } from "../driver.ts";
import { quality } from "../event.ts";
import { firmwareDoubt, pointsFor } from "./identify.ts";
import type { HostDevice, HostPoint, Unwritable } from "./messages.ts";
import { Pause } from "./pause.ts";
import { differing, type Marks, marksOf, Pin, same } from "./pin.ts";

/** Once per so long a device is asked again who it is. */
const identifyMsDefault = 600_000;

type Data = Record<string, unknown>;

const named = ({ vendor = "", model = "" }: Marks): string => `${vendor} ${model}`.trim();

/**
 * Who one device has been found to be: its firmware, which decides on its points, and which unit it is. The first
 * unit that is seen is trusted and pinned in a file; another one is read on and not written to until a person says
 * so (`serial` in the site file, or `kerb identify --accept`).
 */
export class Recognition {
  /** Why the profile may not hold for this firmware. */
  doubt: string | undefined;
  firmware: string | undefined;
  #unwritable: Unwritable | undefined;
  #isAsked = false;
  readonly #device: HostDevice;
  readonly #pin: Pin | undefined;
  readonly #warn: (text: string) => void;
  /** As last told, by whichever unit. */
  #seen: Marks | undefined;
  /** The unit that may be written to. */
  #pinned: Marks | undefined;
  #unreadable: string | undefined;
  #isOpen = false;
  #strange: string | undefined;
  #tellsNothing = false;
  #isUnsaved = false;
  /** Another unit was accepted, and nobody has been told. */
  #accepted: Data | undefined;
  readonly #pause = new Pause();

  readonly #keeps: boolean;

  /** `keeps` false: a look that pins nobody, unless he is accepted. */
  constructor(
    device: HostDevice,
    { folder, log }: Pick<DriverContext, "folder" | "log">,
    { keeps = true } = {},
  ) {
    this.#device = device;
    this.#keeps = keeps;
    this.#pin = folder === undefined ? undefined : new Pin(folder, device.id);
    this.#warn = (text) => log("warn", text);
  }

  /** Resolves when the device is to be asked again: true, or with the signal: false. `phase` spreads the first one. */
  async due(signal: AbortSignal, phase = 1): Promise<boolean> {
    // Who has no way to say is asked no more than once a day.
    const everyMs = this.#tellsNothing ? 86_400_000 : (this.#device.identifyMs ?? identifyMsDefault);
    await this.#pause.sleep(everyMs * (0.5 + phase / 2), signal);
    return !signal.aborted;
  }

  /**
   * Whether a write may be tried: not before the device has been asked, not while something is wrong with it, and
   * not where no pin can be read.
   */
  get verdict(): { writable: boolean; unwritable?: Unwritable } {
    const unwritable = this.#unwritable;
    return unwritable === undefined
      ? { writable: this.#isAsked && this.#pin !== undefined }
      : { writable: false, unwritable };
  }

  /** Bits that every reading carries. */
  get extraQuality(): number {
    return this.doubt === undefined ? 0 : quality.uncertain;
  }

  /** Those of the points that hold for the firmware. */
  points(of: readonly HostPoint[]): readonly HostPoint[] {
    return pointsFor(of, this.firmware, this.#device.firmwareRange);
  }

  /** Takes what the device has said; gives the data of the `device-status` events that it is worth. */
  take(identity: Identity): Data[] {
    this.#open();
    const now = marksOf(identity);
    this.#isAsked = true;
    // Who has told something before is only silent this time.
    this.#tellsNothing = Object.keys({ ...this.#seen, ...now }).length === 0;
    const before = this.#strange;
    const unitNews = this.#unitNews(now);
    // Another unit has a firmware of its own, whether it tells it or not.
    this.firmware = now.firmware ?? (this.#strange === before ? this.firmware : undefined);
    const told = [this.#accepted ?? [], unitNews, this.#firmwareNews()].flat();
    this.#accepted = undefined;
    this.#seen = { ...this.#seen, ...now };
    this.#unwritable = this.#strangeUnit(now) ?? this.#strangeFirmware();
    // What one tells that cannot be told from a stranger is not noted as the unit's.
    if (!["other-unit", "unit-untold"].includes(this.#unwritable?.code ?? "")) this.#keep(now);
    return told;
  }

  /** From here on this is the unit. Throws when the site file says that it is another one. */
  async accept(identity: Identity): Promise<void> {
    const { id, serial } = this.#device;
    const now = marksOf(identity);
    if (serial !== undefined && (now.serial === undefined || !same(serial, now.serial)))
      throw new Error(
        `the site file says "serial: ${serial}" for ${id}: ${now.serial === undefined ? "the unit tells none, so take it out" : "write the new unit's there"}`,
      );
    if (this.#pin === undefined) throw new Error("nothing can be kept: there is no state folder");
    this.#open();
    await this.#pin.write(now);
    const before = this.#pinned;
    if (before !== undefined && differing(before, now).length > 0)
      this.#accepted = { state: "identity-changed", change: "accepted", before, now };
    this.#pinned = this.#seen = now;
    this.#strange = this.#unreadable = this.doubt = undefined;
    this.firmware = now.firmware;
  }

  /** Reads once what was known before this start. */
  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    try {
      this.#pinned = this.#seen = this.#pin?.read();
    } catch (error) {
      this.#unreadable = `${this.#pin?.file} cannot be read: ${(error as Error).message}`;
      this.#warn(this.#unreadable);
    }
  }

  #unitNews(now: Marks): Data[] {
    const strange = this.#other(now);
    const isNews = strange !== undefined && strange !== this.#strange;
    this.#strange = strange;
    if (isNews)
      return [{ state: "identity-changed", change: "unit", reason: strange, before: this.#pinned, now }];
    const before = this.#seen;
    const changed = before === undefined ? [] : differing(before, now);
    if (changed.length === 0) return [];
    const isUnit = changed.includes("serial") || changed.includes("certificate");
    const change = isUnit ? "unit" : changed.includes("firmware") ? "firmware" : "details";
    return [{ state: "identity-changed", change, before, now }];
  }

  /** One warning for each firmware that the profile does not speak of. */
  #firmwareNews(): Data[] {
    const firmware = this.firmware;
    const before = this.doubt;
    this.doubt = firmwareDoubt(firmware === undefined ? {} : { firmware }, this.#device.firmwareRange);
    if (this.doubt === undefined || this.doubt === before) return [];
    return [{ state: "firmware-unknown", code: "firmware-unknown", reason: this.doubt }];
  }

  /** Why this is another unit; undefined when it is the one, or when nobody can say. */
  #other(now: Marks): string | undefined {
    const { serial } = this.#device;
    if (serial !== undefined && now.serial !== undefined) {
      if (!same(serial, now.serial))
        return `the site file says serial number ${serial}, ${now.serial} answers`;
      // A person has written down who it is: what was seen before does not count.
      if (this.#pinned?.serial !== undefined && !same(this.#pinned.serial, serial)) this.#pinned = undefined;
    }
    const pinned = this.#pinned ?? {};
    const changed = differing(pinned, now);
    if (changed.includes("serial"))
      return `serial number ${pinned.serial} was here first, ${now.serial} answers`;
    if (changed.includes("certificate"))
      return `the certificate is not the one that was seen first (${pinned.certificate}), but ${now.certificate}`;
    const hasNumber = pinned.serial !== undefined || pinned.certificate !== undefined;
    if (hasNumber || !(changed.includes("vendor") || changed.includes("model"))) return undefined;
    return `${named(pinned)} was here first, ${named(now)} answers`;
  }

  #strangeUnit(now: Marks): Unwritable | undefined {
    if (this.#strange !== undefined)
      return {
        code: "other-unit",
        reason: `${this.#strange}: if that is right, kerb identify ${this.#device.id} --accept`,
      };
    if (this.#unreadable !== undefined) return { code: "unit-unreadable", reason: this.#unreadable };
    const serial = this.#device.serial ?? this.#pinned?.serial;
    const certificate = this.#pinned?.certificate;
    const missing =
      serial !== undefined && now.serial === undefined
        ? `serial number ${serial}`
        : certificate !== undefined && now.certificate === undefined
          ? `a certificate (${certificate})`
          : undefined;
    if (missing === undefined) return undefined;
    const { id, serial: written } = this.#device;
    const cure =
      written !== undefined && now.serial === undefined
        ? `where it never tells one, take "serial" out of the site file`
        : `if that is right, kerb identify ${id} --accept`;
    return { code: "unit-untold", reason: `the unit is known by ${missing}, and tells none now: ${cure}` };
  }

  #strangeFirmware(): Unwritable | undefined {
    const { firmwareRange, id } = this.#device;
    if (this.doubt !== undefined)
      return {
        code: "firmware-unknown",
        reason: `${this.doubt}: kerb identify ${id} shows which profile holds`,
      };
    if (this.firmware !== undefined || firmwareRange.trim() === "*") return undefined;
    const reason = `the profile is for firmware ${firmwareRange}, and the device tells none`;
    return { code: "firmware-untold", reason };
  }

  /** What is seen for the first time is trusted; a new firmware is noted. */
  #keep(now: Marks): void {
    if (this.#unreadable !== undefined) return;
    const before = this.#pinned ?? {};
    const pinned = { ...before, ...now };
    this.#pinned = pinned;
    const isKnown = JSON.stringify(pinned) === JSON.stringify(before) && !this.#isUnsaved;
    if (!this.#keeps || isKnown || this.#pin === undefined) return;
    const isNews = !this.#isUnsaved;
    this.#isUnsaved = true;
    this.#pin.write(pinned).then(
      () => (this.#isUnsaved = false),
      (error: Error) => {
        if (!isNews) return;
        const text = "who this device is could not be kept, so that another unit would be trusted";
        this.#warn(`${text}: ${error.message}`);
      },
    );
  }
}
