import { z } from "zod";
import { issuerKey, localIssuer } from "../commands/command.ts";
import { sections } from "../twin/document.ts";
import { byteSizeBetween, durationBetween } from "../profiles/quantities.ts";
import { isTimeZone } from "../schedules/local-time.ts";

/** Devices in one file. */
export const devicesMax = 1000;

/** An id or a part of a topic: so many small letters, digits and hyphens. */
export function word(least: number, most: number) {
  return z.string().regex(new RegExp(`^[a-z0-9-]{${least},${most}}$`), {
    error: `expected ${least} to ${most} small letters, digits or "-"`,
  });
}

/** A name as people say it. */
export const label = z.string().min(1).max(120);

const metres = z.number().min(-12_000).max(9000);
const latitude =
  "expected a latitude from -90 to 90 (in Vietnam lat is 8 to 24 and lon 102 to 118: are they swapped?)";
/** Where something stands. */
export const locationSchema = z
  .strictObject({
    lat: z
      .number()
      .min(-90, { error: latitude })
      .max(90, { error: latitude })
      .describe("latitude in degrees (WGS 84), in Vietnam 8 to 24"),
    lon: z.number().min(-180).max(180).describe("longitude in degrees (WGS 84), in Vietnam 102 to 118"),
    address: z.string().min(1).max(200).optional().describe("street address"),
  })
  .describe("where it stands");

/** Levels of the water that people have agreed on. */
export const levelsSchema = z
  .strictObject({
    datum: z.string().min(1).max(60).optional().describe("what the levels are above, such as VN-2000/HonDau"),
    reference: metres.optional().describe("height of the sensor, m"),
    alert: metres.optional().describe("from here on there is an alert, m"),
    danger: metres.optional().describe("from here on there is danger, m"),
  })
  .refine(({ alert, danger }) => alert === undefined || danger === undefined || alert <= danger, {
    path: ["danger"],
    error: "danger lies below alert",
  })
  .describe("reference levels of a device that measures a water level");

const filePath = z.string().min(1).max(1000);

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** What is wrong with a broker's address; the text never holds the address itself. */
function brokerProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !["mqtt:", "mqtts:"].includes(url.protocol) || url.hostname === "") {
    return "expected an address such as mqtts://ioc.example:8883";
  }
  if (url.username !== "" || url.password !== "") {
    return "user and password do not belong into the address: write the keys username and password";
  }
  const extra = !["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "";
  return extra ? "expected nothing behind the port of the address" : undefined;
}

/** "127.0.0.1:9464" or "[::1]:9464" in its parts; undefined: it is no such address. */
export function hostAndPort(text: string): { host: string; port: number } | undefined {
  const [, host, port] = /^(\[[\da-f:.]{2,45}\]|[\w.-]{1,253}):(\d{1,5})$/i.exec(text) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { host: host.replaceAll(/[[\]]/g, ""), port: Number(port) };
}

const healthEndpoint = z
  .strictObject({
    listen: z
      .string()
      .max(300)
      .superRefine((text, context) => {
        if (hostAndPort(text) !== undefined) return;
        const message = "expected address and port (1 to 65535) such as 127.0.0.1:9464";
        context.addIssue({ code: "custom", message });
      })
      .optional()
      .describe(
        "where /healthz, /readyz and /metrics are served, such as 127.0.0.1:9464; without it nowhere",
      ),
    insecure: z
      .literal("acknowledged")
      .optional()
      .describe("allows an address that other machines reach: everybody there may read"),
  })
  .superRefine(({ listen = "", insecure }, context) => {
    const host = listen.slice(0, listen.lastIndexOf(":"));
    if (hostAndPort(listen) === undefined || isLoopback(host) || insecure !== undefined) return;
    const message =
      'every machine that reaches this address may read it, without login: use 127.0.0.1, or write "insecure: acknowledged"';
    context.addIssue({ code: "custom", path: ["listen"], message });
  });

/** One entry of `uplinks`. */
export const mqttUplink = z
  .strictObject({
    id: word(2, 40).describe("unique among the uplinks"),
    type: z.literal("mqtt"),
    url: z
      .string()
      .max(500)
      .superRefine((text, context) => {
        const problem = brokerProblem(text);
        if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
      })
      .describe("mqtts://host:port, or mqtt:// without TLS"),
    insecure: z
      .literal("acknowledged")
      .optional()
      .describe("allows mqtt:// to another machine: everything in the clear"),
    protocol: z
      .union([z.literal(5), z.literal("3.1.1")])
      .default(5)
      .describe("version of MQTT"),
    encoding: z.enum(["columnar", "cloudevents"]).default("columnar").describe("compact, or self-describing"),
    username: z.string().min(1).optional(),
    password: z.string().min(1).optional().describe("as a reference: ${secret:NAME}"),
    tls: z
      .strictObject({
        ca: filePath
          .optional()
          .describe("certificate of the authority that signed the broker's; without it the system's"),
        cert: filePath.optional().describe("the gateway's certificate"),
        key: filePath.optional().describe("the key of `cert`"),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe("the name in the broker's certificate, if not the host of `url`"),
      })
      .optional(),
    keepalive: durationBetween("5s", "1h").prefault("20s"),
    windowMax: z.int().min(1).max(100).default(20).describe("messages in flight"),
    messageBytesMax: byteSizeBetween("1KiB", "1MiB").prefault("32KiB").describe("after compression"),
    resendAfter: durationBetween("1s", "1h").prefault("3m").describe("without the receiver's word"),
    reconnectMax: durationBetween("100ms", "1h").prefault("60s").describe("longest pause between attempts"),
  })
  .superRefine((uplink, context) => {
    const url = URL.parse(uplink.url);
    if (url?.protocol === "mqtt:" && !isLoopback(url.hostname) && uplink.insecure === undefined) {
      const message =
        'mqtt:// to another machine sends everything in the clear: use mqtts://, or write "insecure: acknowledged"';
      context.addIssue({ code: "custom", path: ["url"], message });
    }
    if ((uplink.tls?.cert === undefined) !== (uplink.tls?.key === undefined)) {
      context.addIssue({ code: "custom", path: ["tls"], message: "cert and key go together" });
    }
  });

/** Without it no picture is ever asked for. */
const snapshots = z
  .strictObject({
    records: z.array(label).min(1).max(20).describe("records of the profiles that come with a picture"),
    devices: z.array(word(2, 40)).max(devicesMax).optional().describe("only of these devices"),
    keep: durationBetween("1m", "31d").prefault("24h").describe("then the picture is deleted"),
    sizeMax: byteSizeBetween("1MiB", "16GiB").prefault("64MiB").describe("beyond it the oldest go first"),
  })
  .describe("still pictures that stay on the box, encrypted; events hold the reference, then the hash");

const role = word(2, 40);

function keyProblem(key: string): string | undefined {
  try {
    issuerKey(key);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Who may command the devices of a site. */
export const commandsSchema = z
  .strictObject({
    issuers: z
      .array(
        z.strictObject({
          id: word(2, 40)
            .refine((id) => id !== localIssuer, {
              error: `"${localIssuer}" is whoever is on site: choose another name`,
            })
            .describe("what commands name after the @ of `by`"),
          key: z
            .string()
            .superRefine((key, context) => {
              const problem = keyProblem(key);
              if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
            })
            .describe("its public key: raw Ed25519, 32 bytes in base64"),
          roles: z.array(role).min(1).max(50).describe("names of `commands.roles`"),
        }),
      )
      .max(64)
      .default([])
      .describe("whose signed commands are heard; without any nothing from the IOC is executed"),
    roles: z
      .record(
        role,
        z.strictObject({
          devices: z.array(word(2, 40)).min(1).max(devicesMax),
          points: z
            .array(z.string().min(1).max(100))
            .min(1)
            .max(500)
            .optional()
            .describe("only these; without it all that the devices allow"),
        }),
      )
      .default({}),
    ratePerMinute: z.int().min(1).max(600).default(60).describe("commands of each issuer"),
    clock: z
      .enum(["synced", "holdover"])
      .default("synced")
      .describe(
        "synced: a command is fresh only by a clock that a time server has proved, or by a nonce; holdover: by a plausible clock too",
      ),
  })
  .describe("commands from the IOC");

/** What may be configured from afar. */
const twinSchema = z
  .strictObject({
    allow: z.array(z.enum(sections)).min(1).max(sections.length).describe("what of the configuration"),
    issuers: z
      .array(word(2, 40))
      .min(1)
      .max(64)
      .describe("ids of `commands.issuers` of this file: whose documents are taken"),
    watch: durationBetween("1s", "10m")
      .prefault("30s")
      .describe("how long a change is watched; longer than the slowest poll that it is about"),
  })
  .describe("what the IOC may configure from afar; without it nothing");

/** The site file (`gateway.yaml`) but for its devices, which each driver's own schema checks. */
export const siteSchema = z.strictObject({
  version: z.literal(1),
  gateway: z.strictObject({
    id: word(3, 40).describe("part of every event's id and topic; never use it for another box"),
    name: label.describe("as people call the cabinet"),
    city: word(2, 16).describe("first part of the topics"),
    state: filePath.default("/var/lib/kerb").describe("folder of outbox and journal, relative to this file"),
    timeZone: z
      .string()
      .max(60)
      .refine(isTimeZone, { error: "expected the name of a time zone such as Asia/Ho_Chi_Minh" })
      .default("Asia/Ho_Chi_Minh")
      .describe("whose clocks the times of `schedules` are (IANA)"),
    location: locationSchema
      .optional()
      .describe("where the cabinet stands, and each device that says nothing else"),
  }),
  outbox: z
    .strictObject({
      sizeMax: byteSizeBetween("1MiB", "64GiB")
        .prefault("256MiB")
        .describe("beyond it the oldest telemetry is dropped and declared"),
      commitAfter: durationBetween("10ms", "10s")
        .prefault("1s")
        .describe("longest time that an event waits for the disk"),
      commitEvents: z.int().min(1).max(10_000).default(200).describe("events that are committed at once"),
      sealEvery: durationBetween("1s", "1h")
        .prefault("1h")
        .describe("periods that are sealed and certified: 1h, shorter for a trial"),
    })
    .prefault({}),
  uplinks: z.array(mqttUplink).max(8).default([]),
  privacy: z
    .strictObject({
      personalData: z
        .enum(["token", "drop", "clear"])
        .default("token")
        .describe("how number plates and the like leave: as a keyed hash, not at all, or as they are"),
      legalBasis: label.optional().describe("the decision by which personal data may leave as it is"),
      tokenKey: z
        .string()
        .min(16)
        .max(200)
        .optional()
        .describe("key of the tokens, as a reference; without it the box makes one of its own"),
      snapshots: snapshots.optional(),
    })
    .refine(({ personalData, legalBasis }) => personalData !== "clear" || legalBasis !== undefined, {
      path: ["personalData"],
      error:
        'personal data may leave as it is only by a decision: write it as "legalBasis", or use token or drop',
    })
    .prefault({}),
  commands: commandsSchema.prefault({}),
  twin: twinSchema.optional(),
  log: z.strictObject({ level: z.enum(["debug", "info", "warn", "error"]).default("info") }).prefault({}),
  health: healthEndpoint.prefault({}),
  include: z
    .array(filePath.regex(/^(?!.*\*\*)/, { error: "** would search whole disks: name the folder" }))
    .max(20)
    .default([])
    .describe("files with further devices, such as devices.d/*.yaml"),
  devices: z.array(z.unknown()).max(devicesMax).default([]),
});

/** A file that `include` names, but for its devices. */
export const devicesFileSchema = z.strictObject({ devices: z.array(z.unknown()).max(devicesMax) });
