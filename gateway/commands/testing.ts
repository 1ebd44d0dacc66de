import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { DeskOptions } from "./bench.ts";
import type { DeviceFacts } from "./checks.ts";
import { type CommandContent, type CommandValue, newCommandId, signCommand } from "./command.ts";
import { CommandDesk } from "./desk.ts";
import type { Moment } from "./journal.ts";
import { linesOf, segmentsOf } from "./journal-lines.ts";
import type { WriteOrder, WriteOutcome } from "./order.ts";
import { type CommandedDevice, type CommandsConfig, Policy } from "./policy.ts";
import type { CommandState } from "./state.ts";

/** A site to command: two issuers, a cabinet of lights, a sign, a signal controller, and a field that records. */

function pair(): { key: string; secret: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  return { key: Buffer.from(x, "base64url").toString("base64"), secret: privateKey };
}

export const ioc = pair();
export const depot = pair();
export const stranger = pair();
const gateway = "gw-01";
const city = "hcmc";
const startMs = 1_793_000_000_000;

const site: CommandsConfig = {
  issuers: [
    { id: "ioc", key: ioc.key, roles: ["traffic", "lights"] },
    { id: "depot", key: depot.key, roles: ["lights"] },
  ],
  roles: {
    lights: { devices: ["light-01"] },
    traffic: {
      devices: ["sign-01", "tsc-01", "light-01", "barrier-01"],
      points: ["text", "plan", "signal.group1", "open"],
    },
  },
  ratePerMinute: 60,
  clock: "synced",
};

const write = { interlock: [], safety: false };
const point = (
  name: string,
  kind: "number" | "boolean" | "text",
  more: object = {},
  values?: Record<string, string>,
) => ({
  name,
  kind,
  values,
  write: { ...write, ...more },
});

const devices: CommandedDevice[] = [
  {
    id: "light-01",
    class: "light-cabinet",
    points: [
      point("dim", "number", { limits: [0, 100], step: 5 }),
      point("lamp", "boolean"),
      point("scene", "text", {}, { 0: "off", 1: "evening", 2: "night" }),
      point("flow.L1", "number", { limits: [-5, 5], values: [-5, 0, 2.5] }),
      point("boost", "boolean", { leaseMax: 30_000 }),
      point("count", "number"),
      point("pulse", "number", { leaseMax: 30_000, refresh: 20 }),
      point("watch", "number", { leaseMax: 30_000, refresh: 1000 }),
      point("level", "number", { limits: [1, 100], leaseMax: 30_000, automatic: 255 }),
      point("closed", "number"),
      { name: "energy", kind: "number", values: undefined, write: undefined },
    ],
    write: {
      allow: ["dim", "lamp", "scene", "flow.L1", "boost", "energy", "count", "level", "watch", "pulse"],
      limits: { dim: { min: 10 }, "flow.L1": { max: 100 } },
    },
  },
  {
    id: "sign-01",
    class: "message-sign",
    points: [point("text", "text", { safety: true }), point("dim", "number")],
    write: { allow: ["text", "dim"] },
  },
  {
    id: "tsc-01",
    class: "signal-controller",
    points: [point("plan", "number", { safety: true, limits: [1, 16] }), point("signal.group1", "text")],
    write: { allow: ["plan", "signal.group1"] },
  },
  {
    id: "barrier-01",
    class: "other",
    points: [point("open", "boolean")],
    write: { allow: ["open"], confirm: "two-person" },
  },
  { id: "meter-01", class: "energy-meter", points: [point("reset", "boolean")] },
];

/** Devices in memory that do what they are told and note it; `next` takes the place of the next outcome. */
class Field {
  readonly writes: WriteOrder[] = [];
  readonly values = new Map<string, CommandValue>();
  next: ((order: WriteOrder, obey: () => WriteOutcome) => Promise<WriteOutcome>) | undefined;
  canRead = true;

  readonly execute = async (order: WriteOrder): Promise<WriteOutcome> => {
    this.writes.push(order);
    const obey = (): WriteOutcome => {
      const key = `${order.device}/${order.point}`;
      const before = this.values.get(key) ?? null;
      if (order.isRefresh === true && before !== order.value)
        return { state: "failed", code: "lapsed", reason: `it is ${before}` };
      this.values.set(key, order.value);
      return { state: "done", before, readBack: order.value, writtenMs: 1 };
    };
    const { next } = this;
    this.next = undefined;
    return next === undefined ? obey() : next(order, obey);
  };

  /** The next write waits until what this gives is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.next = (_, obey) => promise.then(obey);
    return resolve;
  }

  readonly latest = async (device: string) =>
    new Map(
      [...this.values].flatMap(([key, value]) =>
        key.startsWith(`${device}/`) ? [[key.slice(device.length + 1), value] as const] : [],
      ),
    );

  readonly read = async (device: string, name: string) =>
    this.canRead
      ? { value: this.values.get(`${device}/${name}`) ?? null }
      : { value: null, code: "timeout", reason: "it does not answer" };
}

export class Site {
  readonly field = new Field();
  readonly told: CommandState[] = [];
  readonly facts = new Map<string, DeviceFacts>(
    devices.map(({ id }) => [id, { state: "online", writable: true }]),
  );
  /** That were given. */
  readonly nonces: string[] = [];
  readonly folder: string;
  now: Moment = { wallMs: startMs, monoMs: 5_000_000, clock: "synced", boot: "boot-1" };
  policy: Policy;

  constructor(folder: string, config: Partial<CommandsConfig> = {}) {
    this.folder = folder;
    this.policy = new Policy({ ...site, ...config }, devices);
    const shown = { dim: 50, lamp: false, scene: "off", "flow.L1": 0, boost: false };
    for (const [name, value] of Object.entries(shown)) this.field.values.set(`light-01/${name}`, value);
    this.field.values.set("sign-01/text", "");
  }

  open(more: Partial<DeskOptions> = {}): Promise<CommandDesk> {
    const options: DeskOptions = {
      folder: this.folder,
      gateway,
      city,
      field: this.field,
      facts: (device) => this.facts.get(device),
      tell: (state) => void this.told.push(state),
      now: () => this.now,
      retryFirstMs: 10,
      ...more,
    };
    return CommandDesk.open(options, this.policy);
  }

  pass(ms: number): void {
    this.now = { ...this.now, wallMs: this.now.wallMs + ms, monoMs: this.now.monoMs + ms };
  }

  /** A command that would be executed, but for what `more` says. */
  content(more: Partial<CommandContent> = {}): CommandContent {
    const issued = this.now.wallMs - 200;
    return {
      v: 1,
      id: newCommandId(issued),
      gw: gateway,
      dev: "light-01",
      op: "set",
      args: { dim: 40 },
      mode: "execute",
      notAfter: issued + 30_000,
      issued,
      by: "an.nguyen@ioc",
      role: "lights",
      ...more,
    };
  }
}

export const topicOf = (device: string, of = gateway) => `${city}/cmd/v1/${of}/${device}`;
export const bytesOf = (document: unknown) => Buffer.from(JSON.stringify(document));
export const signed = (content: CommandContent, by = ioc) => bytesOf(signCommand(content, by.secret));

/** All records of a journal. */
export async function recordsOf(folder: string): Promise<Record<string, unknown>[]> {
  const records: Record<string, unknown>[] = [];
  for (const segment of await segmentsOf(folder))
    for await (const { text } of linesOf(folder, segment))
      records.push(JSON.parse(text) as Record<string, unknown>);
  return records;
}

/** Waits until something holds, up to 10 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
