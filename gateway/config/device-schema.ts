import { z } from "zod";
import { profileSchema } from "../profiles/profiles.ts";
import { durationBetween } from "../profiles/quantities.ts";
import { schedulesSchema } from "./schedules.ts";
import { label, levelsSchema, locationSchema, word } from "./site-schema.ts";

const pollPeriod = durationBetween("1ms", "24h");

/** `poll` of a device. */
export const pollSchema = z.union([
  pollPeriod.transform((normal) => ({ fast: undefined, normal, slow: undefined })),
  z.strictObject({ fast: pollPeriod.optional(), normal: pollPeriod.optional(), slow: pollPeriod.optional() }),
]);

const overrideSchema = z
  .strictObject({
    enabled: z.boolean().optional().describe("false: not read, unless other points need it"),
    limits: z.tuple([z.number(), z.number()]).optional().describe("outside these the value is uncertain"),
    deadband: z.number().positive().optional(),
    swingingDoor: z
      .number()
      .positive()
      .optional()
      .describe("deviation in the point's unit; instead of deadband"),
    heartbeat: durationBetween("1s", "24h").optional(),
    poll: z.enum(["fast", "normal", "slow", "push"]).optional(),
  })
  .refine(({ deadband, swingingDoor }) => deadband === undefined || swingingDoor === undefined, {
    path: ["swingingDoor"],
    error: "either deadband or swingingDoor",
  });
/** `points` of a device with a profile. */
export const overridesSchema = z.record(z.string(), overrideSchema);
/** `points` of a device without a profile. */
export const definitionsSchema = profileSchema.shape.points;
/** `records` of a device with a profile. */
export const recordOverridesSchema = z.record(z.string(), z.strictObject({ enabled: z.boolean() }));
/** `records` of a device without a profile. */
export const recordDefinitionsSchema = profileSchema.shape.records;

/** `write` of a device. */
const deviceWriteSchema = z
  .strictObject({
    allow: z.array(z.string().min(1).max(100)).max(500).describe("points that may be written"),
    limits: z
      .record(
        z.string(),
        z
          .strictObject({ min: z.number().optional(), max: z.number().optional() })
          .refine(({ min, max }) => min === undefined || max === undefined || min <= max, {
            path: ["max"],
            error: "max lies below min",
          }),
      )
      .optional()
      .describe("narrower than the profile's, in the point's unit"),
    confirm: z
      .literal("two-person")
      .optional()
      .describe("each point is armed by one person and committed by another"),
  })
  .describe("what may be written to it");

/** The keys that devices of every driver have; the driver's own settings stand beside them. */
export function deviceSchema(drivers: readonly string[]) {
  return z.strictObject({
    id: word(2, 40).describe("unique over all files"),
    name: label.optional().describe("as people call it; the id if not given"),
    driver: z.enum(drivers).describe("the protocol"),
    profile: z
      .string()
      .max(100)
      .optional()
      .describe("vendor/model; not needed where `points` say everything"),
    enabled: z.boolean().default(true),
    poll: pollSchema.optional().describe("one period, or one for each class of points"),
    silence: durationBetween("1s", "31d")
      .optional()
      .describe("a device that pushes and says nothing for this long is lost"),
    points: z.record(z.string(), z.unknown()).optional(),
    records: z.record(z.string(), z.unknown()).optional(),
    location: locationSchema.optional().describe("where it stands; where the cabinet does if not given"),
    levels: levelsSchema.optional(),
    serial: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe("serial number of the unit; another one at this address is read, and never written to"),
    write: deviceWriteSchema.optional(),
    schedules: schedulesSchema.optional(),
    identifyEvery: durationBetween("10s", "24h")
      .default(600_000)
      .describe("how often it is asked again who it is (10m)"),
  });
}

/** The names of those keys. */
export const commonKeys = Object.keys(deviceSchema([]).shape);
