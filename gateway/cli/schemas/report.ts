import { z } from "zod";
import { signedReportSchema } from "../../report/report.ts";
import { text, type VerbOutputs } from "./envelope.ts";

/** What `kerb report` and the verbs behind it print. */

const verification = z.strictObject({
  file: text,
  verdict: z
    .enum(["valid", "altered", "other-box", "unsigned"])
    .describe("other-box: sound, and signed by another box than the one that was named"),
  form: z.enum(["page", "json"]),
  where: z.array(text).describe("what was altered, as far as that can be told"),
  gateway: text.nullable(),
  made: text.nullable(),
  sha256: text.nullable().describe("of the report as it is now"),
  publicKey: text.nullable(),
  fingerprint: text.nullable(),
});

export const outputs = {
  report: { report: signedReportSchema },
  "report verify": { "report-verify": verification },
  "report key": {
    "report-key": z.strictObject({
      publicKey: text.describe("Ed25519, 32 bytes in base64"),
      fingerprint: text.describe("the first 16 bytes of the SHA-256 of the key"),
    }),
  },
} satisfies VerbOutputs;
