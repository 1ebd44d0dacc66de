import { z } from "zod";
import { count, text, type VerbOutputs } from "./envelope.ts";

/** What verbs of the operations centre print. */

const certificate = z.strictObject({
  v: z.literal(1),
  gateway: text,
  from: text,
  to: text,
  state: z.enum(["complete", "complete-with-declared-loss", "gap", "unsealed"]),
  tampered: z.boolean(),
  events: count,
  lost: z.array(z.strictObject({ epoch: count, from: count, to: count, reason: text })),
  findings: z.array(
    z.strictObject({
      code: text,
      epoch: count.optional(),
      seal: count.optional(),
      from: count.optional(),
      to: count.optional(),
      reason: text.optional(),
    }),
  ),
  seals: z.array(z.strictObject({ epoch: count, no: count, from: count, to: count, h: text })),
  clock: z.enum(["synced", "holdover", "unsynced"]).nullable(),
  devices: z.array(
    z.strictObject({
      device: text,
      events: count,
      polls: count.nullable(),
      answered: count.nullable(),
      failed: count.nullable(),
      missed: count.nullable(),
      unknown: z.array(z.tuple([text, text])),
    }),
  ),
  off: z.array(z.strictObject({ from: text, to: text })),
  checked: text.nullable(),
  key: text.optional(),
  signature: text.optional(),
});

export const outputs = {
  certificate: {
    certificates: z.strictObject({ certificates: z.array(certificate) }),
    "certificate-signatures": z.array(
      z.strictObject({
        file: text,
        gateway: text,
        from: text,
        to: text,
        state: text,
        signature: z.enum(["right", "wrong", "unsigned"]),
      }),
    ),
  },
} satisfies VerbOutputs;
