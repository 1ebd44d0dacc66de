import { setTimeout as sleep } from "node:timers/promises";
import {
  type BrokerToHear,
  DeviceError,
  type Discovery,
  type Fit,
  type Found,
  type Identity,
  type Look,
} from "../../gateway/driver.ts";
import { Broker, type Message } from "./broker.ts";
import { formatOf } from "./formats.ts";
import { identitiesOf } from "./identify.ts";
import { parsePath, valueAt } from "./json-path.ts";
import { parseJson } from "./payload.ts";
import { type Settings, settings as schema } from "./settings.ts";

/** Who speaks over a broker: all topics are listened to for a while, and nothing is published. */
export const discovery: Discovery = { turn: 9, atBroker, fit };

const topicsMax = 2000;
const foundMax = 500;
const payloadBytesMax = 65_536;
const textMax = 120;
/** Of a device whose topics nobody knows. */
const topicsShown = 3;

type Told = Pick<Found, "identity"> & {
  name: string;
  at: Record<string, unknown>;
  settings?: Record<string, unknown>;
};

async function* atBroker(given: BrokerToHear, { signal, forMs, tell }: Look): AsyncGenerator<Found> {
  const { host, port, isSecure, username, password } = given;
  const login = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  const reached = { host, port, ...(isSecure ? { tls: {} } : {}) };
  const broker = await Broker.join(schema.parse({ ...reached, ...login }), signal);
  const queue: Message[] = [];
  const topics = new Set<string>();
  try {
    tell(`${broker.place} #`);
    const hear = (message: Message): void => {
      if (topics.has(message.topic) || topics.size >= topicsMax) return;
      topics.add(message.topic);
      if (message.payload.length <= payloadBytesMax) queue.push(message);
    };
    const { granted, stop } = broker.listen("#", hear, { qos: 0, signal });
    await granted;
    const found = new Set<string>();
    const untilMs = performance.now() + forMs;
    while (performance.now() < untilMs || queue.length > 0) {
      if (queue.length === 0) await sleep(50, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw new DeviceError("aborted", "the search was given up");
      for (const message of queue.splice(0, 100))
        for (const told of toldBy(message)) {
          const key = JSON.stringify(told.at);
          if (found.has(key) || found.size >= foundMax) continue;
          found.add(key);
          const settings = {
            ...(isSecure ? { tls: {} } : {}),
            ...(username === undefined ? {} : { username }),
            ...told.settings,
          };
          yield {
            place: `${broker.place} ${told.name}`,
            at: { host, port, ...told.at },
            settings,
            identity: told.identity,
            heard: [message.payload],
            ...(password === undefined ? {} : { needs: ["password"] }),
          };
        }
    }
    stop();
  } finally {
    await broker.leave();
  }
}

/** The devices that a message speaks of, by what its topic is like. */
function toldBy({ topic, payload }: Message): Told[] {
  const parts = topic.split("/");
  const [first = "", second = "", third = "", fourth = "", fifth = "", sixth = ""] = parts;
  if (first.startsWith("$")) return [];
  if (first === "application" && third === "device" && fifth === "event")
    return sixth === "up" ? [chirpStack(second, fourth, payload)] : [];
  if (first === "v3" && third === "devices") return fifth === "up" ? [ttn(second, fourth)] : [];
  if (topic.endsWith("/bridge/devices")) return zigbee(parts.slice(0, -2).join("/"), payload);
  if (parts.includes("bridge")) return [];
  if (first === "spBv1.0") return sparkplug(second, third, fourth, fifth);
  const events = parts.indexOf("onvif-ej");
  if (events > 0) {
    const prefix = parts.slice(0, events).join("/");
    return [{ name: prefix, at: { variables: { prefix } }, settings: { format: "onvif-ej" }, identity: {} }];
  }
  return json(topic, payload);
}

const textAt = (value: unknown, path: string): string | undefined => {
  const found = valueAt(value, parsePath(path) ?? []);
  return typeof found === "string" && found !== "" ? found.slice(0, textMax) : undefined;
};

function chirpStack(applicationId: string, devEui: string, payload: Buffer): Told {
  const parsed = parseJson(payload);
  const value = "value" in parsed ? parsed.value : undefined;
  const model = textAt(value, "$.deviceInfo.deviceProfileName");
  const name = textAt(value, "$.deviceInfo.deviceName");
  return {
    name: devEui,
    at: { variables: { applicationId, devEui } },
    settings: { format: "lorawan", server: "chirpstack-v4" },
    identity: {
      ...(model === undefined ? {} : { model }),
      serial: devEui,
      ...(name === undefined ? {} : { more: { deviceName: name } }),
    },
  };
}

const ttn = (applicationId: string, deviceId: string): Told => ({
  name: deviceId,
  at: { variables: { applicationId, deviceId } },
  settings: { format: "lorawan", server: "ttn-v3" },
  identity: {},
});

function zigbee(base: string, payload: Buffer): Told[] {
  const variables = base === "zigbee2mqtt" ? {} : { base };
  return [...identitiesOf(payload)].map(([name, identity]: [string, Identity]) => ({
    name: `${base}/${name}`,
    at: { variables: { ...variables, name } },
    settings: { format: "zigbee2mqtt" },
    identity,
  }));
}

function sparkplug(group: string, kind: string, node: string, device: string): Told[] {
  if (!/^[ND](BIRTH|DATA)$/.test(kind)) return [];
  const variables = { group, node, ...(device === "" ? {} : { device }) };
  const name = `${group}/${node}${device === "" ? "" : `/${device}`}`;
  return [{ name, at: { variables }, settings: { format: "sparkplug-b" }, identity: {} }];
}

/** Whatever says numbers or JSON: which of its topics belong together, its maker knows. */
function json(topic: string, payload: Buffer): Told[] {
  const parsed = parseJson(payload);
  if (!("value" in parsed)) return [];
  const members = typeof parsed.value === "object" && parsed.value !== null ? Object.keys(parsed.value) : [];
  const shown = members
    .slice(0, 2 * topicsShown)
    .join(", ")
    .slice(0, textMax);
  const more = shown === "" ? {} : { members: shown };
  return [{ name: topic, at: { topic }, identity: Object.keys(more).length === 0 ? {} : { more } }];
}

/** How many of the places that a profile reads are in a message that was heard. */
function fit(
  { heard = [], at, settings }: Found,
  profile: { settings: unknown; addresses: readonly unknown[] },
): Fit | undefined {
  const own = profile.settings as { format?: string; server?: string; topic?: string };
  const { format = "json", server = "chirpstack-v4" } = (settings ?? {}) as Partial<Settings>;
  if (format !== (own.format ?? "json") || format === "sparkplug-b") return undefined;
  if (format === "lorawan" && server !== (own.server ?? "chirpstack-v4")) return undefined;
  const given = schema.safeParse({ ...own, ...settings, ...at, server });
  if (!given.success) return undefined;
  const [first] = heard;
  const parsed = first === undefined ? undefined : parseJson(Buffer.from(first));
  if (parsed === undefined || !("value" in parsed)) return undefined;
  const root = formatOf(given.data).root(parsed.value);
  const places = (profile.addresses as { path?: string; from?: string }[]).filter(
    ({ path, from }) => path !== undefined && path !== "$" && from !== "uplink",
  );
  const fits = places.filter(({ path = "" }) => valueAt(root, parsePath(path) ?? []) !== undefined);
  return places.length === 0 ? undefined : { fits: fits.length, of: places.length };
}
