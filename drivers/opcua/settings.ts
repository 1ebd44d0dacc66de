import { z } from "zod";
import { urlOf } from "./url.ts";
import type { Wire, WireEar, WirePlace, Reach } from "../../gateway/driver.ts";

/** Settings and addresses of OPC UA servers (OPC 10000-4, -6). */

const durationMs = z
  .union([
    z.number().int().positive(),
    z.string().regex(/^\d+(\.\d+)?(ms|s|m)$/, { error: 'write a time span with its unit, such as "500ms"' }),
  ])
  .transform((value) => {
    if (typeof value === "number") return value;
    const factor = value.endsWith("ms") ? 1 : value.endsWith("s") ? 1000 : 60_000;
    return Number.parseFloat(value) * factor;
  });

const nodeId = z
  .string()
  .max(1000)
  .refine((text) => !text.startsWith("ns="), {
    error: 'a namespace index changes when the server starts; write its URI: "nsu=http://…;s=…"',
  })
  .refine((text) => /^(nsu=[^;]+;)?(i=\d+|s=.+|g=[0-9a-fA-F-]{36}|b=[A-Za-z0-9+/=]+)$/.test(text), {
    error: 'a node is written as "i=2258" or "nsu=http://…;s=Line1.Speed"',
  });

const path = z
  .string()
  .max(1000)
  .regex(/^[^/]+(\/[^/]+)*$/, {
    error: 'browse names with "/" between them, such as "di:Identification/di:Manufacturer"',
  });

const integers = ["SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64"] as const;
const scalar = z.enum([
  "Boolean",
  ...integers,
  "Float",
  "Double",
  "String",
  "DateTime",
  "Guid",
  "ByteString",
  "LocalizedText",
]);

export const settings = z
  .strictObject({
    endpoint: z
      .string()
      .regex(/^opc\.tcp:\/\/[^\s/]+(\/\S*)?$/, { error: 'write "opc.tcp://host:4840/path"' })
      .optional()
      .describe("instead of host, port and path"),
    host: z.string().min(1).optional(),
    port: z.int().min(1).max(65535).default(4840),
    path: z.string().default("").describe("behind host and port: /UA/Server"),
    security: z
      .enum(["sign-and-encrypt", "sign", "none"])
      .default("sign-and-encrypt")
      .describe("none: everybody on the network can read and forge"),
    policy: z
      .enum(["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
      .default("Basic256Sha256"),
    pin: z
      .string()
      .regex(/^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/, {
        error: "expected the SHA-256 fingerprint of the server's certificate: 64 hex digits",
      })
      .transform((text) => text.replaceAll(":", "").toLowerCase())
      .optional(),
    trust: z
      .enum(["pinned", "first-use"])
      .default("pinned")
      .describe("first-use: the certificate that is met first is pinned by itself"),
    user: z.string().optional(),
    password: z.string().optional().describe('"${secret:NAME}"'),
    certificate: z.string().optional().describe('X.509 user: PEM, "${file:user.pem}"'),
    key: z.string().optional().describe('X.509 user: PEM of the private key, "${file:user.key}"'),
    timeout: durationMs.default(5000).describe("longest wait for one answer"),
    publishing: durationMs.default(1000).describe("how often changes are told"),
    keepAlive: durationMs.default(10_000).describe("sign of life of a subscription without changes"),
    session: durationMs.default(60_000).describe("how long the server keeps a session that was cut off"),
    root: nodeId.default("i=85").describe("where the paths of addresses begin; i=85 is Objects"),
    namespaces: z
      .record(z.string().regex(/^[a-zA-Z]\w*$/), z.string().min(1))
      .default({})
      .describe('short names of namespace URIs, for paths: "di:Identification"'),
    names: z
      .record(z.string().regex(/^[a-zA-Z]\w*$/), z.string().min(1))
      .default({})
      .describe('what "{name}" in a path stands for at this site'),
  })
  .superRefine((value, context) => {
    const complain = (where: string, message: string) =>
      context.addIssue({ code: "custom", path: [where], message });
    if ((value.endpoint === undefined) === (value.host === undefined))
      complain("endpoint", "write either endpoint or host");
    if (value.pin !== undefined && value.security === "none" && value.user === undefined)
      complain("pin", "without security and user no certificate is asked for");
    if ((value.user === undefined) !== (value.password === undefined))
      complain("password", "user and password belong together");
    if ((value.certificate === undefined) !== (value.key === undefined))
      complain("key", "certificate and key belong together");
    if (value.user !== undefined && value.certificate !== undefined)
      complain("user", "either a password or a certificate");
  });

export const address = z
  .strictObject({
    node: nodeId.optional().describe("by its id"),
    path: path.optional().describe("by browse names, from the setting `root`"),
    field: path.optional().describe("of an event: browse names below the event type"),
    type: scalar.optional().describe("for writing; otherwise the server is asked"),
    index: z.int().min(0).max(100_000).optional().describe("one element of an array"),
    layout: z
      .record(z.string(), scalar)
      .optional()
      .describe("a structure: its members in their order, with their types"),
    member: z.string().optional().describe("which member of the structure"),
    event: nodeId.optional().describe("a record: events of this type, told by the node"),
    method: z.string().optional().describe("a command: browse name of the method to call on the node"),
    sampling: durationMs.optional().describe("default: as often as the server publishes"),
    queue: z.int().min(1).max(1000).default(1).describe("values that the server keeps between two messages"),
    deadband: z
      .number()
      .positive()
      .optional()
      .describe("smaller changes are not sent, in the raw value's unit"),
    deadbandPercent: z.number().positive().max(100).optional().describe("of the node's EURange"),
  })
  .superRefine((value, context) => {
    const complain = (where: string, message: string) =>
      context.addIssue({ code: "custom", path: [where], message });
    const ways = [value.node, value.path, value.field].filter((way) => way !== undefined);
    if (ways.length !== 1) complain("node", "write one of node, path and field");
    if ((value.member === undefined) !== (value.layout === undefined))
      complain("member", "member and layout belong together");
    else if (value.member !== undefined && !Object.hasOwn(value.layout ?? {}, value.member))
      complain("member", "the layout has no such member");
    if (value.deadband !== undefined && value.deadbandPercent !== undefined)
      complain("deadband", "either absolute or in percent");
    if (value.event !== undefined && value.method !== undefined)
      complain("method", "a node tells events or takes commands");
  });

const ranges: Partial<Record<Scalar, readonly [number, number]>> = {
  SByte: [-128, 127],
  Byte: [0, 255],
  Int16: [-0x8000, 0x7fff],
  UInt16: [0, 0xffff],
  Int32: [-(2 ** 31), 2 ** 31 - 1],
  UInt32: [0, 2 ** 32 - 1],
  Int64: [-(2 ** 63), 2 ** 63],
  UInt64: [0, 2 ** 64],
};
const floatMax = 3.402_823_466_385_288_6e38;

/** What a value of the address's own data type can be (OPC 10000-6, 5.2.2); the server says the others: for the lint. */
export function facts({ type, layout, member }: Address) {
  const own = member === undefined ? type : layout?.[member];
  if (own === undefined) return {};
  const raw = ranges[own];
  if (raw !== undefined) return { gives: "number" as const, raw, isWhole: true };
  if (own === "Float") return { gives: "number" as const, raw: [-floatMax, floatMax] as const };
  if (own === "Double") return { gives: "number" as const };
  if (own === "Boolean") return { gives: "boolean" as const };
  return { gives: "text" as const };
}

/** Whom to trust, and who kerb is, is the site's to say and no profile's. */
export const siteOnly = [
  "security",
  "policy",
  "pin",
  "trust",
  "user",
  "password",
  "certificate",
  "key",
] as const;

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;
export type Scalar = z.infer<typeof scalar>;

/** Whom a cassette is played to: nobody is trusted, and nobody logs in. */
const unsaid = {
  endpoint: undefined,
  port: undefined,
  policy: undefined,
  pin: undefined,
  trust: undefined,
  user: undefined,
  password: undefined,
  certificate: undefined,
  key: undefined,
};

/** What is asked and answered in the session, whatever protects it; no two have the same bytes. */
export function wire(given: Settings): Wire<Settings> {
  const { place } = urlOf(given);
  const { host = "", port = "" } = /^\[?(?<host>.*?)\]?:(?<port>\d+)$/.exec(place)?.groups ?? {};
  const moved = (at: WirePlace): Settings => {
    const {
      endpoint: _,
      pin: _pin,
      user: _user,
      password: _word,
      certificate: _own,
      key: _key,
      ...rest
    } = given;
    return { ...rest, ...at, security: "none" };
  };
  const overhear = async (ear: WireEar) => (await import("./overheard.ts")).overhear(place, ear);
  const instead = { ...unsaid, host: "127.0.0.1", security: "none" };
  return { over: "opcua", host, port: Number(port), moved, overhear, instead };
}

/** A server at an address, as a site file says it. */
export const reached: Reach = ({ host, port, user, password }) => ({ host, port, user, password });
