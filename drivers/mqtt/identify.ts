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
/** What is retained comes right behind the broker's agreement. */
const retainedWithinMs = 1000;

/**
 * Zigbee2MQTT retains a list of its devices; the other formats have nothing that could be asked. Rejects with
 * `unsupported` when the list is missing or does not have the device: it may tell values all the same.
 */
export async function identify(broker: Broker, settings: Settings, signal: AbortSignal): Promise<Identity> {
  const unknown = (why: string) => new DeviceError("unsupported", `${broker.place}: ${why}`);
  if (settings.format !== "zigbee2mqtt")
    throw unknown(`${settings.format} has no way to ask who a device is`);
  const filled = topicOf("{base}/bridge/devices", settings);
  if ("missing" in filled) throw unknown("no base topic");
  const list = Promise.withResolvers<Buffer>();
  let timer: NodeJS.Timeout | undefined;
  const giveUp = () => list.reject(new DeviceError("aborted", `${broker.place}: given up by the caller`));
  signal.addEventListener("abort", giveUp);
  const { granted, stop } = broker.listen(filled.topic, ({ payload }) => list.resolve(payload), {
    qos: 0,
    signal,
  });
  const missing = () => list.reject(unknown(`${filled.topic} is not retained`));
  const wait = async (): Promise<void> => {
    await granted;
    if (!signal.aborted) timer = setTimeout(missing, retainedWithinMs);
  };
  wait().catch(list.reject);
  try {
    const parsed = parseJson(await list.promise);
    const devices = "value" in parsed && Array.isArray(parsed.value) ? (parsed.value as unknown[]) : [];
    const name = settings.variables["name"];
    const found = devices.find((one) => valueAt(one, ["friendly_name"]) === name);
    if (found === undefined) throw unknown(`${filled.topic} has no "${name}"`);
    const told = Object.entries(paths).flatMap(([field, path]) => {
      const value = valueAt(found, path);
      return typeof value === "string" && value !== "" ? [[field, value.slice(0, textMax)]] : [];
    });
    return Object.fromEntries(told) as Identity;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    stop();
  }
}
