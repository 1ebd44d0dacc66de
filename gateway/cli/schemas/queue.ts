import { z } from "zod";
import { inflowOutput } from "./box.ts";
import { anything, count, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What verbs print of the box's queue, of its gaps and of the way to the IOC. */

const number = z.number();

const gap = z.strictObject({
  epoch: count,
  seq: count,
  recordedMs: timeMs,
  fromMs: timeMs,
  toMs: timeMs,
  cause: text,
  devices: z.array(text).describe("empty: the whole gateway"),
  code: text.optional(),
  lost: z.union([z.strictObject({ events: count }), z.strictObject({ polls: count })]).optional(),
  state: z.enum(["open", "closed", "unended"]),
  told: z.enum(["acknowledged", "waiting", "dropped"]),
  details: anything,
});

const gaps = z.strictObject({
  gateway: text,
  devices: z.array(text),
  gaps: z.array(gap),
  sinceMs: timeMs,
  running: z.boolean().describe("the gateway was asked; else its queue file was read"),
});

const buffer = z.strictObject({
  gateway: text,
  running: z.boolean(),
  rows: z.strictObject({ event: count, live: count }),
  usedBytes: count,
  bytes: count,
  bytesMax: count.optional(),
  oldestMs: timeMs.optional(),
  diskFreeBytes: count.optional(),
  inflow: inflowOutput.optional(),
  outageMs: number.optional().describe("until the oldest telemetry is dropped, at the present inflow"),
});

const step = z.strictObject({
  step: z.enum(["name", "port", "tls", "login", "receiver", "event"]),
  state: z.enum(["ok", "warn", "bad", "skipped"]),
  text,
  ms: number.optional(),
  code: text.optional(),
  seen: text.optional(),
});

export const outputs = {
  gaps: { gaps },
  buffer: { buffer },
  "buffer export": {
    "buffer-export": z.strictObject({
      gateway: text,
      file: text,
      events: count,
      bytes: count,
      damaged: count.describe("events that are kept and could not be read"),
      unread: z.array(
        z.strictObject({
          epoch: count,
          from: count,
          to: count,
          reason: z.enum(["checksum", "content", "page"]),
        }),
      ),
      counted: z.boolean().describe("false: which numbers the file had cannot be said"),
    }),
  },
  "buffer adopt": {
    "buffer-adopt": z.strictObject({
      gateway: text,
      former: text.nullable().describe("whose the state folder was; null: it was its own already"),
      left: count.describe("undelivered events in the outbox that was put aside"),
      folder: text.nullable().describe("where that is: kerb buffer export FILE --state FOLDER"),
    }),
  },
  "upstream test": {
    "upstream-test": z.array(
      z.strictObject({ uplink: text, url: text, ok: z.boolean(), steps: z.array(step) }),
    ),
  },
} satisfies VerbOutputs;
