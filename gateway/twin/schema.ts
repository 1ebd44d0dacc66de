import { z } from "zod";
import { pollSchema } from "../config/device-schema.ts";
import { schedulesSchema } from "../config/schedules.ts";
import { commandsSchema, word } from "../config/site-schema.ts";
import { type Section, sections } from "./document.ts";

/** The wanted configuration as a schema: for the check of a signed document, and published for whoever makes one. */

const device = word(2, 40);
const point = z.string().min(1).max(100);

/** One entry for each section; each says what the site file could say in the same place. */
const bySection = {
  polls: z.record(device, pollSchema).describe("device → its poll, as in the site file"),
  deadBands: z
    .record(device, z.record(point, z.number().positive()))
    .describe("device → point → dead band in the point's unit"),
  schedules: z
    .record(device, schedulesSchema)
    .describe("device → point → its schedule, as in the site file, in the place of that point's there"),
  issuers: z
    .array(commandsSchema.shape.issuers.unwrap().element)
    .max(32)
    .describe("whose commands are heard beside those that the site file has; never whose twin"),
} satisfies Record<Section, z.ZodType>;

/** `cfg` of a document. */
export const wantedSchema = z
  .strictObject(bySection)
  .partial()
  .describe(`all that is wanted, by section: ${sections.join(", ")}; {} = as the files say`);

/** A document on `{city}/twin/v1/{gw}/want`. */
export const twinSchema = z.strictObject({
  v: z.literal(1),
  gw: word(3, 40).describe("the gateway"),
  ver: z.int().min(1).max(Number.MAX_SAFE_INTEGER).describe("rises with each document"),
  by: z
    .string()
    .regex(/^([a-z0-9._-]{1,64}@)?[a-z0-9-]{2,40}$/)
    .describe("one of twin.issuers of the site file, or somebody@issuer"),
  at: z.int().min(1).describe("ms since 1970 UTC by the issuer's clock"),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe("SHA-256 of the canonical JSON (RFC 8785) of cfg"),
  cfg: wantedSchema,
  sig: z.string().describe("Ed25519 over the canonical JSON of all but sig, base64"),
});
