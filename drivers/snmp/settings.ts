import { z } from "zod";
import type { Wire, Reach } from "../../gateway/driver.ts";

/** Settings and addresses of SNMP devices. OIDs are written whole and without a leading dot: 1.3.6.1.2.1.1.1.0. */

function span(lowestMs: number, highestMs: number) {
  return z
    .union([
      z.number().int(),
      z
        .string()
        .regex(/^\d+(\.\d+)?(ms|s|m)$/, { error: 'write a time span with its unit, such as "500ms"' }),
    ])
    .transform((value) => {
      if (typeof value === "number") return value;
      const factor = value.endsWith("ms") ? 1 : value.endsWith("s") ? 1000 : 60_000;
      return Number.parseFloat(value) * factor;
    })
    .refine((value) => value >= lowestMs && value <= highestMs, {
      error: `expected a time span from ${lowestMs}ms to ${highestMs / 1000}s`,
    });
}

/** A number above 4294967295 would be sent as a smaller one: each OID has one way of writing. */
const isInRange = (text: string): boolean =>
  text.startsWith("scn:") || text.split(".").every((arc) => arc === "{row}" || Number(arc) <= 4_294_967_295);

const oidError = 'an OID is written in numbers without a leading dot or zero, such as "1.3.6.1.2.1.1.3.0"';
/** An OID of the tree of SNMP; `{row}` stands for the row of the device in its tables. */
const oid = z
  .string()
  .regex(/^1\.3(\.(0|[1-9]\d{0,9}))*(\.\{row\})?$/, { error: oidError })
  .refine(isInRange, { error: oidError });

const password = z.string().min(8, { error: "SNMPv3 passwords have at least 8 characters (RFC 3414)" });

const security = z
  .strictObject({
    user: z.string().min(1).max(32),
    auth: z.enum(["md5", "sha", "sha224", "sha256", "sha384", "sha512"]).optional(),
    authPassword: password.optional().describe("as a reference: ${secret:NAME}"),
    priv: z
      .enum(["des", "aes", "aes256b", "aes256r"])
      .optional()
      .describe("aes: 128 bits; aes256b and aes256r: 256 bits, keys after Blumenthal or Reeder (Cisco)"),
    privPassword: password.optional().describe("as a reference: ${secret:NAME}"),
    context: z.string().max(32).default(""),
  })
  .superRefine(({ auth, authPassword, priv, privPassword }, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (priv !== undefined && auth === undefined)
      complain("priv", "privacy needs authentication: name `auth` too");
    if ((auth === undefined) !== (authPassword === undefined))
      complain("authPassword", "`auth` and `authPassword` belong together");
    if ((priv === undefined) !== (privPassword === undefined))
      complain("privPassword", "`priv` and `privPassword` belong together");
  });

const sign = z.strictObject({
  memory: z.enum(["changeable", "volatile"]).default("changeable"),
  number: z.int().min(1).max(65_535).default(1).describe("row of the message table that kerb writes to"),
  duration: z.int().min(1).max(65_535).default(60).describe("minutes; 65535 = for ever"),
  activationPriority: z.int().min(1).max(255).default(128),
  runTimePriority: z.int().min(1).max(255).default(128),
  beacon: z.boolean().default(false),
  owner: z.string().max(127).default("kerb"),
  validateTimeout: span(500, 60_000).default(10_000).describe("how long the sign may think about a message"),
  charset: z.enum(["latin1", "utf8"]).default("latin1").describe("how the sign reads the octets of MULTI"),
  stripDiacritics: z.boolean().default(false).describe('write "Đường đông" as "Duong dong"'),
  checkFont: z.boolean().default(true).describe("ask the sign's font for each character first"),
});

const ip = z.union([z.ipv4(), z.ipv6()], { error: "write an IP address, such as 192.168.1.22" });

const notifications = z.strictObject({
  address: ip.default("0.0.0.0").describe("own address to listen at"),
  port: z.int().min(1).max(65_535).default(162).describe("below 1024 kerb needs CAP_NET_BIND_SERVICE"),
  community: z.string().min(1).optional().describe("if not the one for reading"),
  from: ip.optional().describe("address from which they come, if not the device's own"),
});

const rowError = 'a row is the end of an OID ("1.5.49.49") or "scn:11011"';

export const settings = z
  .strictObject({
    host: z.string().min(1),
    port: z.int().min(1).max(65_535).default(161),
    version: z.enum(["1", "2c", "3"]).default("2c"),
    community: z.string().min(1).max(255).default("public"),
    writeCommunity: z.string().min(1).max(255).optional().describe("if not the one for reading"),
    security: security.optional().describe("version 3"),
    timeout: span(50, 60_000).default(2000).describe("longest wait for the answer to one request"),
    maxOidsPerPdu: z
      .int()
      .min(1)
      .max(60)
      .default(1)
      .describe("objects in one request; more than 1 is not safe on every controller"),
    row: z
      .string()
      .regex(/^((0|[1-9]\d{0,9})(\.(0|[1-9]\d{0,9}))*|scn:[ -~]{1,32})$/, { error: rowError })
      .refine(isInRange, { error: rowError })
      .optional()
      .describe("what stands for {row} in OIDs; without it the device is asked"),
    rowColumn: oid.optional().describe("column whose first row is {row}"),
    identify: z
      .array(z.enum(["entity", "ntcip", "ups", "utmc", "teltonika"]))
      .default(["entity", "ntcip", "ups", "utmc", "teltonika"])
      .describe("where to ask who the device is, besides the system group"),
    charset: z.enum(["utf8", "latin1"]).default("utf8").describe("of texts"),
    sign: sign.prefault({}),
    notifications: notifications.optional().describe("traps and informs; without it none are heard"),
  })
  .superRefine(({ version, security: given, row, rowColumn }, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (version === "3" && given === undefined) complain("security", "version 3 needs a user");
    if (version !== "3" && given !== undefined) complain("security", 'only for version "3"');
    if (row !== undefined && rowColumn?.includes("{row}"))
      complain("rowColumn", "names a column, without {row}");
  });

const kinds = ["oid", "states", "walk", "measure", "sign", "notification"] as const;

export const address = z
  .strictObject({
    oid: oid.optional().describe("one object"),
    states: z
      .record(z.string().regex(/^[a-z][a-zA-Z]*$/), oid)
      .optional()
      .describe("name of a state → bitmap in which `bit` is set while it lasts"),
    walk: oid.optional().describe("a column of a table"),
    measure: z
      .enum(["cycle", "sweep"])
      .optional()
      .describe(
        "cycle: s from one reading of this point's class to the next; sweep: s that one reading took",
      ),
    sign: z
      .literal("message")
      .optional()
      .describe("what a message sign shows (NTCIP 1203); written: shows MULTI"),
    notification: oid.optional().describe("a record: the notification's OID"),
    type: z
      .enum(["auto", "number", "text", "hex", "bcd", "bits", "stage", "oid"])
      .default("auto")
      .describe("how the value is read: stage is the number of the one bit that is set (UG405)"),
    syntax: z
      .enum(["integer", "gauge", "counter", "counter64", "ticks", "octets", "ip", "oid", "float"])
      .optional()
      .describe("how the device tells it, where that is not plain from `type`; a write uses it"),
    bit: z.int().min(0).max(511).optional().describe("0 = lowest bit of the number, or of the first octet"),
    width: z
      .int()
      .min(2)
      .max(64)
      .optional()
      .describe("bits from `bit` on that belong together: true if any is set (samples of one detector)"),
    order: z
      .enum(["first-octet-low", "last-octet-low", "bits"])
      .optional()
      .describe("of octets in a bitmap; bits: the BITS of SMIv2, 0 = highest bit of the first octet"),
    take: z.enum(["count", "list"]).optional().describe("walk: how many rows, or their values"),
  })
  .superRefine((value, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    const named = kinds.filter((kind) => value[kind] !== undefined);
    if (named.length !== 1) complain("oid", `name exactly one of ${kinds.join(", ")}`);
    const needsBit = value.states !== undefined || value.type === "bits";
    if (needsBit && value.bit === undefined) complain("bit", "which bit of the bitmap");
    if (!needsBit && value.bit !== undefined) complain("bit", "only for type bits and for states");
    if (value.type !== "bits" && value.width !== undefined) complain("width", "only for type bits");
    if (value.states !== undefined && Object.keys(value.states).length < 2)
      complain("states", "one object for each of at least two states");
    if (value.walk !== undefined && value.take === undefined) complain("take", "count or list");
    if (value.walk === undefined && value.take !== undefined) complain("take", "only for a walk");
  });

/** Numbers of SMIv2's base types (RFC 2578, clause 7.1). */
const counted = { gives: "number", raw: [0, 2 ** 32 - 1], isWhole: true } as const;
const syntaxes = {
  integer: { gives: "number", raw: [-(2 ** 31), 2 ** 31 - 1], isWhole: true },
  gauge: counted,
  counter: counted,
  ticks: counted,
  counter64: { ...counted, raw: [0, 2 ** 64] },
  float: { gives: "number" },
  ip: { gives: "text" },
  oid: { gives: "text" },
} as const;
const byType = {
  text: { gives: "text" },
  hex: { gives: "text" },
  oid: { gives: "text" },
  bcd: { ...counted, raw: [0, 999_999_999_999_999] },
  bits: { gives: "boolean" },
  // A bitmap in octets has no end of its own; the simulator's and kerb's is 64 octets.
  stage: { ...counted, raw: [0, 512] },
} as const;

/** What an address and its syntax can answer; without a syntax a number is what the agent says: for the lint. */
export function facts({ states, walk, take, measure, sign: shows, notification, type, syntax }: Address) {
  if (states !== undefined) return { gives: "text" as const, words: [...Object.keys(states), "dark"] };
  if (walk !== undefined) return take === "count" ? counted : { gives: "text" as const };
  if (measure !== undefined) return { gives: "number" as const, raw: [0, Infinity] as const };
  if (shows !== undefined) return { gives: "text" as const };
  if (notification !== undefined) return {};
  if (type !== "auto" && type !== "number") return byType[type];
  // A text may hold a number, and octets may be a text.
  const own = syntax === undefined || syntax === "octets" ? undefined : syntaxes[syntax];
  return type === "number" ? { ...own, gives: "number" as const } : (own ?? {});
}

/** Where a pretend device sends its notifications: port 162 would need root to listen at. */
export const example = { notifications: { address: "127.0.0.1", port: 1620 } };

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;
export type SignSettings = Settings["sign"];

/** The bytes between kerb and an agent; its notifications come to another port. */
export function wire(given: Settings): Wire<Settings> {
  const { host, port, version } = given;
  if (version === "3") {
    const en = "SNMPv3 signs or encrypts each message with keys made of its passwords";
    const vi = "SNMPv3 ký hoặc mã hóa từng thông điệp bằng khóa tạo từ mật khẩu";
    const cure = {
      en: "record it with version 2c and a community for reading, if the agent may have one for a while",
      vi: "hãy ghi bằng phiên bản 2c với community chỉ đọc, nếu tạm bật được trên thiết bị",
    };
    return { over: "none", cannot: { en, vi }, cure };
  }
  return { over: "udp", host, port, moved: (place) => ({ ...given, ...place }) };
}

/** An agent at an address, as a site file says it: who logs in does so by version 3. */
export const reached: Reach = ({ host, port, user, password: authPassword }) => ({
  host,
  port,
  ...(user === undefined ? {} : { version: "3", security: { user, auth: "sha", authPassword } }),
});
