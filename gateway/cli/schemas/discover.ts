import { z } from "zod";
import { identityOutput } from "./box.ts";
import { anything, count, text, type VerbOutputs } from "./envelope.ts";

/** What `kerb discover` prints. */

export const matchKind = z.enum(["exact", "likely", "generic", "login", "none"]);

const finding = z.strictObject({
  number: count.describe("as the table shows it, from 1"),
  driver: text,
  place: text,
  settings: anything.describe("the keys of the site file that lead there"),
  identity: identityOutput,
  match: matchKind,
  profile: text.optional().describe("absent: none is known to fit"),
  fits: z.strictObject({ fits: count, of: count }).optional(),
  also: z.array(text).describe("other profiles that fit, best first"),
  equals: z.array(text).optional().describe("those that fit as well as `profile`: a person has to choose"),
  reasons: z.array(z.strictObject({ en: text, vi: text })),
  needs: z.array(text).describe("settings that only a person knows, such as password"),
  known: text.optional().describe("the device of the site file that it is"),
});

export const outputs = {
  discover: {
    discovery: z.strictObject({
      looked: z.array(text),
      found: z.array(finding),
      interrupted: z.boolean(),
      tookMs: count,
      troubles: z.array(z.strictObject({ driver: text, code: text, reason: text })),
    }),
  },
} satisfies VerbOutputs;
