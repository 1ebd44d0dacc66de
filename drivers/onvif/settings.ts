import { z } from "zod";
import type { Wire, Reach } from "../../gateway/driver.ts";
import { face } from "./face.ts";

/** Settings and addresses of ONVIF cameras (ONVIF Core 26.06; profiles T, M and G). */

function span(leastMs: number, mostMs: number) {
  return z
    .union([
      z.number().int(),
      z.string().regex(/^\d+(\.\d+)?(ms|s|m|min)$/, {
        error: 'write a time span with its unit, such as "5s"',
      }),
    ])
    .transform((value) => {
      if (typeof value === "number") return value;
      const unit = value.endsWith("ms") ? 1 : value.endsWith("s") ? 1000 : 60_000;
      return Number.parseFloat(value) * unit;
    })
    .refine((ms) => ms >= leastMs && ms <= mostMs, {
      error: `expected a time span from ${leastMs} ms to ${mostMs / 1000} s`,
    });
}

/** What cameras leave the factory with: half of the world's scanners try these first. */
const factoryPasswords = new Set([
  "",
  "admin",
  "12345",
  "123456",
  "888888",
  "666666",
  "password",
  "pass",
  "root",
  "user",
  "camera",
  "system",
  "supervisor",
  "4321",
  "1111",
  "9999",
  "meinsm",
  "hikadmin",
]);

const tls = z
  .strictObject({
    ca: z.string().min(1).max(1000).optional().describe("PEM file: who vouches for the camera"),
    pin: z
      .string()
      .regex(/^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/, {
        error: "the SHA-256 fingerprint of the camera's certificate: 64 hex digits",
      })
      .transform((text) => text.replaceAll(":", "").toLowerCase())
      .optional()
      .describe("the very certificate, also one that the camera has signed itself"),
    serverName: z.string().min(1).max(253).optional().describe("the name in the certificate, if not `host`"),
  })
  .refine(({ ca, pin }) => ca === undefined || pin === undefined, {
    path: ["pin"],
    error: "write either ca or pin: a pinned certificate needs nobody to vouch for it",
  });

export const settings = z
  .strictObject({
    host: z.string().min(1).max(253).describe("the only machine that is ever contacted for this camera"),
    port: z.int().min(1).max(65535).optional().describe("default 80, with tls 443"),
    ports: z
      .array(z.int().min(1).max(65535))
      .max(4)
      .default([])
      .describe("other ports of `host` that addresses given by the camera may name; else its own is called"),
    tls: tls.optional().describe("HTTPS: without ca and pin the system's authorities vouch for the camera"),
    user: z.string().min(1).max(100).optional(),
    password: z.string().max(200).optional().describe("as a reference: ${secret:NAME}"),
    auth: z
      .enum(["auto", "digest", "ws-token", "none"])
      .default("auto")
      .describe("auto: HTTP digest where the camera asks for it, else WS-UsernameToken; never in the clear"),
    timeout: span(50, 8000).prefault("4s").describe("longest wait for the whole answer to one request"),
    pull: span(100, 60_000).prefault("20s").describe("how long the camera may hold an empty event answer"),
    batch: z
      .int()
      .min(1)
      .max(100)
      .default(20)
      .describe("events in one answer at most: fewer for cameras that put pictures into them"),
    lifetime: span(1000, 3_600_000).prefault("60s").describe("after which an abandoned subscription ends"),
    termination: z
      .enum(["absolute", "relative"])
      .default("absolute")
      .describe("how the end of a subscription is written; older cameras refuse relative"),
    rtspProbe: z.boolean().default(true).describe("false: the RTSP server is never asked"),
    rtspPort: z.int().min(1).max(65535).optional().describe("default 554"),
    servicePath: z
      .string()
      .regex(/^\/[\w./-]{0,200}$/, { error: "expected a path such as /onvif/device_service" })
      .default("/onvif/device_service"),
  })
  .superRefine(({ user, password, auth }, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if ((user === undefined) !== (password === undefined))
      complain(user === undefined ? "user" : "password", "user and password go together");
    if (user === undefined && (auth === "digest" || auth === "ws-token"))
      complain("user", `auth: ${auth} needs user and password`);
    if (password !== undefined && (factoryPasswords.has(password.toLowerCase()) || password === user))
      complain("password", "this is a factory password: give the camera one of its own first");
  })
  .transform((given) => ({ ...given, port: given.port ?? (given.tls === undefined ? 80 : 443) }));

const name = z.string().min(1).max(100);

export const address = z
  .strictObject({
    reading: z
      .enum(["clock-skew", "reachability", "recording", "rtsp", "video"])
      .optional()
      .describe("what is asked for: seconds that the camera's clock is ahead, DESCRIBE answered …"),
    topic: z
      .string()
      .regex(/^([\w:.-]+|\*)(\/([\w:.-]+|\*))*$/, {
        error: 'write a topic without "tns1:", such as VideoSource/SignalLoss; * stands for one part',
      })
      .max(200)
      .optional()
      .describe("what the camera tells: the topic of its event"),
    item: name
      .optional()
      .describe("name of the value in the event, a/b inside an element; for video framerate, width, height"),
    part: z.enum(["source", "key", "data"]).optional().describe("where in the event, if not in either"),
    source: z
      .record(name, z.string().max(100))
      .optional()
      .describe("only events with these source or key items"),
    token: name.optional().describe("which video source or recording job, if not the first"),
    type: z.enum(["text", "number", "boolean", "time"]).default("text"),
  })
  .superRefine(({ reading, topic, item }, context) => {
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (reading !== undefined && topic !== undefined) complain("topic", "a reading has no topic");
    if (reading === undefined && topic === undefined && item === undefined)
      complain("topic", "write reading, topic or item");
    if (reading === "video" && !["framerate", "width", "height"].includes(item ?? ""))
      complain("item", "one of framerate, width, height");
  });

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;

/** Number plates, and what is told of faces: only as a field with a privacy. */
export function personal({ item = "", part, topic }: Address, record?: Address): boolean {
  const isFace = face.test(`${record?.topic ?? ""} ${topic ?? ""} ${item}`);
  return (isFace && part !== "source") || /plate(?:no|nr|num|number|text|value)?$/i.test(item);
}

/** Whom to trust, and who kerb is, is the site's to say and no profile's. */
export const siteOnly = ["user", "password", "auth"] as const;

const asked = {
  "clock-skew": { gives: "number", isWhole: true },
  reachability: { gives: "boolean" },
  recording: { gives: "text" },
  rtsp: { gives: "boolean" },
  video: { gives: "number", raw: [0, Infinity] },
} as const;

/** What a camera is asked for has a kind of its own; an event's item is what the address makes of it: for the lint. */
export function facts({ reading, type }: Address) {
  if (reading !== undefined) return asked[reading];
  if (type === "time") return { gives: "text" as const };
  return { gives: type };
}

/** The bytes between kerb and a camera; those of its RTSP server are others. */
export function wire(given: Settings): Wire<Settings> {
  const { host, port } = given;
  if (given.tls !== undefined) {
    const en = "it speaks TLS, and the addresses that it tells lead to itself, past any tap";
    const vi = "thiết bị dùng TLS, và các địa chỉ nó trả về dẫn đến chính nó";
    const cure = {
      en: "record it in clear, where the camera speaks HTTP too: leave tls out for as long as that takes",
      vi: "hãy ghi không mã hóa nếu camera cũng dùng HTTP: tạm bỏ tls trong lúc ghi",
    };
    return { over: "none", cannot: { en, vi }, cure };
  }
  return { over: "tcp", host, port, moved: (place) => ({ ...given, ...place }) };
}

/** A camera at an address, as a site file says it. */
export const reached: Reach = ({ host, port, user, password }) => ({ host, port, user, password });
