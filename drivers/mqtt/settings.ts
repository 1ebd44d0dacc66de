import { z } from "zod";
import type { Wire, WirePlace, Reach } from "../../gateway/driver.ts";
import { parsePath } from "./json-path.ts";
import { portOf } from "./names.ts";
import { filterProblem, ownTopics, placeholder, variablesOf } from "./topics.ts";

/** Settings and addresses of devices that speak over an MQTT broker. Topic filters follow MQTT 5, clause 4.7. */

function span(least: number, most: number) {
  return z
    .union([
      z.number().int().min(least).max(most),
      z
        .string()
        .regex(/^\d+(\.\d+)?(ms|s|m)$/, { error: 'write a time span with its unit, such as "30s"' })
        .refine((text) => msOf(text) >= least && msOf(text) <= most, {
          error: `expected a time span from ${least} ms to ${most / 1000} s`,
        }),
    ])
    .transform((value) => (typeof value === "number" ? value : msOf(value)));
}

function msOf(text: string): number {
  const factor = text.endsWith("ms") ? 1 : text.endsWith("s") ? 1000 : 60_000;
  return Number.parseFloat(text) * factor;
}

/** A topic with `{variables}`; wildcards where it is listened to. */
const template = z
  .string()
  .max(500)
  .superRefine((text, context) => {
    const problem = filterProblem(text.replaceAll(placeholder, "x"));
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    else if (/[{}]/.test(text.replaceAll(placeholder, "")))
      context.addIssue({ code: "custom", message: 'a variable is a name in braces, such as "{devEui}"' });
  });
const topic = template.refine((text) => !/[+#]/.test(text), { error: "a topic to write to has no + or #" });

const path = z
  .string()
  .max(300)
  .refine((text) => parsePath(text) !== undefined, {
    error: "a path is $, members (.name, ['any name']), indexes ([0]) and [?@.name=='x'], at most 16 steps",
  });

const scalar = z.union([z.string(), z.number(), z.boolean()]);

const available = z
  .strictObject({
    topic: template,
    path: path.optional().describe("where in a JSON payload; without it the whole text"),
    online: z.string().default("online"),
    offline: z.string().default("offline"),
    of: z
      .enum(["device", "gateway"])
      .default("device")
      .describe("gateway: its being online says nothing of the device"),
  })
  .describe("a topic, mostly a last will, that says whether the device is there");

const filePath = z.string().min(1).max(1000);

export const settings = z
  .strictObject({
    host: z.string().min(1),
    port: z.int().min(1).max(65535).optional().describe("default 1883, with tls 8883"),
    tls: z
      .strictObject({
        ca: filePath.optional().describe("PEM file; without it the system's authorities"),
        cert: filePath.optional().describe("PEM file: our certificate"),
        key: filePath.optional().describe("PEM file: the key of `cert`"),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe("the name in the broker's certificate, if not `host`"),
      })
      .optional(),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional().describe("as a reference: ${secret:NAME}"),
    clientId: z
      .string()
      .min(1)
      .max(100)
      .optional()
      .describe("without it one that is the box's own; devices with the same share a connection"),
    protocol: z
      .union([z.literal(5), z.literal("3.1.1")])
      .default("3.1.1")
      .describe("version of MQTT; 3.1.1 is what every broker speaks"),
    keepalive: span(5000, 3_600_000).prefault("30s"),
    timeout: span(10, 60_000).prefault("5s").describe("longest wait for an answer of the broker"),
    format: z
      .enum(["json", "lorawan", "zigbee2mqtt", "onvif-ej", "sparkplug-b"])
      .default("json")
      .describe("how the payloads are built"),
    server: z
      .enum(["chirpstack-v4", "ttn-v3"])
      .default("chirpstack-v4")
      .describe("format lorawan: whose envelope is around the device's values"),
    variables: z
      .record(
        z.string().regex(/^[A-Za-z][A-Za-z0-9]*$/),
        z
          .string()
          .min(1)
          .max(200)
          .regex(/^[^+#\0{}]+$/, { error: "no + # { } and NUL: they would change the topic" }),
      )
      .default({})
      .describe("what topics name in braces: applicationId, devEui, name …"),
    topic: template.optional().describe("of points that name no topic themselves"),
    time: path.optional().describe("format json: where the payload has its time (ISO 8601, s or ms)"),
    id: path.optional().describe("format json: what tells a repeated message from a new one"),
    available: z
      .array(available)
      .max(4)
      .optional()
      .describe("without it what the format brings; [] for nothing"),
    qos: z.union([z.literal(0), z.literal(1)]).default(1),
    sessionExpiry: span(0, 604_800_000)
      .prefault("60m")
      .describe("how long the broker keeps what comes while kerb is away; 0: not at all"),
    payloadBytesMax: z.int().min(64).max(1_048_576).default(65_536),
    topicsMax: z
      .int()
      .min(1)
      .max(10_000)
      .default(200)
      .describe("different topics taken from one device; more are ignored"),
    rebirth: z.boolean().default(true).describe("format sparkplug-b: may ask a node for its births (NCMD)"),
  })
  .superRefine((value, context) => {
    const complain = (at: string, message: string) =>
      context.addIssue({ code: "custom", path: [at], message });
    const { tls, password, username, format, server, variables } = value;
    if (password !== undefined && username === undefined) complain("password", "needs a username");
    if ((tls?.cert === undefined) !== (tls?.key === undefined))
      complain("tls", "cert and key belong together");
    const known = format === "zigbee2mqtt" ? { base: "", ...variables } : variables;
    const wanted = [ownTopics[format === "lorawan" ? server : format], value.topic];
    for (const name of wanted.flatMap((one) => variablesOf(one ?? "")))
      if (!Object.hasOwn(known, name)) complain("variables", `"${name}" is missing: the topic names it`);
  });

const write = z
  .strictObject({
    topic: topic.optional().describe("without it the format's own"),
    path: path.optional().describe("members of the JSON object that is sent; without it where it is read"),
  })
  .describe("where a command goes");

export const address = z
  .strictObject({
    topic: template.optional().describe("without it the setting `topic`, or the format's own"),
    path: path.default("$"),
    from: z
      .enum(["payload", "uplink"])
      .default("payload")
      .describe("lorawan, uplink: rssi, snr, gateways, fCnt, fPort, dataRate, deviceName of the radio"),
    event: z
      .string()
      .regex(/^[A-Za-z0-9_:.-]+(\/[A-Za-z0-9_:.-]+)*$/)
      .optional()
      .describe("onvif-ej: the topic of the event without tns1:"),
    metric: z.string().min(1).max(300).optional().describe("sparkplug-b: its name in the birth"),
    type: z
      .enum(["number", "boolean", "text"])
      .optional()
      .describe("what the value is to be, where a device writes numbers and booleans as text"),
    isTrue: scalar.optional().describe("type boolean: the value that means true"),
    isFalse: scalar.optional(),
    when: z
      .strictObject({ path, equals: scalar })
      .optional()
      .describe("only of messages with this value at this path"),
    state: z.boolean().default(false).describe("a record: tells a state, not an occurrence"),
    write: write.optional(),
  })
  .superRefine((value, context) => {
    const complain = (at: string, message: string) =>
      context.addIssue({ code: "custom", path: [at], message });
    const places = [value.topic, value.event, value.metric].filter((one) => one !== undefined);
    if (places.length > 1) complain("topic", "one of topic, event and metric");
    if ((value.isTrue !== undefined || value.isFalse !== undefined) && value.type !== "boolean")
      complain("type", "isTrue and isFalse are for type boolean");
  });

/** What the topics of a pretend device are called. */
export const example = {
  variables: {
    applicationId: "city",
    devEui: "24e124713d123456",
    deviceId: "pretend-1",
    name: "plug",
    prefix: "camera",
    group: "district-1",
    node: "cabinet-1",
    device: "controller",
  },
};

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;

/** Whom to trust, and who kerb is, is the site's to say and no profile's. */
export const siteOnly = ["tls", "username", "password"] as const;

/** What is published and listened to: the packets' numbers begin anywhere, and say nothing. */
export function wire(given: Settings): Wire<Settings> {
  const { tls, ...rest } = given;
  const moved = (place: WirePlace): Settings => ({ ...rest, ...place });
  const plain = { over: "mqtt", host: given.host, port: portOf(given), moved } as const;
  if (tls === undefined) return plain;
  const reach = async () => (await import("./reach.ts")).reach(given);
  return { ...plain, reach, instead: { tls: undefined, port: undefined } };
}

/** What the address makes of a payload; without a type it is what the device writes: for the lint. */
export function facts({ type }: Address) {
  return type === undefined ? {} : { gives: type };
}

/** A broker at an address, as a site file says it. */
export const reached: Reach = ({ host, port, user, password }) => ({ host, port, username: user, password });
