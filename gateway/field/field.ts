import { join } from "node:path";
import type { DeviceConfig } from "../config/config.ts";
import { driverSchemas } from "../config/drivers.ts";
import { askedOf } from "../profiles/derived.ts";
import { type Connection, DeviceError, type Driver, type Identity } from "../driver.ts";
import { quality } from "../event.ts";
import {
  closed,
  firmwareDoubt,
  identifyDevice,
  pointsFor,
  type Recognised,
  within,
  withFactors,
} from "../host/identify.ts";
import type { HostDevice, HostPoint, LatestReading } from "../host/messages.ts";
import { ownTimes } from "../host/groups.ts";
import { Normaliser, shownReadings } from "../host/normalise.ts";
import { bare, hostDevice } from "../config/site-devices.ts";
import { type Ear, Listening } from "./field-push.ts";
import type { HeardRecord } from "./field-push.ts";

/** One device on the end of a wire, without a gateway: what `kerb read` does at a cabinet that runs none yet. */

const connectTimeoutMs = 10_000;
const readTimeoutMs = 15_000;

function hostPoints(device: DeviceConfig): HostPoint[] {
  return device.points.map((point) => ({ ...bare(point), index: point.publish ? 0 : -1 }));
}

const isPushed = ({ poll }: HostPoint): boolean => poll === "push";

/** An open device, and who it is. */
export interface OpenDevice {
  driver: Driver<unknown, unknown>;
  connection: Connection<unknown>;
  found: Recognised;
}

/** Loads the driver, connects and identifies. Throws `DeviceError` and leaves nothing open. */
async function openDevice(
  device: DeviceConfig,
  stateFolder: string,
  signal: AbortSignal,
): Promise<OpenDevice> {
  const { driver } = (await import(
    new URL(`../../drivers/${device.driver}/index.ts`, import.meta.url).href
  )) as {
    driver: Driver<unknown, unknown>;
  };
  return within(connectTimeoutMs, signal, async (inner) => {
    const folder = join(stateFolder, "drivers", device.driver);
    const context = { deviceId: device.id, folder, log: () => {} };
    const connection = await driver.connect(device.settings, context, inner);
    try {
      const found = await identifyDevice(driver, connection, device.identify, inner);
      return { driver, connection, found };
    } catch (error) {
      await connection.close().catch(() => {});
      throw error;
    }
  });
}

/** A device that nobody knows. */
export interface Stranger {
  open: OpenDevice;
  /** It is silent when it is asked who it is, and may answer all else. */
  isMute: boolean;
  /** Settings that it was opened with beside its own, because it says who it is only then. */
  needed: Record<string, unknown>;
}

async function openMute(
  device: DeviceConfig,
  stateFolder: string,
  stop: AbortSignal,
): Promise<Omit<Stranger, "needed">> {
  try {
    return { open: await openDevice(device, stateFolder, stop), isMute: false };
  } catch (error) {
    const isSilent = error instanceof DeviceError && error.code === "silent";
    if (!isSilent || device.identify !== undefined || stop.aborted) throw error;
    const unasked = { ...device, identify: { standard: false, expect: [] } };
    return { open: await openDevice(unasked, stateFolder, stop), isMute: true };
  }
}

const saysWho = ({ identity }: Recognised): boolean => Object.keys(identity).length > 0;

/** `openDevice`; one without a profile may be silent when it is asked who it is, and is asked in every way there is. */
export async function openAny(
  device: DeviceConfig,
  stateFolder: string,
  stop: AbortSignal,
): Promise<Stranger> {
  const first = await openMute(device, stateFolder, stop);
  const { tellsMore = {} } = await driverSchemas(device.driver);
  const isAsked = Object.keys(tellsMore).every((key) => device.settings[key] === tellsMore[key]);
  if (isAsked || device.identify !== undefined || saysWho(first.open.found)) return { ...first, needed: {} };
  // Many devices have one session only.
  await closed(first.open.connection);
  try {
    const asking = { ...device, settings: { ...device.settings, ...tellsMore } };
    const open = await openDevice(asking, stateFolder, stop);
    if (saysWho(open.found)) return { open, isMute: false, needed: tellsMore };
    await closed(open.connection);
  } catch (error) {
    if (!(error instanceof DeviceError) || stop.aborted) throw error;
  }
  return { ...(await openMute(device, stateFolder, stop)), needed: {} };
}

/** A device that has been opened and asked who it is. */
export class FieldDevice {
  readonly identity: Identity;
  /** What is not as the profile expects it of its model. */
  readonly mismatch: string | undefined;
  /** Why this may be another model than the profile's. */
  readonly doubt: string | undefined;
  readonly #driver: Driver<unknown, unknown>;
  readonly #connection: Connection<unknown>;
  readonly #device: HostDevice;
  readonly #points: readonly HostPoint[];
  readonly #ear: Ear | undefined;
  #listening: Listening | undefined;

  private constructor(
    driver: Driver<unknown, unknown>,
    connection: Connection<unknown>,
    device: DeviceConfig,
    found: Recognised,
    personal: HostDevice["personalData"],
    ear: Ear | undefined,
  ) {
    this.#ear = ear;
    this.#driver = driver;
    this.#connection = connection;
    this.#device = hostDevice(device, undefined, personal);
    this.identity = found.identity;
    this.mismatch = found.mismatch;
    this.doubt = found.mismatch ?? firmwareDoubt(found.identity, device.firmwareRange);
    this.#points = pointsFor(hostPoints(device), found.identity.firmware, device.firmwareRange);
  }

  /**
   * Loads the driver, connects and identifies. Throws `DeviceError` and leaves nothing open. What is personal is not
   * shown unless `personal` says so: the key that makes tokens is the gateway's.
   */
  static async open(
    device: DeviceConfig,
    stateFolder: string,
    signal: AbortSignal,
    personal: HostDevice["personalData"] = { how: "drop" },
    ear?: Ear,
  ): Promise<FieldDevice> {
    const { driver, connection, found } = await openDevice(device, stateFolder, signal);
    return new FieldDevice(driver, connection, device, found, personal, ear);
  }

  /** The records that the device has told since it was first read. */
  get records(): readonly HeardRecord[] {
    return this.#listening?.records ?? [];
  }

  /**
   * Reads the named points, or all; what the device pushes is shown as it last told it, `unheard` where it has not
   * yet. Throws `DeviceError` when the device is lost.
   */
  async read(
    { points: names, raw }: { points: readonly string[]; raw: boolean },
    signal: AbortSignal,
  ): Promise<LatestReading[]> {
    if (this.#points.some(isPushed) || this.#device.records.length > 0)
      this.#listen(this.#points.filter(isPushed), raw);
    const failure = this.#listening?.failure;
    if (failure !== undefined) throw failure;
    const pushed = this.#listening?.readings(this.#driver, this.#extraQuality) ?? [];
    const isHeard = ({ name }: HostPoint) => pushed.some(({ point }) => point === name);
    const polled = this.#points.filter((point) => this.#listening?.pulled.has(point) || !isHeard(point));
    const shown = [...pushed, ...(await this.#poll(withFactors(polled, names), raw, signal))];
    const byName = new Map(shown.map((reading) => [reading.point, reading]));
    return this.#points.flatMap(({ name }) =>
      names.length === 0 || names.includes(name) ? (byName.get(name) ?? []) : [],
    );
  }

  get #extraQuality(): number {
    return this.doubt === undefined ? 0 : quality.uncertain;
  }

  #listen(points: readonly HostPoint[], raw: boolean): void {
    if (this.#connection.subscribe === undefined) return;
    this.#listening ??= new Listening(this.#connection, this.#device, points, raw, this.#ear);
  }

  async #poll(points: readonly HostPoint[], raw: boolean, signal: AbortSignal): Promise<LatestReading[]> {
    if (points.length === 0) return [];
    const normaliser = new Normaliser(points);
    normaliser.extraQuality = this.#extraQuality;
    if (this.mismatch !== undefined) normaliser.extraCode = "wrong-device";
    try {
      const result = await within(readTimeoutMs, signal, (inner) =>
        this.#connection.read(askedOf(points), { signal: inner, raw }),
      );
      return shownReadings(this.#driver, points, normaliser, result, ownTimes(Date.now()));
    } catch (error) {
      const isUnsupported = error instanceof DeviceError && error.code === "unsupported";
      if (!isUnsupported || this.#connection.subscribe === undefined) throw error;
      // It cannot be asked: whatever the profile says, it tells all of its points by itself.
      this.#listening?.stop();
      this.#listening = new Listening(this.#connection, this.#device, this.#points, raw, this.#ear);
      return this.#listening.readings(this.#driver, this.#extraQuality);
    }
  }

  async close(): Promise<void> {
    this.#listening?.stop();
    await this.#connection.close().catch(() => {});
  }
}
