import { z } from "zod";
import { count, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What verbs print that put a box into a file, or a file into a box. */

const manifest = z.strictObject({
  v: z.literal(1),
  kind: z.enum(["portable", "sealed"]),
  kerb: text,
  gateway: text,
  madeMs: timeMs,
  site: text,
  state: text,
  epoch: count,
  sessions: z.record(text, count),
  withBuffer: z.boolean(),
  needs: z.array(text).describe("what must be brought beside it, such as env:NAME or secret:NAME"),
});

const restored = z.strictObject({
  site: text,
  stateFolder: text,
  keptState: z.boolean().describe("the queue that was there is newer, and stays"),
  epoch: count.optional(),
  files: count,
  needs: z.array(text),
  leases: z.array(z.strictObject({ device: text, point: text, returnTo: z.unknown() })),
  profilesKept: z.array(text),
  aside: text.optional().describe("the site file that was there before"),
});

export const outputs = {
  "support-bundle": {
    "support-bundle": z.strictObject({
      file: text.optional(),
      files: z.array(z.strictObject({ name: text, bytes: count })),
      redacted: z.record(text, count),
    }),
  },
  backup: { backup: z.strictObject({ file: text, bytes: count, files: z.array(text), manifest }) },
  restore: { restore: restored },
} satisfies VerbOutputs;
