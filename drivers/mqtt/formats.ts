import { parsePath, valueAt } from "./json-path.ts";
import { timeOf } from "./payload.ts";
import { fill, ownTopics } from "./topics.ts";
import type { Settings } from "./settings.ts";

type Tree = Record<string, unknown>;

/** How a message is built around the values of a device. */
export interface Format {
  /** Template of the topic of points that name none. */
  readonly topic: string | undefined;
  /** What paths count from; undefined = this message holds no values. */
  root(payload: unknown): unknown;
  /** What the radio says, for addresses with `from: uplink`. */
  uplink?(payload: unknown): Tree;
  /** The source time, ms since 1970. */
  time(payload: unknown): number | undefined;
  /** The same for a message and its repetition. */
  id(payload: unknown): string | undefined;
  /** Nothing was measured: somebody tries how a message looks. */
  isPretended?(payload: unknown): boolean;
  /** What speaks for the device tells again at its start what it has kept, with the time that it had. */
  readonly tellsKept?: true;
  readonly available: NonNullable<Settings["available"]>;
}

const at = (text: string) => {
  const steps = parsePath(text)!;
  return (payload: unknown): unknown => valueAt(payload, steps);
};
const text = (value: unknown): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value).slice(0, 200) : undefined;

/** A list of receptions: the best of them, and how many. */
function radio(receptions: unknown): Tree {
  if (!Array.isArray(receptions)) return {};
  const all = receptions.filter((one): one is Tree => typeof one === "object" && one !== null);
  const strength = ({ rssi }: Tree): number => (typeof rssi === "number" ? rssi : -999);
  const best = all.toSorted((a, b) => strength(b) - strength(a))[0];
  return { gateways: all.length, rssi: best?.["rssi"], snr: best?.["snr"] };
}

const chirpStack = {
  time: at("$.time"),
  id: at("$.deduplicationId"),
  object: at("$.object"),
  rx: at("$.rxInfo"),
  spreading: at("$.txInfo.modulation.lora.spreadingFactor"),
};

/** ChirpStack v4, integration event "up" as JSON. Zeros of protobuf may be left out of it. */
const chirpStackV4: Omit<Format, "topic"> = {
  root: chirpStack.object,
  uplink: (payload) => ({
    fCnt: 0,
    ...radio(chirpStack.rx(payload)),
    ...picked(payload, { fCnt: "$.fCnt", fPort: "$.fPort", deviceName: "$.deviceInfo.deviceName" }),
    dataRate: prefixed("SF", chirpStack.spreading(payload)),
  }),
  time: (payload) => timeOf(chirpStack.time(payload)),
  id: (payload) => text(chirpStack.id(payload)),
  available: [],
};

const ttn = {
  decoded: at("$.uplink_message.decoded_payload"),
  session: at("$.uplink_message.session_key_id"),
  count: at("$.uplink_message.f_cnt"),
  first: at("$.correlation_ids[0]"),
  received: at("$.uplink_message.received_at"),
  forwarded: at("$.received_at"),
  simulated: at("$.simulated"),
  rx: at("$.uplink_message.rx_metadata"),
  spreading: at("$.uplink_message.settings.data_rate.lora.spreading_factor"),
};

/** The Things Stack v3, topic "up" as JSON. Empty fields, also a frame count of 0, are left out of it. */
const ttnV3: Omit<Format, "topic"> = {
  root: ttn.decoded,
  uplink: (payload) => ({
    fCnt: 0,
    ...radio(ttn.rx(payload)),
    ...picked(payload, {
      fCnt: "$.uplink_message.f_cnt",
      fPort: "$.uplink_message.f_port",
      deviceName: "$.end_device_ids.device_id",
    }),
    dataRate: prefixed("SF", ttn.spreading(payload)),
  }),
  time(payload) {
    return timeOf(ttn.received(payload)) ?? timeOf(ttn.forwarded(payload));
  },
  id(payload) {
    const session = text(ttn.session(payload));
    if (session === undefined) return text(ttn.first(payload));
    // A device activated by hand (ABP) counts from 0 again after each restart, in the same session.
    return `${session} ${text(ttn.count(payload)) ?? "0"} ${text(ttn.received(payload)) ?? ""}`;
  },
  isPretended: (payload) => ttn.simulated(payload) === true,
  available: [],
};

function prefixed(prefix: string, value: unknown): string | undefined {
  return typeof value === "number" ? `${prefix}${value}` : undefined;
}

function picked(payload: unknown, paths: Record<string, string>): Tree {
  const entries = Object.entries(paths).map(([name, path]) => [name, at(path)(payload)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

const lastSeen = at("$.last_seen");
const utcTime = at("$.UtcTime");

/** The format that the settings of a device name. */
export function formatOf(settings: Settings): Format {
  const topic = settings.topic;
  const { format, server, available } = settings;
  const own = available === undefined ? {} : { available };
  switch (format) {
    case "lorawan":
      return {
        topic: topic ?? ownTopics[server],
        ...(server === "ttn-v3" ? ttnV3 : chirpStackV4),
        ...own,
      };
    case "zigbee2mqtt":
      return {
        topic: topic ?? ownTopics.zigbee2mqtt,
        root: (payload) => payload,
        time: (payload) => timeOf(lastSeen(payload)),
        id: () => undefined,
        tellsKept: true,
        available: [
          {
            topic: "{base}/{name}/availability",
            path: "$.state",
            online: "online",
            offline: "offline",
            of: "device",
          },
          {
            topic: "{base}/bridge/state",
            path: "$.state",
            online: "online",
            offline: "offline",
            of: "gateway",
          },
        ],
        ...own,
      };
    case "onvif-ej":
      return {
        topic: undefined,
        root: (payload) => payload,
        time: (payload) => timeOf(utcTime(payload)),
        id: () => undefined,
        available: [],
        ...own,
      };
    default: {
      const [time, id] = [settings.time, settings.id].map((path) =>
        path === undefined ? undefined : at(path),
      );
      return {
        topic,
        root: (payload) => payload,
        time: (payload) => (time === undefined ? undefined : timeOf(time(payload))),
        id: (payload) => (id === undefined ? undefined : text(id(payload))),
        available: available ?? [],
      };
    }
  }
}

/** A template with the device's variables; a `missing` one names what the settings lack. */
export function topicOf(template: string, { variables, format }: Settings): ReturnType<typeof fill> {
  return fill(template, format === "zigbee2mqtt" ? { base: "zigbee2mqtt", ...variables } : variables);
}
