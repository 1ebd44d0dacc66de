import { z } from "zod";
import { twinStates } from "../../twin/have.ts";
import { twinSchema } from "../../twin/schema.ts";
import { twinReport, twinStanding } from "./config.ts";
import { anything, count, text, type VerbOutputs } from "./envelope.ts";

/** What `kerb twin` prints. */

const have = z.strictObject({ v: z.literal(1), gw: text, ...twinReport });
const want = z.strictObject({ ...twinSchema.shape, cfg: anything }).describe("as it stands at the broker");

export const outputs = {
  "twin set": {
    "twin-have": have,
    "twin-set": z.strictObject({ gateway: text, ver: count, hash: text, state: z.enum(twinStates) }),
  },
  "twin show": {
    "twin-show": z.strictObject({ site: text, twin: twinStanding.optional() }),
    "twin-at-broker": z.strictObject({ gateway: text, want: want.optional(), have: have.optional() }),
  },
} satisfies VerbOutputs;
