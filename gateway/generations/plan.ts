import { deviceEffects, type Effect, effects, siteEffects } from "../config/effects.ts";
import type { DeviceFacts, Fact, Facts } from "./facts.ts";

/** One key that says something else; a value is left out where it may be a secret or is long. */
export interface KeyChange {
  key: string;
  before?: string;
  after?: string;
}

/** start, stop: only it · restart: stopped and started · hot: goes on with its connection · none: nothing runs of it. */
export type DeviceAction = "start" | "stop" | "restart" | "hot" | "none";

export interface DeviceChange {
  device: string;
  action: DeviceAction;
  /** It is new, or gone; absent: it was and is there. */
  change?: "added" | "removed";
  keys: KeyChange[];
}

/** What taking over a configuration would do. */
export interface Plan {
  /** Keys outside of the devices. */
  site: (KeyChange & { restarts: boolean })[];
  devices: DeviceChange[];
  /** Everything is stopped and started. */
  restartsGateway: boolean;
  /** Devices that run and do not notice. */
  untouched: number;
}

function effectAt(table: Readonly<Record<string, Effect>>, key: string): Effect {
  for (let at = key; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf("."))))
    if (Object.hasOwn(table, at)) return table[at] as Effect;
  return "gateway";
}

const deviceTable: Readonly<Record<string, Effect>> = {
  ...deviceEffects,
  poll: deviceEffects.pollMs,
};

function changesOf(
  before: Readonly<Record<string, Fact>>,
  after: Readonly<Record<string, Fact>>,
): KeyChange[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys]
    .filter((key) => before[key]?.digest !== after[key]?.digest)
    .map((key) => {
      const [was, is] = [before[key]?.shown, after[key]?.shown];
      return {
        key,
        ...(was === undefined ? {} : { before: was }),
        ...(is === undefined ? {} : { after: is }),
      };
    });
}

/** A site file says `poll` once for all classes. */
function together(keys: KeyChange[]): KeyChange[] {
  const polls = keys.filter(({ key }) => key.startsWith("poll."));
  const [first] = polls;
  const isOne =
    polls.length === 3 &&
    polls.every(({ before, after }) => before === first?.before && after === first?.after);
  // Alone it is what a plain `poll: 10s` says.
  const isPlain = polls.length === 1 && first?.key === "poll.normal";
  if (first === undefined || !(isOne || isPlain)) return keys;
  return [{ ...first, key: "poll" }, ...keys.filter((one) => !polls.includes(one))];
}

function changed(device: string, before: DeviceFacts, after: DeviceFacts): DeviceChange | undefined {
  const keys = changesOf(before.keys, after.keys).filter(({ key }) => effectAt(deviceTable, key) !== "none");
  if (keys.length === 0) return undefined;
  const told = together(keys).map((one) => ({ ...one, key: one.key.replace(/^settings\./, "") }));
  if (before.enabled !== after.enabled)
    return { device, action: after.enabled ? "start" : "stop", keys: told };
  if (!after.enabled) return { device, action: "none", keys: told };
  const worst = Math.max(...keys.map(({ key }) => effects.indexOf(effectAt(deviceTable, key))));
  return { device, action: worst >= effects.indexOf("device") ? "restart" : "hot", keys: told };
}

/** What leads from one configuration to another. */
export function planOf(before: Facts, after: Facts): Plan {
  const site = changesOf(before.site, after.site)
    .map((one) => ({ ...one, effect: effectAt(siteEffects, one.key) }))
    .filter(({ effect }) => effect !== "none")
    .map(({ effect, ...one }) => ({ ...one, restarts: effect === "gateway" }));
  const devices = Object.entries(after.devices).flatMap(([device, facts]): DeviceChange[] => {
    const was = before.devices[device];
    const found = was === undefined ? undefined : changed(device, was, facts);
    if (was !== undefined) return found === undefined ? [] : [found];
    return [{ device, action: facts.enabled ? "start" : "none", change: "added", keys: [] }];
  });
  for (const [device, { enabled }] of Object.entries(before.devices))
    if (after.devices[device] === undefined)
      devices.push({ device, action: enabled ? "stop" : "none", change: "removed", keys: [] });
  const touched = new Set(devices.filter(({ action }) => action !== "none").map(({ device }) => device));
  const restartsGateway = site.some(({ restarts }) => restarts);
  const enabled = Object.entries(after.devices).filter(([, facts]) => facts.enabled);
  return {
    site,
    devices,
    restartsGateway,
    untouched: restartsGateway ? 0 : enabled.filter(([id]) => !touched.has(id)).length,
  };
}

/** Nothing that runs would be another one. */
export function isEmpty({ site, devices }: Plan): boolean {
  return site.length === 0 && devices.length === 0;
}

/** "+1 -0 ~2", with "!" where the whole gateway starts anew. */
export function summaryOf({ devices, restartsGateway, site }: Plan): string {
  const count = (fits: (one: DeviceChange) => boolean) => devices.filter(fits).length;
  const added = count(({ change }) => change === "added");
  const removed = count(({ change }) => change === "removed");
  const other = devices.length - added - removed + site.length;
  return `+${added} -${removed} ~${other}${restartsGateway ? " !" : ""}`;
}
