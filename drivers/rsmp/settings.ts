import { z } from "zod";
import { mayBeAskedFor, mayBeGiven } from "./may-be-given.ts";
import type { Wire, Reach } from "../../gateway/driver.ts";
import { certificatesOf } from "./certificates.ts";
import { PacketError, PacketReader, parsePacket } from "./codec.ts";
import { statusFacts } from "./sxl.ts";

export { retold } from "./retold.ts";

/**
 * Settings and addresses of sites that speak RSMP 3.1.2 to 3.2.2. The site is the one that calls: `host` and
 * `port` say where kerb listens, and several sites share one port.
 */

const versions = ["3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.2.0", "3.2.1", "3.2.2"] as const;

const durationMs = z
  .union([
    z.number().int().positive(),
    z.string().regex(/^\d+(\.\d+)?(ms|s|m)$/, { error: 'write a time span with its unit, such as "30s"' }),
  ])
  .transform((value) => {
    if (typeof value === "number") return value;
    const unit = value.endsWith("ms") ? 1 : value.endsWith("m") ? 60_000 : 1000;
    return Number.parseFloat(value) * unit;
  });

const version = z.string().regex(/^\d{1,2}\.\d{1,2}(\.\d{1,2})?$/, { error: 'a version is "1.2.1"' });

const tls = z
  .strictObject({
    cert: z.string().min(1).describe("file with kerb's certificate"),
    key: z.string().min(1).describe("file with its private key"),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe("file with the authority of the sites' certificates; with it each site needs one"),
    minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.3").describe("RSMP 3.2.2 asks for 1.3"),
  })
  .describe("without it the connection is plain TCP");

const id = z.string().min(1).max(200);
const partsMax = 255;

/** Signal groups or detector logics: how many, or their component ids in the order of the site's strings. */
const parts = z.union([
  z.int().min(0).max(partsMax),
  z
    .array(
      z.union([
        id,
        z.strictObject({
          name: z
            .string()
            .max(40)
            .regex(/^(?![A-Z]\d+$)[a-zA-Z][a-zA-Z0-9]*$/, {
              error:
                'letters and digits, such as "north1", but not as G1, which is what the first one is called by itself',
            })
            .optional()
            .describe("stands in the names of its points instead of G1, D1"),
          id: id.optional().describe("its component id at the site"),
        }),
      ]),
    )
    .max(partsMax)
    .superRefine((list, context) => {
      for (const key of ["name", "id"] as const) {
        const seen = new Set<string>();
        list.forEach((item, i) => {
          const value = typeof item === "string" ? (key === "id" ? item : undefined) : item[key];
          if (value !== undefined && seen.has(value))
            context.addIssue({ code: "custom", path: [i], message: `"${value}" is there twice` });
          if (value !== undefined) seen.add(value);
        });
      }
    }),
]);

export const settings = z.strictObject({
  host: z.string().min(1).describe("address of this box on which sites are awaited; 0.0.0.0 for all of them"),
  port: z.int().min(1).max(65535).default(12111),
  siteId: z.string().min(1).max(200).describe("sId of the site's Version message"),
  component: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe("id of the main component, for points that name none; default: the one that the site names"),
  signalGroups: parts.optional().describe("how many the site has, or a list of their component ids"),
  detectors: parts
    .optional()
    .describe("detector logics: how many the site has, or a list of their component ids"),
  versions: z
    .array(z.enum(versions))
    .min(1)
    .default([...versions])
    .describe("RSMP versions that kerb offers; the newest that the site speaks too is used"),
  sxl: z
    .array(version)
    .min(1)
    .optional()
    .describe("SXL versions that the site may have; it is refused with another one"),
  timeout: durationMs.default(30_000).describe("longest wait for an acknowledgement or an answer"),
  watchdog: durationMs.default(60_000).describe("how often kerb sends its own watchdog"),
  reconnect: durationMs
    .default(10_000)
    .describe("how often the site calls while it is not connected; says how long kerb listens for it"),
  wait: durationMs.default(60_000).describe("how long one try to connect waits for the site's call"),
  messageBytesMax: z.int().min(1024).max(16_777_216).default(1_048_576),
  commands: z
    .array(z.string().regex(/^M\d{4}$/))
    .default([])
    .describe("command codes that may be sent; all others are refused"),
  securityCodes: z
    .strictObject({ level1: z.string().min(1).optional(), level2: z.string().min(1).optional() })
    .default({})
    .describe("secrets that the site wants with a command"),
  tls: tls.optional(),
});

const component = z.string().min(1).max(200).optional().describe("default: the site's main component");
const statusCode = z.string().regex(/^S\d{4}$/, { error: 'a status code is "S0001"' });
const alarmCode = z.string().regex(/^A\d{4}$/, { error: 'an alarm code is "A0001"' });

const status = z
  .strictObject({
    status: statusCode,
    name: z.string().min(1).max(100).describe("name of the return value"),
    component,
    as: z.enum(["text", "number", "boolean"]).default("text"),
    of: z.enum(["chars", "list"]).optional().describe("one character, or one entry between commas"),
    item: z.int().min(1).max(65_025).optional().describe("which one, from 1"),
    rate: z.int().min(0).max(86_400).default(0).describe("subscribed: told every so many seconds; 0 = not"),
    onChange: z.boolean().default(true).describe("subscribed: told when it changes; since RSMP 3.1.5"),
  })
  .superRefine((value, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if ((value.of === undefined) !== (value.item === undefined))
      complain("item", "`of` and `item` go together");
    if (value.rate === 0 && !value.onChange)
      complain("rate", "neither a rate nor onChange: nothing would come");
  });

const aggregated = z
  .strictObject({
    aggregated: z.enum(["se", "fP", "fS"]).describe("state bits, functional position, functional state"),
    bit: z.int().min(1).max(8).optional(),
    component,
  })
  .refine((value) => (value.aggregated === "se") === (value.bit !== undefined), {
    error: "`bit` says which one of `se`",
    path: ["bit"],
  });

const alarm = z.strictObject({ alarm: alarmCode, component });
const alarmField = z.strictObject({
  field: z.enum([
    "component",
    "active",
    "acknowledged",
    "suspended",
    "event",
    "category",
    "priority",
    "externalCode",
  ]),
});
const alarmArgument = z.strictObject({
  argument: z.string().min(1).max(100),
  as: z.enum(["text", "number", "boolean"]).default("text"),
});

const command = z.strictObject({
  command: z
    .string()
    .regex(/^M\d{4}$/)
    .refine((code) => mayBeGiven.includes(code), {
      error: `kerb never drives a phase: only ${mayBeGiven.join(", ")} may be asked for`,
    }),
  do: z.string().min(1).describe("cO: setValue, setPlan"),
  name: z.string().min(1).describe("the argument that takes the written value"),
  arguments: z
    .record(z.string(), z.union([z.string(), z.strictObject({ securityCode: z.enum(["level1", "level2"]) })]))
    .default({})
    .describe("the other arguments; all of them must be there"),
  component,
});
const alarmCommand = z.strictObject({
  alarmCommand: z.enum(["Acknowledge", "Suspend", "Resume", "Request"]),
  alarm: alarmCode,
  component,
});

const requested = z.strictObject({
  requested: z
    .enum(["plan", "mode"])
    .describe(
      "what the centre has asked for: read from S0014 and S0011 with their source, asked by M0002, M0001",
    ),
  intersection: z.int().min(0).max(255).default(0).describe("of a mode; 0: all of the site"),
  timeoutMinutes: z
    .int()
    .min(1)
    .max(1440)
    .default(60)
    .describe("of a mode: the site goes back by itself after so long, whatever becomes of kerb"),
  component,
});

export const address = z.union([
  status,
  aggregated,
  requested,
  alarm,
  alarmField,
  alarmArgument,
  command,
  alarmCommand,
]);

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;
export type StatusAddress = z.infer<typeof status>;
export type RequestedAddress = z.infer<typeof requested>;
export type AggregatedAddress = z.infer<typeof aggregated>;
export type CommandAddress = z.infer<typeof command>;
export type AlarmCommandAddress = z.infer<typeof alarmCommand>;
export type RsmpVersion = (typeof versions)[number];

/** Whom to trust, and who kerb is, is the site's to say and no profile's. */
export const siteOnly = ["tls", "securityCodes"] as const;

/** What a site and kerb say on the connection that the site has opened, in clear also where it is TLS. */
export function wire(given: Settings): Wire<Settings> {
  const { tls: own, ...rest } = given;
  return {
    over: "calls",
    host: given.host,
    port: given.port,
    moved: (place) => ({ ...rest, ...place }),
    isOurs: (begin) => isOf(given.siteId, begin),
    ...(own === undefined ? {} : { secured: () => certificatesOf(own), instead: { tls: undefined } }),
  };
}

/** Does a conversation begin with the Version message of this site? */
function isOf(siteId: string, begin: Uint8Array): boolean | undefined {
  const reader = new PacketReader(begin.length);
  let found: boolean | undefined;
  try {
    reader.push(Buffer.from(begin), (packet) => {
      const { siteId: named } = parsePacket(packet);
      const ids = Array.isArray(named) ? (named as unknown[]) : [];
      found ??= ids.some(
        (one) => typeof one === "object" && one !== null && "sId" in one && one.sId === siteId,
      );
    });
  } catch (error) {
    if (!(error instanceof PacketError)) throw error;
    return false;
  }
  return found;
}

/** What the SXL says of a status, and the core specification of the rest: for the lint. */
export function facts(of: Address) {
  if ("status" in of) return statusFacts(of);
  if ("aggregated" in of) return { gives: of.aggregated === "se" ? ("boolean" as const) : ("text" as const) };
  if ("requested" in of)
    return of.requested === "plan"
      ? { gives: "number" as const, raw: [0, 255] as const, isWhole: true }
      : { gives: "text" as const, words: mayBeAskedFor };
  if ("argument" in of) return { gives: of.as };
  if (!("field" in of)) return {};
  if (of.field === "priority") return { gives: "number" as const, raw: [1, 3] as const, isWhole: true };
  const isState = ["active", "acknowledged", "suspended"].includes(of.field);
  return { gives: isState ? ("boolean" as const) : ("text" as const) };
}

/** A site that calls, as a site file says it: the address is this box's own. */
export const reached: Reach = ({ host, port }) => ({ host: host ?? "0.0.0.0", port });
