import { z } from "zod";
import { issuerKey } from "../commands/command.ts";
import { word } from "./id-schema.ts";

/** Who may command what: `commands` of a site file, and `write` of its devices. */

const issuersMax = 32;
const rolesMax = 64;
const roleDevicesMax = 1000;
const pointsMax = 1000;
const pointName = z.string().min(1).max(100);
const role = word(2, 40);

const key = z
  .string()
  .max(100)
  .superRefine((text, context) => {
    try {
      issuerKey(text);
    } catch {
      const message = "expected the public key that kerb command keygen prints: 32 bytes in base64";
      context.addIssue({ code: "custom", message });
    }
  });

/** `commands` of a site file. */
export const commandsSchema = z
  .strictObject({
    issuers: z
      .array(
        z.strictObject({
          id: word(2, 40).describe("as commands name it: ioc, or somebody@ioc"),
          key: key.describe("Ed25519 public key, base64; kerb command keygen makes one"),
          roles: z.array(role).min(1).max(rolesMax).describe("what it may act as"),
        }),
      )
      .max(issuersMax)
      .default([])
      .describe("whose signed commands are executed; without any nobody's are"),
    roles: z
      .record(
        role,
        z.strictObject({
          devices: z.array(word(2, 40)).min(1).max(roleDevicesMax),
          points: z
            .array(pointName)
            .max(pointsMax)
            .optional()
            .describe("all that the devices allow, if not given"),
        }),
      )
      .default({})
      .describe("which devices and points a role has"),
    ratePerMinute: z.int().min(1).max(6000).default(60).describe("commands of one issuer"),
    clock: z
      .enum(["synced", "holdover"])
      .default("synced")
      .describe("holdover: a plausible clock that nobody has proved is enough to tell a fresh command"),
  })
  .describe("commands from the IOC: who may sign them, and what for");

/** `write` of a device. */
export const deviceWriteSchema = z
  .strictObject({
    allow: z.array(pointName).min(1).max(pointsMax).describe("points that may be written; none else is"),
    limits: z
      .record(
        pointName,
        z
          .strictObject({ min: z.number().optional(), max: z.number().optional() })
          .refine(({ min = -Infinity, max = Infinity }) => min <= max, { error: "min lies above max" }),
      )
      .optional()
      .describe("narrower than those of the profile, in the point's unit"),
    confirm: z
      .literal("two-person")
      .optional()
      .describe("each write is armed by one person and committed by another"),
  })
  .describe("what may be written; nothing if not given");
