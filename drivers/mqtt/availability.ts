import { DeviceError } from "../../gateway/driver.ts";
import { formatOf, topicOf } from "./formats.ts";
import { parsePath, valueAt, type Step } from "./json-path.ts";
import { parseJson, shortTopic, textOf } from "./payload.ts";
import { Memory } from "./remember.ts";
import type { Message } from "./broker.ts";
import type { Settings } from "./settings.ts";

const devicesMax = 5000;
const payloadBytesMax = 4096;

/** Whether a device was lost by a word that said offline: nothing but a word or a message brings it back. */
const memory = new Memory<{ wasOffline: boolean }>(devicesMax, () => ({ wasOffline: false }));

interface Rule {
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
  readonly rules: readonly { filter: string; take(message: Message): void }[];
  readonly #words = new Map<Rule, "online" | "offline">();
  readonly #all: Rule[] = [];
  readonly #memory: { wasOffline: boolean };
  readonly #tell: { alive(): void; lost(error: DeviceError): void };

  /** Throws `DeviceError` `unsupported` when the settings lack a variable. */
  constructor(settings: Settings, device: string, tell: { alive(): void; lost(error: DeviceError): void }) {
    this.#memory = memory.of(device);
    this.#tell = tell;
    this.rules = formatOf(settings).available.map(({ topic, path, online, offline, of }) => {
      const filled = topicOf(topic, settings);
      if ("missing" in filled)
        throw new DeviceError("unsupported", `${topic} wants "${filled.missing}": write it under variables`);
      const steps = path === undefined ? undefined : (parsePath(path) ?? []);
      const rule: Rule = { of, online, offline, steps };
      this.#all.push(rule);
      return { filter: filled.topic, take: (message) => this.#take(rule, message) };
    });
  }

  #take(rule: Rule, { topic, payload, retained }: Message): void {
    const word = wordOf(rule, payload);
    if (word === undefined) return;
    this.#words.set(rule, word);
    if (word === "offline") {
      this.#memory.wasOffline = true;
      const text = `${shortTopic(topic)} says that it is ${rule.offline}`;
      this.#tell.lost(new DeviceError("hung-up", text));
      return;
    }
    const isBack = this.#memory.wasOffline && this.#all.every((one) => this.#words.get(one) === "online");
    const speaks = rule.of === "device" && !retained;
    if (!speaks && !(isBack && this.#all.some(({ of }) => of === "device"))) return;
    this.#memory.wasOffline = false;
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
