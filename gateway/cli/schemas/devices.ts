import { z } from "zod";
import { twinChange } from "./config.ts";
import { deviceStates } from "../device/device-states.ts";
import { identityOutput, scheduleOutput } from "./box.ts";
import { diagnosis } from "./diagnosis.ts";
import { matchKind } from "./discover.ts";
import { count, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What `kerb device` prints. */

const both = z.strictObject({ en: text, vi: text });
const marks = z.strictObject({
  vendor: text.optional(),
  model: text.optional(),
  firmware: text.optional(),
  serial: text.optional(),
  certificate: text.optional(),
});

const saved = {
  file: text,
  deleted: z.boolean(),
  lines: z.array(z.strictObject({ sign: z.enum(["+", "-"]), number: count, text })),
  gateway: z.enum(["applied", "restart-needed", "not-running"]),
};

const listed = {
  id: text,
  name: text,
  driver: text,
  address: text,
  profile: text.nullable(),
  enabled: z.boolean(),
  state: z.enum([...deviceStates, "unknown"]),
  lastGoodMs: timeMs.nullable(),
  code: text.nullable(),
  reason: text.nullable(),
  file: text.nullable().describe("null: the files have it no more"),
  line: count.nullable(),
};

const shown = z.strictObject({
  ...listed,
  lastLine: count,
  editable: z.boolean(),
  class: text.nullable(),
  firmwareRange: text,
  identity: identityOutput.nullable(),
  unit: marks.nullable().describe("who may be written to; null: nobody was seen yet"),
  match: z.strictObject({ rank: text, reasons: z.array(both) }).nullable(),
  points: count,
  records: count,
  write: z.strictObject({ allow: z.array(text), offered: z.array(text) }),
  schedules: z.array(scheduleOutput),
  polls: z.strictObject({ polls: count, failed: count, missed: count }).nullable(),
  twin: z.array(twinChange).optional().describe("what the IOC has laid over the files"),
  replacements: z.array(
    z.strictObject({ timeMs, by: text, before: marks.nullable(), now: marks }).describe("the newest last"),
  ),
});

const changed = z.union([
  z.strictObject({ device: text, changed: z.literal(false) }),
  z.strictObject({ device: text, changed: z.literal(true), ...saved }),
]);

/** A change of settings says also how the device took it. */
const set = z.union([
  changed.options[0],
  changed.options[1].extend({
    tested: z.boolean().nullable().describe("null: nothing that a test could show has changed"),
    steps: diagnosis.steps.optional(),
    causes: diagnosis.causes.optional(),
  }),
]);

const failed = z.strictObject(diagnosis).partial().describe("of a device that fails its test");

const replaced = { device: text, before: marks, now: marks };

export const outputs = {
  "device add": {
    "device-add": z.strictObject({
      device: text,
      tested: z.boolean(),
      steps: diagnosis.steps,
      causes: diagnosis.causes,
      identity: identityOutput,
      profile: text.nullable(),
      chosen: z
        .strictObject({ match: matchKind, reasons: z.array(both) })
        .optional()
        .describe("why this profile, where nobody has named one"),
      ...saved,
    }),
    failure: failed,
  },
  "device list": {
    "device-list": z.strictObject({
      site: text,
      running: z.boolean(),
      devices: z.array(z.strictObject(listed)),
    }),
  },
  "device show": { device: shown },
  "device replace": {
    "device-replace": z.union([
      z.strictObject({ ...replaced, changed: z.literal(false) }),
      z.strictObject({ ...replaced, changed: z.literal(true), saved: z.strictObject(saved).optional() }),
    ]),
  },
  "device rename": { "device-rename": changed },
  "device set": { "device-set": set, failure: failed },
  "device enable": { "device-enable": changed },
  "device disable": { "device-disable": changed },
  "device remove": { "device-remove": changed },
} satisfies VerbOutputs;
