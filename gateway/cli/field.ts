import { join } from "node:path";
import type { DeviceConfig } from "../config.ts";
import type { Connection, Driver, Identity } from "../driver.ts";
import { quality } from "../event.ts";
import {
  firmwareDoubt,
  identifyDevice,
  pointsFor,
  type Recognised,
  within,
  withFactors,
} from "../host/identify.ts";
import type { HostPoint, LatestReading } from "../host/messages.ts";
import { Normaliser, shownReadings } from "../host/normalise.ts";

/** One device on the end of a wire, without a gateway: what `kerb read` does at a cabinet that runs none yet. */

const connectTimeoutMs = 10_000;
const readTimeoutMs = 15_000;

function hostPoints(device: DeviceConfig): HostPoint[] {
  return device.points.map(({ label: _label, source: _source, certainty: _certainty, ...point }) => ({
    ...point,
    index: point.publish ? 0 : -1,
  }));
}

/** A device that has been opened and asked who it is. */
export class FieldDevice {
  readonly identity: Identity;
  /** Why this may be another model than the profile's. */
  readonly doubt: string | undefined;
  readonly #driver: Driver<unknown, unknown>;
  readonly #connection: Connection<unknown>;
  readonly #points: readonly HostPoint[];

  private constructor(
    driver: Driver<unknown, unknown>,
    connection: Connection<unknown>,
    device: DeviceConfig,
    found: Recognised,
  ) {
    this.#driver = driver;
    this.#connection = connection;
    this.identity = found.identity;
    this.doubt = found.mismatch ?? firmwareDoubt(found.identity, device.firmwareRange);
    this.#points = pointsFor(hostPoints(device), found.identity.firmware);
  }

  /** Loads the driver, connects and identifies. Throws `DeviceError` and leaves nothing open. */
  static async open(device: DeviceConfig, stateFolder: string, signal: AbortSignal): Promise<FieldDevice> {
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
        return new FieldDevice(driver, connection, device, found);
      } catch (error) {
        await connection.close().catch(() => {});
        throw error;
      }
    });
  }

  /** Reads the named points, or all. Throws `DeviceError` when the device is lost. */
  async read(
    { points: names, raw }: { points: readonly string[]; raw: boolean },
    signal: AbortSignal,
  ): Promise<LatestReading[]> {
    const points = withFactors(this.#points, names);
    const normaliser = new Normaliser(points);
    normaliser.extraQuality = this.doubt === undefined ? 0 : quality.uncertain;
    const result = await within(readTimeoutMs, signal, (inner) =>
      this.#connection.read(points, { signal: inner, raw }),
    );
    const shown = shownReadings(this.#driver, points, normaliser, result, Date.now());
    return names.length === 0 ? shown : shown.filter(({ point }) => names.includes(point));
  }

  async close(): Promise<void> {
    await this.#connection.close().catch(() => {});
  }
}
