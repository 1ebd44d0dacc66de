import { z } from "zod";
import { anything, count, diagnostic, text, type VerbOutputs } from "./envelope.ts";

/** What verbs for developers print, and those about kerb itself. */

const both = z.strictObject({ en: text, vi: text });
const books = { accepted: count, delivered: count, kept: count, dropped: count };
const program = z.strictObject({ name: text, pid: count.optional(), isRunning: z.boolean() });

const demo = z.union([
  z.strictObject({ state: z.literal("starting"), name: text }),
  z.strictObject({
    state: z.literal("delivering"),
    firstDeliveredMs: z.number(),
    programs: z.array(program),
  }),
  z.strictObject({ state: z.literal("running"), epoch: count, ...books, lagMs: z.number() }),
  z.strictObject({ state: z.literal("stopping") }),
  z.strictObject({ state: z.literal("stopped"), ...books, balanced: z.boolean() }),
]);

const place = z.strictObject({ file: text, line: count });

const check = z.strictObject({
  gateway: text,
  files: z.array(text),
  devices: z.array(
    z.strictObject({ id: text, driver: text, profile: text.optional(), enabled: z.boolean(), place }),
  ),
  uplinks: z.array(text),
  warnings: z.array(diagnostic),
});

const summary = z.strictObject({
  id: text,
  vendor: text,
  model: text,
  class: text,
  driver: text,
  firmware: text,
  status: text,
  points: count,
});

const profile = z
  .strictObject({
    ...summary.shape,
    version: z.literal(1),
    sources: anything,
    settings: anything,
    poll: z.record(text, z.number()),
    silence: z.number().optional(),
    identify: anything,
    points: z.array(anything),
    templates: z.array(anything),
    records: z.array(anything),
    alarms: z.array(anything),
    quirks: z.array(anything),
  })
  .describe("a profile with its defaults filled in; the words are those of config/profile.schema.json");

const finding = z.strictObject({
  rule: text,
  severity: z.enum(["error", "warning"]),
  file: text,
  line: count,
  column: count,
  path: text.optional(),
  sentence: both,
});

const driver = z.strictObject({
  name: text,
  stage: z.enum(["planned", "unproven", "simulated", "field-proven"]),
  doubt: text.optional(),
  proof: z
    .strictObject({ proved: text, passed: count, planned: count, skipped: z.array(text), code: text })
    .optional(),
  captured: count,
  profiles: z.array(text),
  simulator: z.boolean(),
});

const simulate = z.union([
  z.strictObject({ devices: count, pid: count }),
  z.strictObject({ broker: text, pid: count }),
  z.strictObject({ profile: text, over: text, address: text, pid: count }),
]);

const explained = z.strictObject({
  code: text,
  group: text,
  title: text,
  likely: text,
  do: text,
  retry: z.boolean(),
});

export const outputs = {
  demo: { demo },
  check: { check },
  simulate: {
    simulator: z.strictObject({ id: text, profile: text.optional(), address: text }),
    simulate,
    profiles: z.array(summary),
  },
  profiles: { profiles: z.array(summary), profile },
  "profile lint": {
    "profile-lint": z.strictObject({
      profiles: count,
      errors: count,
      warnings: count,
      findings: z.array(finding),
    }),
  },
  "profile new": {
    "profile-new": z.strictObject({
      file: text,
      id: text,
      points: count,
      records: count,
      guesses: count,
      commands: count,
      isComplete: z.boolean(),
      lint: z.strictObject({ errors: count, warnings: count }),
    }),
  },
  "profile test": {
    "profile-test": z.strictObject({
      file: text,
      profile: text,
      isSame: z.boolean(),
      compared: count,
      differences: z.array(anything),
      failure: text.nullable(),
      unknown: count,
    }),
  },
  drivers: { drivers: z.array(driver) },
  version: { version: z.strictObject({ kerb: text, node: text, sqlite: text, platform: text }) },
  explain: { explain: z.strictObject({ codes: z.array(explained) }) },
  schema: {
    schema: z.strictObject({ verb: text, file: text, schema: anything }),
    schemas: z.strictObject({ verbs: z.array(z.strictObject({ verb: text, file: text })) }),
  },
  completion: { completion: z.strictObject({ shell: z.enum(["bash", "zsh", "fish"]), script: text }) },
} satisfies VerbOutputs;
