import { type Connection, DeviceError, type Driver, type Identity } from "../driver.ts";
import { settled, withNeeded } from "../profiles/derived.ts";
import { inFirmwareRange, newestFirmware } from "../profiles/firmware.ts";
import type { HostPoint, IdentifyRules } from "./messages.ts";

const fieldNames = ["vendor", "model", "firmware", "serial"] as const;

/** Something else answers at the device's address. */
export class WrongDeviceError extends Error {}

/** Who is there, and why that may not be the model that the profile is for. */
export interface Recognised {
  identity: Identity;
  mismatch: string | undefined;
}

/** Asks a device who it is: by the protocol's own means, then where the profile says. Throws `DeviceError`. */
export async function identifyDevice(
  driver: Driver<unknown, unknown>,
  connection: Connection<unknown>,
  rules: IdentifyRules | undefined,
  signal: AbortSignal,
): Promise<Recognised> {
  let identity: Identity = {};
  if (rules === undefined || rules.standard) {
    try {
      identity = await connection.identify(signal);
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "unsupported") throw error;
    }
  }
  if (rules === undefined) return { identity, mismatch: undefined };
  const fields = fieldNames.filter((field) => rules[field] !== undefined);
  const points = [
    ...fields.map((field) => ({ name: field as string, address: rules[field] })),
    ...rules.expect.map(({ address }, i) => ({ name: `expect.${i}`, address })),
  ];
  if (points.length === 0) return { identity, mismatch: undefined };
  const { answers } = await connection.read(points, { signal });
  const texts = answers.map((answer) => {
    const value = typeof answer === "object" ? answer.value : answer;
    return value === null ? "" : String(value).trim();
  });
  fields.forEach((field, i) => {
    const text = texts[i];
    if (text !== undefined && text !== "") identity[field] = text;
  });
  const wrong = rules.expect.findIndex(({ equals }, i) => texts[fields.length + i] !== String(equals));
  const expected = rules.expect[wrong];
  if (expected === undefined) return { identity, mismatch: undefined };
  const found = texts[fields.length + wrong] || "nothing";
  const place = driver.describe(expected.address);
  return { identity, mismatch: `${place} holds ${found}, the profile expects ${expected.equals}` };
}

/** Asks a device who it is. Throws `WrongDeviceError` where it is not the profile's model, else `DeviceError`. */
export async function recogniseDevice(...asked: Parameters<typeof identifyDevice>): Promise<Identity> {
  const { identity, mismatch } = await identifyDevice(...asked);
  if (mismatch !== undefined) throw new WrongDeviceError(mismatch);
  return identity;
}

/** Why a firmware is none that the profile speaks of; undefined when it is, or when the device told none. */
export function firmwareDoubt({ firmware }: Identity, range: string): string | undefined {
  if (firmware === undefined || inFirmwareRange(firmware, range)) return undefined;
  return `firmware ${firmware} is outside the profile's range ${range}`;
}

/** The points that hold for a firmware, the derived ones last; one that the device does not tell or `range` leaves out gets what the newest has. */
export function pointsFor(
  points: readonly HostPoint[],
  firmware: string | undefined,
  range = "*",
): readonly HostPoint[] {
  const whens = points.flatMap(({ when }) => when ?? []);
  if (whens.length === 0) return settled(points);
  const isKnown = firmware !== undefined && inFirmwareRange(firmware, range);
  const version = isKnown ? firmware : newestFirmware(range, whens);
  return settled(points.filter(({ when }) => when === undefined || inFirmwareRange(version, when)));
}

/** The named points, or all, with the scale factors and inputs that they cannot be told without. */
export function withFactors(points: readonly HostPoint[], names: readonly string[]): readonly HostPoint[] {
  const wanted = names.length === 0 ? points : points.filter((point) => names.includes(point.name));
  return settled(withNeeded(points, wanted));
}

/** What a driver gets for giving up after its signal; the contract says 50 ms. */
const graceMs = 200;
const closeTimeoutMs = 1000;

/**
 * `work` under a signal that also aborts after `timeoutMs`; an abort by the deadline alone is the device's silence.
 * Settles within 200 ms of the abort even if the driver does not: the caller then closes the connection.
 */
export async function within<Result>(
  timeoutMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const ignored = Promise.withResolvers<never>();
  let grace: NodeJS.Timeout | undefined;
  const stop = () => {
    controller.abort();
    grace ??= setTimeout(
      () => ignored.reject(new DeviceError("aborted", "the driver did not give up")),
      graceMs,
    );
  };
  const timer = setTimeout(stop, timeoutMs);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([work(controller.signal), ignored.promise]);
  } catch (error) {
    const late = controller.signal.aborted && !signal.aborted;
    throw late
      ? new DeviceError("silent", `no answer within ${timeoutMs / 1000} s`, { cause: error })
      : error;
  } finally {
    clearTimeout(timer);
    clearTimeout(grace);
    signal.removeEventListener("abort", stop);
  }
}

/** Closes a connection; a driver that takes longer than a second is not waited for. */
export async function closed(connection: Connection<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, closeTimeoutMs);
  connection.close().then(resolve, () => resolve());
  await promise;
  clearTimeout(timer);
}
