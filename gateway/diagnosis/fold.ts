import { isIPv4 } from "node:net";
import type { GatewayStatus } from "../supervisor.ts";
import { placeKey, placeText } from "./places.ts";

/** Devices that went together because what they share has gone: a switch, a converter, a line, a broker. */

type Device = GatewayStatus["devices"][number];

export interface Folded {
  /** net: the way to a /24 of addresses; host: one machine with several ports; line: a bus; broker; place: a port. */
  kind: "net" | "host" | "line" | "broker" | "place";
  /** What they share, for people: "10.0.0.0/24", "10.0.0.7:502", "/dev/ttyS1". */
  at: string;
  devices: Device[];
}

/** Devices are noticed as lost at different times, each when its next poll has failed. */
const togetherMs = 120_000;
/** Nothing came back at all: the machine itself may be gone. A refusal or a wrong answer comes from one that lives. */
const noSign = new Set(["silent", "unreachable", "hung-up"]);
const noAnswer = new Set([...noSign, "refused", "garbage", "busy", "denied"]);

const answers = ({ state }: Device): boolean => state === "online" || state === "listening";
const isLost = ({ state }: Device): boolean => state === "lost";

const netOf = (host: string): string | undefined =>
  isIPv4(host) ? `${host.split(".").slice(0, 3).join(".")}.0/24` : undefined;

type Key = (device: Device) => { key: string; at: string; kind: Folded["kind"] } | undefined;

const byNet: Key = ({ place }) => {
  const net =
    place === undefined || !("host" in place) || place.over === "calls" ? undefined : netOf(place.host);
  return net === undefined ? undefined : { key: net, at: net, kind: "net" };
};

const byHost: Key = ({ place }) =>
  place === undefined || !("host" in place) || place.over === "calls"
    ? undefined
    : { key: place.host, at: place.host, kind: "host" };

const byPlace: Key = ({ place }) => {
  if (place === undefined || place.over === "calls") return undefined;
  const kind = place.over === "serial" ? "line" : (place.shared ?? "place");
  return { key: placeKey(place), at: placeText(place), kind };
};

/** How many different things must be lost before what they share is taken for the cause. */
function distinct(kind: Folded["kind"], devices: readonly Device[]): number {
  const places = devices.flatMap(({ place }) => place ?? []);
  if (kind === "net") return new Set(places.map((place) => ("host" in place ? place.host : ""))).size;
  if (kind === "host") return new Set(places.map(placeKey)).size;
  return devices.length;
}

function fits(kind: Folded["kind"], all: readonly Device[]): boolean {
  const lost = all.filter(isLost);
  if (lost.length < 2 || all.some(answers) || lost.length < all.length) return false;
  const since = lost.map(({ sinceMs }) => sinceMs);
  if (Math.max(...since) - Math.min(...since) > togetherMs) return false;
  const wanted = kind === "net" || kind === "host" ? noSign : noAnswer;
  return lost.every(({ code }) => wanted.has(code ?? "")) && distinct(kind, lost) >= 2;
}

/** The groups of what is lost, the widest that explains it; a device is in one at most. */
export function foldDevices(devices: readonly Device[]): Folded[] {
  const enabled = devices.filter((device) => device.enabled);
  const found: Folded[] = [];
  const taken = new Set<Device>();
  for (const key of [byNet, byHost, byPlace]) {
    const groups = Map.groupBy(enabled, (device) => key(device)?.key);
    for (const [name, group] of groups) {
      const first = group[0] === undefined ? undefined : key(group[0]);
      if (name === undefined || first === undefined || group.some((device) => taken.has(device))) continue;
      if (!fits(first.kind, group)) continue;
      for (const device of group) taken.add(device);
      found.push({ kind: first.kind, at: first.at, devices: group });
    }
  }
  return found;
}

/** The group that a device is lost with; undefined: it is lost alone, or not at all. */
export function groupOf(id: string, devices: readonly Device[]): Folded | undefined {
  return foldDevices(devices).find((group) => group.devices.some((device) => device.id === id));
}
