import type { DeviceConfig } from "../../config/config.ts";
import { answers, type Known } from "../../diagnosis/history.ts";
import { placeKey } from "../../diagnosis/places.ts";
import { DeviceError, type DeviceErrorCode, type DevicePlace, type Failure } from "../../driver.ts";
import { within } from "../../health/latest.ts";
import type { LatestReading } from "../../host/messages.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { NotRunningError } from "../../control/control.ts";
import { pause } from "../output.ts";
import { askOnce, controlSocket, runningStatus, SilentError } from "../site.ts";

/**
 * What the running gateway knows of a device now. What it says by itself is as old as the last poll: a device that
 * it calls online is read anew, and where that fails it is lost.
 */

/** What came of a read: values, and how long it took · the device is lost, and how · it could not be asked, and why. */
type Asked = { readings: LatestReading[]; ms: number } | { failure: Failure } | { notAsked: string };

/** How long the gateway may take to find out what has become of a connection that a read has cost. */
const verdictMs = 6000;
const lookAgainMs = 200;
/** How long those beside a lost device are waited for, and how many of them are asked. */
const neighboursMs = 6000;
const neighboursMax = 6;

type Device = GatewayStatus["devices"][number];

/** Codes that say nothing of whether a device which tells by itself is there. */
const refusals: readonly DeviceErrorCode[] = ["unsupported", "rejected", "busy"];

const tellsByItself = ({ points, records }: DeviceConfig): boolean =>
  records.length > 0 || points.some(({ poll }) => poll === "push");

async function readOnce(socket: string, device: DeviceConfig, signal?: AbortSignal): Promise<Asked> {
  const startedMs = performance.now();
  try {
    const args = { device: device.id, points: [], raw: false };
    const readings = await askOnce<LatestReading[]>(socket, { verb: "read", args }, signal);
    return { readings, ms: performance.now() - startedMs };
  } catch (error) {
    if (signal?.aborted === true) throw error;
    if (error instanceof NotRunningError || error instanceof SilentError) throw error;
    const { message } = error as Error;
    if (!(error instanceof DeviceError) || error.code === "aborted") return { notAsked: message };
    const isRefused = tellsByItself(device) && refusals.includes(error.code);
    return isRefused ? { notAsked: message } : { failure: { code: error.code, message } };
  }
}

const reportOf = ({ devices }: GatewayStatus, id: string): Device | undefined =>
  devices.find((one) => one.id === id);

/**
 * Reads a device anew, through the gateway. One lost answer is no loss: it is lost when the next answer fails as
 * well (`lostAfter` 2), or when the gateway finds so. Throws `NotRunningError`, `SilentError`, anything once `signal` has aborted.
 */
export async function askedAnew(
  socket: string,
  device: DeviceConfig,
  signal = new AbortController().signal,
  lostAfter: 1 | 2 = 2,
): Promise<Asked> {
  let untilMs: number | undefined;
  let first: Failure | undefined;
  for (;;) {
    const asked = await readOnce(socket, device, signal);
    if ("readings" in asked) return asked;
    if ("notAsked" in asked) return first === undefined ? asked : { failure: first };
    const { failure } = asked;
    untilMs ??= performance.now() + verdictMs;
    // Of a connection that is being opened again nobody knows more yet.
    const isTold = failure.code !== "closed";
    if (isTold && (first !== undefined || lostAfter === 1)) return asked;
    if (isTold) first = failure;
    const status = await runningStatus(socket);
    const report = status === undefined ? undefined : reportOf(status, device.id);
    if (report !== undefined && !answers(report))
      return {
        failure: { code: report.code ?? failure.code, message: report.reason ?? failure.message },
      };
    if (report === undefined || performance.now() > untilMs) return { failure: first ?? failure };
    await pause(lookAgainMs, signal);
  }
}

const lost = (report: Device, { code, message }: Failure): Device => ({
  ...report,
  state: "lost",
  code,
  reason: message,
  sinceMs: Date.now(),
});

/** Whether what is said of one device at the place says something of another one there. */
const isShared = (place: DevicePlace): boolean =>
  place.over === "serial" || (place.over === "tcp" && place.shared !== "broker");

/** Who else is looked at. `sinceMs`: what was read later is no news; `configured`: the devices of the site. */
interface Beside {
  sinceMs: number;
  configured: readonly DeviceConfig[];
  signal?: AbortSignal;
}

/** Those beside a lost device as they are now: who was read before it was lost may be lost with it. */
async function neighboursNow(
  socket: string,
  own: Device,
  status: GatewayStatus,
  { sinceMs, configured, signal }: Beside,
): Promise<GatewayStatus> {
  const { place } = own;
  if (place === undefined || !isShared(place)) return status;
  const beside = status.devices.filter(
    (one) =>
      one.id !== own.id &&
      one.enabled &&
      answers(one) &&
      (one.lastGoodMs ?? 0) < sinceMs &&
      one.place !== undefined &&
      placeKey(one.place) === placeKey(place),
  );
  // Who was not asked, or does not answer in time, is taken for neither.
  const now = new Map<string, Device>(beside.map((one) => [one.id, { ...one, state: "starting" }]));
  const asking = beside.slice(0, neighboursMax).map(async (report) => {
    const device = configured.find(({ id }) => id === report.id);
    if (device === undefined) return;
    const asked = await askedAnew(socket, device, signal, 1);
    if ("readings" in asked) now.set(report.id, report);
    else if ("failure" in asked) now.set(report.id, lost(report, asked.failure));
  });
  await within(Promise.all(asking), neighboursMs);
  return { ...status, devices: status.devices.map((one) => now.get(one.id) ?? one) };
}

/** What the gateway knows of a device that has just been found to be lost, whether or not it has noticed yet. */
export async function knownLost(
  socket: string,
  device: DeviceConfig,
  failure: Failure,
  beside: Beside,
): Promise<Known | undefined> {
  const status = await runningStatus(socket);
  const own = status === undefined ? undefined : reportOf(status, device.id);
  if (status === undefined || own === undefined) return undefined;
  const devices = status.devices.map((one) => (one === own && answers(one) ? lost(one, failure) : one));
  const whole = await neighboursNow(socket, own, { ...status, devices }, beside);
  return { status: whole, readings: [], nowMs: Date.now() };
}

/**
 * What the running gateway knows of a device of the site; `known` is absent where none runs. `isSilent`: one runs and
 * does not answer.
 */
export async function knownOf(
  site: string,
  device: DeviceConfig,
  configured: readonly DeviceConfig[],
): Promise<{ known?: Known; isSilent?: boolean }> {
  const socket = controlSocket(site);
  try {
    const status = await runningStatus(socket);
    if (status === undefined) return {};
    const report = reportOf(status, device.id);
    const told = async () => ({ status, nowMs: Date.now(), readings: await latest(socket, device.id) });
    if (report === undefined) return { known: { status, readings: [], nowMs: Date.now() } };
    if (!report.enabled || report.state !== "online") return { known: await told() };
    const sinceMs = Date.now();
    const asked = await askedAnew(socket, device);
    if ("readings" in asked) return { known: { status, readings: asked.readings, nowMs: Date.now() } };
    if ("notAsked" in asked) return { known: { ...(await told()), notAsked: asked.notAsked } };
    const known = await knownLost(socket, device, asked.failure, { sinceMs, configured });
    return known === undefined ? {} : { known };
  } catch (error) {
    if (error instanceof SilentError) return { isSilent: true };
    if (error instanceof NotRunningError) return {};
    throw error;
  }
}

const latest = (socket: string, device: string): Promise<LatestReading[]> =>
  askOnce<LatestReading[]>(socket, { verb: "latest", args: { device } }).catch(() => []);
