import { DeviceError, type Identity } from "../../gateway/driver.ts";
import type { Broker } from "./broker.ts";
import { topicOf } from "./formats.ts";
import { parsePath, valueAt } from "./json-path.ts";
import { parseJson } from "./payload.ts";
import type { Settings } from "./settings.ts";

const paths = {
  vendor: parsePath("$.definition.vendor")!,
  model: parsePath("$.definition.model")!,
  firmware: parsePath("$.software_build_id")!,
  serial: parsePath("$.ieee_address")!,
};
const textMax = 200;
const devicesMax = 2000;
/** What is retained comes right behind the broker's agreement. */
const retainedWithinMs = 1000;
/** The list is long: devices that are opened together share one. */
const sharedForMs = 10_000;

type Devices = ReadonlyMap<string, Identity>;
const lists = new WeakMap<Broker, Map<string, { atMs: number; devices: Promise<Devices | undefined> }>>();

/**
 * Zigbee2MQTT retains a list of its devices; the other formats have nothing that could be asked. Rejects with
 * `unsupported` when the list is missing or does not have the device: it may tell values all the same.
 */
export async function identify(broker: Broker, settings: Settings): Promise<Identity> {
  const unknown = (why: string) => new DeviceError("unsupported", `${broker.place}: ${why}`);
  if (settings.format !== "zigbee2mqtt")
    throw unknown(`${settings.format} has no way to ask who a device is`);
  const filled = topicOf("{base}/bridge/devices", settings);
  if ("missing" in filled) throw unknown("no base topic");
  const { topic } = filled;
  const known =
    lists.get(broker) ?? new Map<string, { atMs: number; devices: Promise<Devices | undefined> }>();
  lists.set(broker, known);
  let list = known.get(topic);
  if (list === undefined || performance.now() - list.atMs > sharedForMs) {
    list = { atMs: performance.now(), devices: devicesOf(broker, topic) };
    known.set(topic, list);
    // A broker that failed to answer is asked again.
    list.devices.catch(() => known.delete(topic));
  }
  const devices = await list.devices;
  if (devices === undefined) throw unknown(`${topic} is not retained`);
  const found = devices.get(settings.variables["name"] ?? "");
  if (found === undefined) throw unknown(`${topic} has no "${settings.variables["name"]}"`);
  return found;
}

/** The devices of a bridge by their names; undefined if nothing is retained. */
async function devicesOf(broker: Broker, topic: string): Promise<Devices | undefined> {
  const list = Promise.withResolvers<Buffer | undefined>();
  const { signal } = new AbortController();
  const { granted, stop } = broker.listen(topic, ({ payload }) => list.resolve(payload), { qos: 0, signal });
  let timer: NodeJS.Timeout | undefined;
  try {
    await granted;
    timer = setTimeout(() => list.resolve(undefined), retainedWithinMs);
    const payload = await list.promise;
    return payload === undefined ? undefined : identitiesOf(payload);
  } finally {
    clearTimeout(timer);
    stop();
  }
}

/** The devices in the list that Zigbee2MQTT retains, by their names. */
export function identitiesOf(payload: Buffer): Devices {
  const parsed = parseJson(payload);
  const all = "value" in parsed && Array.isArray(parsed.value) ? (parsed.value as unknown[]) : [];
  const devices = new Map<string, Identity>();
  for (const one of all.slice(0, devicesMax)) {
    const name = valueAt(one, ["friendly_name"]);
    const told = Object.entries(paths).flatMap(([field, path]) => {
      const value = valueAt(one, path);
      return typeof value === "string" && value !== "" ? [[field, value.slice(0, textMax)]] : [];
    });
    if (typeof name === "string") devices.set(name, Object.fromEntries(told) as Identity);
  }
  return devices;
}
