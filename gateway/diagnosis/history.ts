import type { DeviceConfig } from "../config/config.ts";
import type { DevicePlace, Facts } from "../driver.ts";
import type { LatestReading, Unwritable } from "../host/messages.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { groupOf, type Folded } from "./fold.ts";
import { placeKey } from "./places.ts";

/** What a running gateway knows of a device and of those beside it. */
export interface Known {
  status: GatewayStatus;
  /** The device's newest values; empty where it has told none. */
  readings: readonly LatestReading[];
  /** Why the gateway could not read the device anew; the readings are those of the last poll then. */
  notAsked?: string;
  nowMs: number;
}

type Device = GatewayStatus["devices"][number];

/** Whether the gateway has its values, or waits for what it tells by itself. */
export const answers = ({ state }: Device): boolean => state === "online" || state === "listening";

function counted(name: string, others: readonly Device[]): Facts {
  const online = others.filter(answers);
  const lost = others.filter((one) => !answers(one) && one.state !== "starting");
  return {
    [`${name}.online`]: online.length,
    [`${name}.lost`]: lost.length,
    [`${name}.unknown`]: others.length - online.length - lost.length,
    ...(online[0] === undefined ? {} : { [`${name}.example`]: online[0].id }),
  };
}

/** How the devices beside one stand: at the same place, on the same machine. */
function neighbours(own: string, place: DevicePlace | undefined, devices: readonly Device[]): Facts {
  if (place === undefined) return {};
  const others = devices.filter(({ id, enabled }) => enabled && id !== own);
  const same = others.filter((one) => one.place !== undefined && placeKey(one.place) === placeKey(place));
  const here =
    place.over === "serial"
      ? []
      : others.filter(
          (one) =>
            one.place !== undefined &&
            one.place.over !== "serial" &&
            one.place.over !== "calls" &&
            one.place.host === place.host &&
            !same.includes(one),
        );
  return { ...counted("samePlace", same), ...counted("sameHost", here) };
}

function groupFacts({ kind, devices, at }: Folded): Facts {
  return {
    "group.kind": kind,
    "group.at": at,
    "group.size": devices.length,
    "group.devices": devices.map(({ id }) => id).join(", "),
  };
}

/** The first schedule that cannot be kept; of a clock that is wrong, any. */
function scheduleFacts({ schedules = [] }: Device): Facts {
  const wrong = schedules.find(({ problem }) => problem !== undefined);
  if (wrong?.problem === undefined) return {};
  return {
    "schedule.problem": wrong.problem,
    "schedule.point": wrong.point,
    ...(wrong.value === null ? {} : { "schedule.value": wrong.value }),
    "schedule.reason": wrong.reason ?? "",
  };
}

/** How often it was asked lately, as far as the counters of this run tell. */
function pollFacts({ polls, answered, failed, missed, lastReadMs, reads }: Device, everyMs?: number): Facts {
  const count = reads.counts.reduce((sum, one) => sum + one, 0);
  return {
    polls,
    "polls.answered": answered,
    "polls.failed": failed,
    "polls.missed": missed,
    ...(polls === 0 ? {} : { "polls.failedShare": failed / polls }),
    ...(count === 0 ? {} : { "read.lastMs": lastReadMs, "read.meanMs": reads.sumMs / count }),
    ...(everyMs === undefined ? {} : { "poll.everyMs": everyMs, "read.load": lastReadMs / everyMs }),
  };
}

/** Why it may be another unit or firmware than it is taken for. */
export function unitFacts(unwritable: Unwritable | undefined): Facts {
  if (unwritable === undefined) return {};
  const { code, reason } = unwritable;
  const isFirmware = code === "firmware-unknown";
  return { "unit.doubt": code, "unit.reason": reason, ...(isFirmware ? { "identity.doubt": reason } : {}) };
}

/** What the values of a device that answers say. */
export function valueFacts(readings: readonly LatestReading[]): Facts {
  const heard = readings.filter(({ unheard }) => unheard !== true);
  const bad = heard.filter(({ status }) => status === "bad");
  const codes = Map.groupBy(bad, ({ code }) => code ?? "bad");
  const [most] = [...codes].toSorted((a, b) => b[1].length - a[1].length);
  return {
    "values.total": readings.length,
    "values.heard": heard.length,
    "values.bad": bad.length,
    "values.uncertain": heard.filter(({ status }) => status === "uncertain").length,
    ...(most === undefined
      ? {}
      : {
          "values.code": most[0],
          "values.reason": most[1][0]?.reason ?? "",
          "values.point": most[1][0]?.point ?? "",
        }),
  };
}

/** How often a device is asked: the shortest period of those that its points have; undefined: it is not asked. */
export function pollEveryMs({ points, pollMs }: Pick<DeviceConfig, "points" | "pollMs">): number | undefined {
  const periods = points.flatMap(({ poll }) => (poll === "push" ? [] : pollMs[poll]));
  return periods.length === 0 ? undefined : Math.min(...periods);
}

/** Whether the running gateway has a device, and talks to it by itself. */
export function isKnown(id: string, known: Known | undefined): known is Known {
  return known?.status.devices.some((one) => one.id === id) === true;
}

/**
 * Everything that the running gateway knows of a device, as facts; `everyMs`: how often it is asked. Of one that it
 * does not know: how those beside its `place` stand.
 */
export function knownFacts(
  id: string,
  { status, readings, nowMs, notAsked }: Known,
  everyMs?: number,
  place?: DevicePlace,
): Facts {
  const device = status.devices.find((one) => one.id === id);
  if (device === undefined) return neighbours(id, place, status.devices);
  const { state, code, sinceMs, lastGoodMs, unwritable } = device;
  const group = groupOf(id, status.devices);
  const host = status.hosts.find(({ driver }) => driver === device.driver);
  return {
    state: device.enabled ? state : "disabled",
    sinceMs: nowMs - sinceMs,
    ...(lastGoodMs === undefined ? {} : { lastGoodMs: nowMs - lastGoodMs }),
    ...(code === undefined ? {} : { error: code }),
    ...(device.reason === undefined ? {} : { message: device.reason }),
    ...unitFacts(unwritable),
    ...(device.place?.unit === undefined ? {} : { unit: device.place.unit }),
    ...(host === undefined ? {} : { "host.state": host.state, "host.silentMs": host.silentMs }),
    ...(host === undefined || host.strangers === 0 ? {} : { "rsmp.caller": host.lastStranger ?? "" }),
    ...(notAsked === undefined ? {} : { "read.notAsked": notAsked }),
    clock: status.gateway.clock,
    ...neighbours(id, device.place, status.devices),
    ...(group === undefined ? {} : groupFacts(group)),
    ...scheduleFacts(device),
    ...pollFacts(device, everyMs),
    ...(answers(device) ? valueFacts(readings) : {}),
  };
}
