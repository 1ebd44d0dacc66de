import type { DeviceConfig } from "../config.ts";
import { type Connection, DeviceError, type Driver, type Identity, type ReadResult } from "../driver.ts";
import { quality } from "../event.ts";
import { inFirmwareRange } from "../firmware.ts";
import { decimalsOf, Normaliser } from "../host/normalise.ts";
import type { HostPoint } from "../host/messages.ts";
import type { ShownReading } from "../supervisor.ts";

/** One device on the end of a wire, without a gateway: what `kerb read` does at a cabinet that runs none yet. */

const connectTimeoutMs = 10_000;
const readTimeoutMs = 15_000;

const identityFields = ["vendor", "model", "firmware", "serial"] as const;

function hostPoints(device: DeviceConfig): HostPoint[] {
  return device.points.map(({ label: _label, source: _source, certainty: _certainty, ...point }) => ({
    ...point,
    index: point.publish ? 0 : -1,
  }));
}

/** The caller's signal with a deadline: an abort by the deadline alone is the device's silence. */
async function within<Result>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
  } catch (error) {
    const isLate = error instanceof DeviceError && error.code === "aborted" && !signal.aborted;
    throw isLate ? new DeviceError("silent", `no answer within ${timeoutMs / 1000} s`, { cause: error }) : error;
  }
}

/** A device that has been opened and asked who it is. */
export class FieldDevice {
  readonly identity: Identity;
  /** Why this may be another model than the profile's. */
  readonly doubt: string | undefined;
  readonly #driver: Driver<unknown, unknown>;
  readonly #connection: Connection<unknown>;
  readonly #points: HostPoint[];

  private constructor(
    driver: Driver<unknown, unknown>,
    connection: Connection<unknown>,
    device: DeviceConfig,
    found: { identity: Identity; doubt: string | undefined },
  ) {
    this.#driver = driver;
    this.#connection = connection;
    this.identity = found.identity;
    const { firmware } = found.identity;
    const isCovered = firmware === undefined || inFirmwareRange(firmware, device.firmwareRange);
    const range = `firmware ${firmware} is outside the profile's range ${device.firmwareRange}`;
    this.doubt = found.doubt ?? (isCovered ? undefined : range);
    const version = firmware ?? "999999";
    this.#points = hostPoints(device).filter(({ when }) => when === undefined || inFirmwareRange(version, when));
  }

  /** Loads the driver, connects and identifies. Throws `DeviceError` and leaves nothing open. */
  static async open(device: DeviceConfig, signal: AbortSignal): Promise<FieldDevice> {
    const { driver } = (await import(new URL(`../../drivers/${device.driver}/index.ts`, import.meta.url).href)) as {
      driver: Driver<unknown, unknown>;
    };
    return within(connectTimeoutMs, signal, async (inner) => {
      const context = { deviceId: device.id, log: () => {} };
      const connection = await driver.connect(device.settings, context, inner);
      try {
        return new FieldDevice(driver, connection, device, await identify(driver, connection, device, inner));
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
  ): Promise<ShownReading[]> {
    const isWanted = ({ name }: HostPoint) => names.length === 0 || names.includes(name);
    const wanted = this.#points.filter(isWanted);
    // A scaled point cannot be told without its scale factor.
    const factors = new Set(wanted.map(({ scaleFactor }) => scaleFactor));
    const points = this.#points.filter((point) => wanted.includes(point) || factors.has(point.name));
    const result = await within(readTimeoutMs, signal, (inner) =>
      this.#connection.read(points, { signal: inner, raw }),
    );
    return this.#readings(points, result).filter(({ point }) => wanted.some(({ name }) => name === point));
  }

  #readings(points: readonly HostPoint[], { answers, atMs }: ReadResult): ShownReading[] {
    const normaliser = new Normaliser(points);
    // A scale factor that came with its bytes is an object, which the normaliser takes for no number.
    const plain = answers.map((answer) =>
      typeof answer === "object" && answer.status === "good" ? (answer.value ?? answer) : answer,
    );
    const [nowMs, wallMs] = [performance.now(), Date.now()];
    return points.flatMap((point, i) => {
      if (point.index < 0) return [];
      const { value, quality: bits, detail } = normaliser.single(i, plain);
      const answer = answers[i];
      const raw = typeof answer === "object" ? answer.raw : undefined;
      const all = bits | (this.doubt === undefined ? 0 : quality.uncertain);
      const status = (all & quality.bad) !== 0 ? "bad" : (all & quality.uncertain) !== 0 ? "uncertain" : "good";
      const reading: ShownReading = {
        point: point.name,
        value,
        unit: point.unit,
        decimals: decimalsOf(point),
        status,
        ...detail,
        timeMs: Math.round(wallMs - (nowMs - (atMs?.[i] ?? nowMs))),
        address: this.#driver.describe(point.address),
        ...(raw === undefined ? {} : { rawHex: Buffer.from(raw).toString("hex") }),
      };
      return [reading];
    });
  }

  async close(): Promise<void> {
    await this.#connection.close().catch(() => {});
  }
}

/** Asks the device who it is: by the protocol's own means, then where the profile says. */
async function identify(
  driver: Driver<unknown, unknown>,
  connection: Connection<unknown>,
  { identify: rules }: DeviceConfig,
  signal: AbortSignal,
): Promise<{ identity: Identity; doubt: string | undefined }> {
  let identity: Identity = {};
  if (rules === undefined || rules.standard) {
    try {
      identity = await connection.identify(signal);
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "unsupported") throw error;
    }
  }
  if (rules === undefined) return { identity, doubt: undefined };
  const fields = identityFields.filter((field) => rules[field] !== undefined);
  const points = [
    ...fields.map((name) => ({ name: name as string, address: rules[name] })),
    ...rules.expect.map(({ address }, i) => ({ name: `expect.${i}`, address })),
  ];
  if (points.length === 0) return { identity, doubt: undefined };
  const { answers } = await connection.read(points, { signal });
  const texts = answers.map((answer) => {
    const value = typeof answer === "object" ? answer.value : answer;
    return value === null ? "" : String(value).trim();
  });
  fields.forEach((field, i) => {
    if (texts[i] !== undefined && texts[i] !== "") identity[field] = texts[i];
  });
  const wrong = rules.expect.findIndex(({ equals }, i) => texts[fields.length + i] !== String(equals));
  const expected = rules.expect[wrong];
  if (expected === undefined) return { identity, doubt: undefined };
  const found = texts[fields.length + wrong] || "nothing";
  return { identity, doubt: `${driver.describe(expected.address)} holds ${found}, the profile expects ${expected.equals}` };
}
