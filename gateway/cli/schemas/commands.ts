import { z } from "zod";
import { count, pointValue, text, timeMs, type VerbOutputs } from "./envelope.ts";
import { readingOutput } from "./field.ts";

/** What verbs print of commands, and of the journal of commands. */

const values = z.record(text, pointValue.nullable());
const stage = z.enum(["accepted", "rejected", "running", "done", "failed", "expired", "unknown"]);

const state = z.strictObject({
  v: z.literal(1),
  id: text,
  gw: text,
  dev: text,
  state: stage,
  at: timeMs,
  by: text.optional(),
  mode: text.optional(),
  args: z.record(text, pointValue).optional(),
  code: text.optional(),
  reason: text.optional(),
  before: values.optional(),
  readBack: values.optional(),
  writtenMs: timeMs.optional(),
  arm: text.optional(),
  armMs: z.number().optional(),
  nonce: text.optional(),
  nonceMs: z.number().optional(),
  leaseMs: z.number().optional(),
  replay: z.literal(true).optional(),
  resolved: z.literal(true).optional(),
  returns: text.optional(),
  unsigned: z.literal(true).optional(),
  unrecorded: z.literal(true).optional(),
  source: z.enum(["ioc", "local", "schedule"]).optional(),
});

const preview = z.strictObject({
  device: text,
  points: z.array(
    z.strictObject({
      point: text,
      value: pointValue,
      unit: text,
      decimals: count,
      kind: z.enum(["number", "boolean", "text"]).optional(),
      before: readingOutput.optional(),
      least: z.number().optional(),
      most: z.number().optional(),
      step: z.number().optional(),
      words: z.array(text).optional(),
      only: z.array(pointValue).optional(),
      needsArm: z.boolean(),
      twoPerson: z.boolean(),
      leaseMsMax: z.number().optional(),
      alwaysLeased: z.boolean(),
      interlock: z.array(
        z.strictObject({ point: text, equals: pointValue, now: pointValue.nullable(), holds: z.boolean() }),
      ),
      problem: z.strictObject({ code: text, reason: text }).optional(),
    }),
  ),
  unread: text.optional(),
});

const verified = z.strictObject({
  records: count,
  from: count,
  to: count,
  hash: text,
  break: z
    .strictObject({
      what: z.enum(["changed", "missing", "moved", "segment-missing", "tail-missing", "rewritten"]),
      segment: count,
      line: count,
      place: text,
      reason: text,
    })
    .optional(),
  declared: z.array(
    z.strictObject({
      place: text,
      bytes: count.optional(),
      lost: count.optional(),
      broken: text.optional(),
    }),
  ),
  torn: count.optional(),
  hasHead: z.boolean(),
});

const unreadable = z.strictObject({ place: text, unreadable: z.literal(true) });
const entry = z
  .looseObject({ n: count, at: timeMs, mono: z.number(), clock: text, ev: text, prev: text, hash: text })
  .describe("a record of the journal, with the members of its kind (ev)");

export const outputs = {
  write: { "write-preview": preview, "command-state": state, write: state },
  command: {
    "command-state": state,
    command: z.strictObject({
      gateway: text,
      device: text,
      state: z.union([stage, z.literal("unanswered")]),
      sent: count,
      last: state.optional(),
    }),
  },
  "command keygen": { "command-key": z.strictObject({ file: text, publicKey: text }) },
  "audit verify": { "audit-verify": verified },
  "audit show": { "audit-record": z.union([entry, unreadable]) },
} satisfies VerbOutputs;
