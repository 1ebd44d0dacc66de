import { z } from "zod";

/** What a commissioning report says: one JSON value, which the box signs and of which the other forms are made. */

const text = z.string();
const both = z.strictObject({ en: text, vi: text }).describe("a sentence in both languages");
const time = z.iso.datetime();
const count = z.int().min(0);
const nullable = <Schema extends z.ZodType>(schema: Schema) => schema.nullable();

const problem = z.strictObject({
  severity: z.enum(["blocking", "warning"]),
  code: text.describe("kerb explain CODE"),
  about: z.enum(["gateway", "box", "uplink", "driver", "device"]),
  object: nullable(text).describe("which uplink, driver or device"),
  title: both,
  seen: both,
  likely: both,
  do: both,
  behind: z.array(text).optional().describe("devices that went with it, and are not listed by themselves"),
});

const point = z.strictObject({
  name: text,
  label: nullable(both),
  unit: text.describe("UCUM"),
  decimals: nullable(z.int()),
  value: z.union([z.number(), z.string(), z.boolean(), z.null()]),
  text: nullable(both).describe("what the state is called"),
  quality: z
    .enum(["good", "uncertain", "bad", "unheard", "unread"])
    .describe("unheard: the device tells it by itself and has not yet; unread: the device was not reached"),
  code: nullable(text),
  reason: nullable(text),
  time: nullable(time),
  ageMs: nullable(z.number()).describe("when the report was made"),
  address: text,
  limits: nullable(z.tuple([z.number(), z.number()])).describe(
    "of the profile: what such a sensor can measure",
  ),
  outside: z.boolean().describe("the value lies outside the limits"),
});

const books = z.strictObject({ accepted: count, delivered: count, kept: count, dropped: count });

const tests = z.strictObject({
  read: nullable(
    z.strictObject({ asked: count, answered: count, good: count, latencyMs: z.number() }),
  ).describe("one reading of all points; null: it was not tried, or it failed"),
  readFailure: nullable(text),
  identity: z
    .enum(["matches", "differs", "untold", "unknowable", "other-unit", "unasked"])
    .describe(
      "unknowable: the profile does not know what such a device says of itself; other-unit: not the one that was there first",
    ),
  polls: nullable(
    z.strictObject({
      polls: count,
      answered: count,
      failed: count,
      missed: count,
      lossPercent: z.number(),
      meanMs: nullable(z.number()),
    }),
  ).describe("since the gateway started"),
  write: nullable(
    z.strictObject({
      id: text,
      at: time,
      state: z.enum(["done", "failed"]),
      args: z.record(text, z.unknown()),
      readBack: nullable(z.record(text, z.unknown())),
      by: nullable(text),
    }),
  ).describe("the newest in the journal of commands"),
});

const device = z.strictObject({
  id: text,
  name: text,
  driver: text,
  address: text,
  verdict: z.enum(["ok", "failing", "not-commissioned"]),
  state: z
    .enum(["online", "lost", "wrong-device", "quarantined", "starting", "listening", "disabled", "unknown"])
    .describe("unknown: the running gateway does not know it"),
  code: nullable(text),
  reason: nullable(text),
  identity: z.strictObject({
    vendor: nullable(text),
    model: nullable(text),
    firmware: nullable(text),
    serial: nullable(text),
    more: z.record(text, text),
  }),
  profile: nullable(
    z.strictObject({
      id: text,
      vendor: text,
      model: text,
      status: nullable(text).describe("how well it is founded"),
      firmware: text.describe("the versions that it is for"),
      covers: z.enum(["inside", "outside", "untold"]).describe("how the device's firmware lies to them"),
      reasons: z.array(both),
    }),
  ),
  writable: z.boolean(),
  unwritable: nullable(text),
  tests,
  events: nullable(books).describe("of this outbox, since its first day"),
  points: z.array(point),
});

const uplink = z.strictObject({
  id: text,
  url: text,
  encoding: text,
  custody: text,
  state: text,
  since: time,
  reason: nullable(text),
  receiver: text,
  lastAcknowledgement: nullable(time),
});

export const reportSchema = z.strictObject({
  kind: z.literal("kerb-commissioning-report"),
  version: z.literal(1),
  made: z.strictObject({
    at: time,
    local: text.describe("the same moment with the box's offset"),
    timeZone: text.describe("the box's, IANA"),
  }),
  about: z.strictObject({
    contract: nullable(text),
    contractor: nullable(text),
    acceptedBy: nullable(text),
    note: nullable(text),
  }),
  site: z.strictObject({ gateway: text, name: text, city: text }),
  box: z.strictObject({
    kerb: text,
    via: z.enum(["gateway", "direct"]).describe("direct: no gateway ran, kerb read the devices itself"),
    startedAt: nullable(time),
    clock: z.enum(["synced", "holdover", "unsynced"]),
    diskFreeBytes: nullable(z.number()),
    outbox: nullable(
      books.extend({ closes: nullable(z.boolean()), bytes: z.number(), bytesMax: z.number() }),
    ),
    uplinks: z.array(uplink),
    audit: z
      .enum(["none", "whole", "broken", "unread"])
      .describe("the journal of commands; unread: this user may not read it"),
  }),
  summary: z.strictObject({
    devices: count,
    ok: count,
    failing: count,
    notCommissioned: count,
    blocking: count,
    warnings: count,
  }),
  problems: z.array(problem).describe("the blocking ones first"),
  devices: z.array(device),
  missing: z.array(z.enum(["gateway", "books", "audit", "readings"])).describe("what could not be asked"),
  parts: z.record(text, text).describe("SHA-256 of the canonical JSON of each part: where it was altered"),
});

export const signedReportSchema = z.strictObject({
  report: reportSchema,
  sha256: text.regex(/^[0-9a-f]{64}$/).describe("of the canonical JSON (RFC 8785) of the report"),
  publicKey: nullable(text).describe("of the box: Ed25519, 32 bytes in base64; null: not signed"),
  signature: nullable(text).describe('base64; over the text "kerb-report sha256:HEX"'),
});

export type Report = z.infer<typeof reportSchema>;
export type SignedReport = z.infer<typeof signedReportSchema>;
export type ReportDevice = Report["devices"][number];
export type ReportPoint = ReportDevice["points"][number];
export type Problem = Report["problems"][number];
export type Both = z.infer<typeof both>;
