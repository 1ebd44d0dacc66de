import { isIP } from "node:net";
import { z } from "zod";
import type { Wire, Reach } from "../../gateway/driver.ts";
import { parsePick } from "./pick.ts";

/** Settings and addresses of HTTP devices. Secrets and certificates come as text: `${secret:x}`, `${file:ca.pem}`. */

const durationMs = z
  .union([
    z.number().int().positive(),
    z
      .string()
      .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, { error: 'write a time span with its unit, such as "500ms"' }),
  ])
  .transform((value) => {
    if (typeof value === "number") return value;
    const [, amount = "", unit = ""] = /^([\d.]+)(\w+)$/.exec(value) ?? [];
    return Number(amount) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1);
  });
const atMost = (mostMs: number, what: string) =>
  durationMs.refine((ms) => ms >= 10 && ms <= mostMs, { error: `expected a time span up to ${what}` });

const pem = z
  .string()
  .max(65_536)
  .regex(/-----BEGIN [A-Z0-9 ]+-----/, {
    error: 'expected a PEM text: "${file:ca.pem}" reads it from a file',
  });
const secret = z.string().min(1).max(4096);
const headerName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/);
/** What frames a message, says who we are or where it goes has a setting of its own, or is the driver's to say. */
const reserved =
  /^(host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|authorization|proxy-.*|cookie|accept-encoding|range|if-.*)$/i;
const variableName = z.string().regex(/^[a-zA-Z]\w{0,31}$/);

const pickText = z
  .string()
  .refine((text) => parsePick(text) !== undefined, {
    error:
      'expected a place in the document, such as "$.lamps[?id=7].dim", "$.rows[0].value" or "$[-1].level"',
  })
  .describe("members, indexes and filters for equality from the document's root $");

const path = z
  .string()
  .max(512)
  .regex(/^\/(?!\/)[^\s#\\\p{Cc}]*$/u, { error: 'expected a path from "/", without host and "#"' });

const auth = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("basic"), user: z.string().min(1), password: secret }),
  z.strictObject({ type: z.literal("digest"), user: z.string().min(1), password: secret }),
  z.strictObject({ type: z.literal("bearer"), token: secret }),
  z.strictObject({ type: z.literal("header"), name: headerName, value: secret }).describe("an API key"),
]);

const tls = z
  .strictObject({
    ca: pem.optional().describe("trusted instead of the system's authorities"),
    pin: z
      .string()
      .regex(/^sha256:(?:[0-9a-fA-F]{2}:?){32}$/, { error: 'expected "sha256:" and 32 bytes in hex' })
      .optional()
      .describe("fingerprint of the very certificate; nothing else of it is then checked"),
    cert: pem.optional().describe("our certificate, where the device asks for one"),
    key: pem.optional(),
    serverName: z.string().optional().describe("the name in the certificate, where it is not the host"),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: "cert and key belong together",
  });

function isCharset(label: string): boolean {
  try {
    return new TextDecoder(label).encoding !== "";
  } catch {
    return false;
  }
}

function isListenable(text: string): boolean {
  const [, four, six, port] = /^(?:([\d.]+)|\[([\da-f:]+)\]):(\d{1,5})$/i.exec(text) ?? [];
  return isIP(four ?? six ?? "") !== 0 && Number(port) >= 1 && Number(port) <= 65_535;
}

const webhook = z.strictObject({
  listen: z
    .string()
    .regex(/^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:]+\]):\d{1,5}$/, {
      error: 'expected an address of this box and a port, such as "192.168.1.5:8443"',
    })
    .refine(isListenable, { error: "there is no such address or port" })
    .describe("devices may share it"),
  token: z
    .string()
    .regex(/^[\w-]{16,128}$/, { error: 'expected 16 to 128 letters, digits, "-" and "_"' })
    .describe("the device posts to /hook/<token>; a secret, one for each device"),
  signature: z
    .strictObject({ header: headerName.default("X-Hub-Signature-256"), key: secret })
    .optional()
    .describe("HMAC-SHA-256 of the body in hex, with or without `sha256=` before it"),
  id: pickText
    .optional()
    .describe("messages have a name there: the same one that comes again is not told again"),
  time: pickText.optional().describe("when it was sent: an old message is refused, whoever sends it again"),
  ageMax: atMost(86_400_000, "24h").default(600_000).describe("of a message with such a time"),
  perMinuteMax: z.int().min(1).max(60_000).default(600),
  tls: z
    .strictObject({ cert: pem, key: pem, clientCa: pem.optional() })
    .optional()
    .describe("clientCa: devices need a certificate that it has signed"),
});

export const settings = z
  .strictObject({
    host: z
      .string()
      .regex(/^[A-Za-z0-9._-]+$|^[0-9a-fA-F:]+:[0-9a-fA-F:.]*(%[\w.-]+)?$/, {
        error: 'expected a name or an address, without "http://" and path',
      })
      .optional()
      .describe("not needed for a device that only posts"),
    port: z.int().min(1).max(65_535).optional().describe("80, with tls 443"),
    basePath: z
      .string()
      .max(256)
      .regex(/^(\/[^\s#?\\/]+)*$/, { error: 'expected a path without "/" at its end' })
      .default("")
      .describe("before the path of every address"),
    tls: tls.optional().describe("https; {} trusts the system's authorities"),
    auth: auth.optional(),
    insecure: z
      .literal("acknowledged")
      .optional()
      .describe("a password or token, also that of a webhook, may go over the wire in clear"),
    headers: z
      .record(
        headerName,
        z
          .string()
          .max(1024)
          .regex(/^[ -~]*$/),
      )
      .refine((given) => !Object.keys(given).some((name) => reserved.test(name)), {
        error: 'a header of this name cannot be set here: a login belongs under "auth"',
      })
      .default({})
      .describe("sent with each request"),
    timeout: atMost(14_000, "14s").default(5000).describe("for one whole answer"),
    bodyBytesMax: z.int().min(1024).max(8_388_608).default(262_144).describe("also of what is unpacked"),
    keepAlive: z.boolean().default(true).describe("false: a connection for each request"),
    conditional: z
      .boolean()
      .default(true)
      .describe(
        "a document is as old as its last change (ETag, Last-Modified), and asked for only if it has changed; false: it is fresh each time",
      ),
    shared: z
      .boolean()
      .default(false)
      .describe("devices behind the same host and port are asked one at a time"),
    format: z.enum(["json", "xml", "csv"]).default("json").describe("of paths that do not say their own"),
    contentTypes: z
      .array(z.string())
      .max(8)
      .default([])
      .describe("taken besides the usual ones of the format"),
    separator: z.enum([",", ";", "\t", "|"]).default(",").describe("between the cells of CSV"),
    csvHeader: z.boolean().default(true).describe("the first line of CSV names the columns"),
    decimal: z.enum([".", ","]).default(".").describe("of numbers in text"),
    charset: z
      .string()
      .refine(isCharset, { error: 'expected a character set, such as "windows-1258" or "utf-16le"' })
      .optional()
      .describe("of CSV and XML that do not say their own; not given: UTF-8"),
    utcOffset: z
      .string()
      .regex(/^[+-](0\d|1[0-4]):[0-5]\d$/, { error: 'expected an offset such as "+07:00"' })
      .optional()
      .describe("of times without a zone; not given: such times are not believed"),
    staleAfter: atMost(604_800_000, "168h")
      .optional()
      .describe("a value that is older by the device's own time is uncertain"),
    variables: z
      .record(variableName, z.string().min(1).max(128))
      .default({})
      .describe("stand for {name} in paths and filters"),
    webhook: webhook.optional(),
  })
  .superRefine((value, context) => {
    const complain = (at: string, message: string) =>
      context.addIssue({ code: "custom", path: [at], message });
    if (value.host === undefined && value.webhook === undefined)
      complain("host", "a device has a host that is asked, or a webhook to which it posts, or both");
    const isClear = value.auth !== undefined && value.auth.type !== "digest" && value.tls === undefined;
    const { listen, tls: hookTls, signature } = value.webhook ?? {};
    const isHeard = listen !== undefined && hookTls === undefined && signature === undefined;
    if (isHeard && !/^(127\.|\[::1\])/.test(listen) && value.insecure === undefined)
      complain(
        "webhook",
        'its token would go over the wire in clear: add "tls" or "signature", or "insecure: acknowledged"',
      );
    if (isClear && value.insecure === undefined)
      complain("auth", 'it would go over the wire in clear: add "tls", or "insecure: acknowledged"');
  });

const write = z
  .strictObject({
    method: z.enum(["PUT", "POST", "PATCH"]).default("PUT"),
    path: path.optional().describe("where it is not the path that is read"),
    body: z.unknown().describe('JSON in which one member is "{value}"'),
  })
  .refine(({ body }) => JSON.stringify(body ?? null).split('"{value}"').length === 2, {
    error: 'expected a body with "{value}" in one place',
    path: ["body"],
  });

export const address = z
  .strictObject({
    path: path.optional().describe("what is asked; not given: the value is in what the device posts"),
    pick: pickText.default("$"),
    type: z.enum(["number", "boolean", "text"]).default("number"),
    format: z.enum(["json", "xml", "csv"]).optional(),
    time: pickText
      .optional()
      .describe("the device's own time of the value: ISO 8601, or seconds or ms since 1970"),
    write: write.optional(),
  })
  .superRefine((value, context) => {
    if (value.path === undefined && value.format !== undefined)
      context.addIssue({ code: "custom", path: ["format"], message: "only with a path" });
  });

/** Where a pretend device posts what it tells. */
export const example = { webhook: { listen: "127.0.0.1:18080", token: "pretend-device-token" } };

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;

/** Whom to trust, and who kerb is, is the site's to say and no profile's. */
export const siteOnly = ["tls", "auth", "insecure", "webhook"] as const;

/** A document says what it likes within its type: for the lint. */
export function facts({ type }: Address) {
  return { gives: type };
}

/** The bytes between kerb and a device that is asked; those that it posts by itself come to another port. */
export function wire(given: Settings): Wire<Settings> {
  const { host, tls: own, ...rest } = given;
  const { port = own === undefined ? 80 : 443 } = given;
  if (host === undefined) {
    const en = "it posts by itself, and only what is asked for can be recorded";
    const cure = "keep one of its posts, and post it to a test gateway: curl --data @FILE";
    return {
      over: "none",
      cannot: { en, vi: "thiết bị tự gửi, chỉ ghi được những gì kerb hỏi" },
      cure: { en: cure, vi: "hãy lưu một lần gửi của nó rồi gửi lại đến gateway thử: curl --data @FILE" },
    };
  }
  const plain = { over: "tcp", host, port } as const;
  if (own === undefined) return { ...plain, moved: (place) => ({ ...given, ...place }) };
  return {
    ...plain,
    moved: (place) => ({ ...rest, ...place }),
    reach: async () => (await import("./socket.ts")).reach(given),
    instead: { tls: undefined, ...(given.auth === undefined ? {} : { insecure: "acknowledged" }) },
  };
}

/** A device at an address, as a site file says it. */
export const reached: Reach = ({ host, port, user, password }) => ({
  host,
  port,
  auth: user === undefined ? undefined : { type: "basic", user, password },
});
