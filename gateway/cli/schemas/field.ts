import { z } from "zod";
import { identityOutput, unwritableOutput } from "./box.ts";
import { matchKind } from "./discover.ts";
import { anything, count, pointValue, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What verbs print of one device. */

const via = z.enum(["gateway", "direct"]);
const both = z.strictObject({ en: text, vi: text });
const status = z.enum(["good", "uncertain", "bad"]);

const reading = z.strictObject({
  point: text,
  value: pointValue.nullable(),
  unit: text.describe("UCUM"),
  decimals: count,
  status,
  code: text.optional(),
  reason: text.optional(),
  timeMs,
  address: text,
  rawHex: text.optional(),
  unheard: z.literal(true).optional(),
  text: both.optional().describe("what the value is called"),
  decodings: z
    .array(
      z.strictObject({
        order: text,
        values: z.record(text, z.number().nullable()).describe("null: no finite number"),
      }),
    )
    .optional(),
});

const read = z.strictObject({
  device: text,
  via,
  identity: identityOutput,
  doubt: text.nullable(),
  readings: z.array(reading),
  records: z.array(z.strictObject({ kind: text, timeMs, data: anything })),
  silenceMs: z.number(),
});

const identify = z.strictObject({
  device: text,
  via,
  identity: identityOutput,
  writable: z.boolean(),
  unwritable: unwritableOutput.optional(),
  mismatch: text.optional(),
  site: z.strictObject({
    profile: text.nullable(),
    firmware: text,
    serial: text.nullable(),
    driver: text,
  }),
  choice: z
    .strictObject({
      match: matchKind,
      profile: text.optional(),
      fits: z.strictObject({ fits: count, of: count }).optional(),
      also: z.array(text),
      equals: z.array(text).optional(),
      reasons: z.array(both),
    })
    .describe("the judgement of kerb discover"),
  matches: z.array(
    z.strictObject({
      profile: text,
      rank: z.enum(["exact", "range", "family", "generic", "none"]),
      firmware: z.enum(["inside", "outside", "untold"]),
      reasons: z.array(both),
    }),
  ),
  doubts: z.array(text),
});

const told = { value: pointValue.nullable(), status, code: text.optional(), reason: text.optional() };

const answer = z.union([pointValue, z.strictObject({ ...told, sourceTimeMs: timeMs.optional() }), anything]);

const named = z.strictObject({ address: anything.optional(), settings: anything.optional() });

const entry = z.strictObject({
  what: z.enum(["value", "command", "record"]),
  address: anything.optional(),
  settings: anything.optional(),
  also: z.array(named).optional(),
  path: z.array(text),
  label: text.optional(),
  description: text.optional(),
  type: text.optional(),
  access: z.enum(["none", "read", "write", "read-write"]).optional(),
  unit: z.strictObject({ text, ucum: text.optional() }).optional(),
  range: z.tuple([z.number(), z.number()]).optional(),
  values: z.record(text, text).optional(),
  guesses: z
    .array(z.strictObject({ address: anything, type: text, answer, why: text.optional() }))
    .optional(),
  changes: z.boolean().optional(),
  fields: z.array(anything).optional().describe("entries as this one"),
  more: z.record(text, text).optional(),
  value: pointValue.nullable().optional(),
  status: status.optional(),
  code: text.optional(),
  reason: text.optional(),
  sourceTimeMs: timeMs.optional(),
});

const left = z.strictObject({
  left: z.enum(["limit", "depth", "time", "bound", "refused", "standard", "elsewhere", "empty", "unasked"]),
  entries: count.optional(),
  branches: count.optional(),
  place: text.optional(),
  reason: text.optional(),
});

const browse = z.strictObject({
  device: text,
  driver: text,
  identity: identityOutput,
  doubt: text.nullable(),
  under: text.nullable(),
  isComplete: z.boolean(),
  count,
  left: z.array(left),
  entries: z.array(entry),
});

export const outputs = {
  read: {
    read,
    "read-statistics": z.strictObject({
      requests: count,
      replies: count,
      errors: count,
      lossPercent: z.number(),
      p95Ms: z.number(),
    }),
  },
  identify: { identify },
  browse: { browse },
  record: {
    record: z.strictObject({
      file: text,
      frames: count,
      reads: count,
      records: count,
      scrubbed: z.array(text),
      limits: z.array(text),
      leftOut: count,
      unstable: z.array(text),
    }),
  },
} satisfies VerbOutputs;

export { reading as readingOutput };
