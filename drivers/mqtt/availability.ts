import { DeviceError } from "../../gateway/driver.ts";
import { formatOf, topicOf } from "./formats.ts";
import { parsePath, valueAt, type Step } from "./json-path.ts";
import { parseJson, shortTopic, textOf } from "./payload.ts";
import { Memory } from "./remember.ts";
import type { Message } from "./broker.ts";
import type { Settings } from "./settings.ts";

const devicesMax = 5000;
const payloadBytesMax = 4096;

interface Past {
  /** It was lost by a word that said offline. */
  wasOffline: boolean;
  /** Filters of the rules that have ever said something. */
  readonly spoken: Set<string>;
}

const memory = new Memory<Past>(devicesMax, () => ({ wasOffline: false, spoken: new Set() }));

interface Rule {
  readonly filter: string;
  readonly of: "device" | "gateway";
  readonly steps: readonly Step[] | undefined;
  readonly online: string;
  readonly offline: string;
}

/**
 * What the last wills and availability topics of one device say. A word that the broker had kept is no sign of
 * life, unless it takes back the one by which the device was lost.
 */
export class Availability {
  /** By topic filter. Two rules of one topic are two. */
  readonly rules: readonly { filter: string; take: (message: Message) => void }[];
  /** By filter, as `Past.spoken`. */
  readonly #words = new Map<string, "online" | "offline">();
  readonly #past: Past;
  /** The device's own word, not its gateway's. */
  #isOnline = false;
  readonly #tell: { alive(): void; lost(error: DeviceError): void };

  /** Throws `DeviceError` `unsupported` when the settings lack a variable. */
  constructor(settings: Settings, device: string, tell: { alive(): void; lost(error: DeviceError): void }) {
    this.#past = memory.of(device);
    this.#tell = tell;
    this.rules = formatOf(settings).available.map(({ topic, path, online, offline, of }) => {
      const filled = topicOf(topic, settings);
      if ("missing" in filled)
        throw new DeviceError("unsupported", `${topic} wants "${filled.missing}": write it under variables`);
      const steps = path === undefined ? undefined : (parsePath(path) ?? []);
      const rule: Rule = { filter: filled.topic, of, online, offline, steps };
      return { filter: filled.topic, take: (message) => this.#take(rule, message) };
    });
  }

  #take(rule: Rule, { topic, payload, retained }: Message): void {
    const word = wordOf(rule, payload);
    if (word === undefined) return;
    this.#words.set(rule.filter, word);
    this.#past.spoken.add(rule.filter);
    if (word === "offline") {
      this.#past.wasOffline = true;
      const text = `${shortTopic(topic)} says that it is ${rule.offline}`;
      this.#tell.lost(new DeviceError("hung-up", text));
      return;
    }
    if (rule.of === "device") this.#isOnline = true;
    const { wasOffline, spoken } = this.#past;
    const isBack =
      wasOffline && this.#isOnline && [...spoken].every((one) => this.#words.get(one) === "online");
    if (!isBack && (retained || rule.of === "gateway")) return;
    this.#past.wasOffline = false;
    this.#tell.alive();
  }
}

/** undefined: neither. */
function wordOf({ steps, online, offline }: Rule, payload: Buffer): "online" | "offline" | undefined {
  if (payload.length > payloadBytesMax) return undefined;
  const parsed = steps === undefined ? undefined : parseJson(payload);
  const found =
    parsed !== undefined && "value" in parsed && typeof parsed.value === "object"
      ? valueAt(parsed.value, steps ?? [])
      : textOf(payload)?.trim();
  // An object of a device's may bring a toString of its own.
  if (typeof found !== "string" && typeof found !== "number" && typeof found !== "boolean") return undefined;
  if (String(found) === offline) return "offline";
  return String(found) === online ? "online" : undefined;
}
