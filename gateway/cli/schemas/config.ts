import { z } from "zod";
import { sections } from "../../twin/document.ts";
import { twinStates } from "../../twin/have.ts";
import { anything, count, diagnostic, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What `kerb config` prints. */

const place = z.strictObject({ file: text, line: count });

export const twinChange = z.strictObject({
  section: z.enum(sections),
  device: text.optional(),
  of: text.describe("the point, the class of polls, or the issuer"),
  before: text.optional(),
  after: text,
});

const check = z.strictObject({
  gateway: text,
  files: z.array(text),
  devices: z.array(
    z.strictObject({ id: text, driver: text, profile: text.optional(), enabled: z.boolean(), place }),
  ),
  uplinks: z.array(text),
  warnings: z.array(diagnostic),
  twin: z
    .strictObject({
      ver: count,
      by: text,
      changes: z.array(twinChange).optional(),
      mistakes: z.array(z.strictObject({ code: text, path: text, text })).optional(),
    })
    .optional()
    .describe("what the twin lays over the files, or why it does not"),
});

const key = {
  key: text,
  before: text.optional().describe("absent: it was not there, or may be a secret"),
  after: text.optional(),
};

const plan = z
  .strictObject({
    site: z.array(z.strictObject({ ...key, restarts: z.boolean() })),
    devices: z.array(
      z.strictObject({
        device: text,
        action: z
          .enum(["start", "stop", "restart", "hot", "none"])
          .describe("hot: it goes on with its connection; none: nothing runs of it"),
        change: z.enum(["added", "removed"]).optional(),
        keys: z.array(z.strictObject(key)),
      }),
    ),
    restartsGateway: z.boolean(),
    untouched: count.describe("devices that run and do not notice"),
  })
  .describe("what taking over a configuration does");

const how = z.enum(["start", "apply", "rollback", "twin"]);
const generation = count.describe("0: it could not be kept");

const who = text.describe("…@local: as he called himself at the box's own socket, which proves nothing");
const ran = { at: text, by: who, how, of: count.optional() };

const version = { ver: count, hash: text };
const twinError = z.strictObject({ code: text, path: text, text });

/** What a gateway tells of its twin. */
export const twinReport = {
  ...version,
  state: z.enum(twinStates),
  errors: z.array(twinError),
  at: timeMs,
  running: z.strictObject(version).describe("ver 0: the files alone"),
};

/** The twin as the box knows it. */
export const twinStanding = z.strictObject({
  ...twinReport,
  by: text.optional(),
  runs: z
    .strictObject({ by: text, changes: z.array(twinChange) })
    .optional()
    .describe("what lies over the files"),
  misfit: z.literal(true).optional().describe("it was applied before, and does not fit the files any more"),
  allow: z.array(text).optional().describe("what the site file opens"),
});

/** Which configuration runs, and what is not settled about it. */
export const standingOutput = z.strictObject({
  generation,
  ...ran,
  filesDiffer: z.boolean(),
  safeMode: z.strictObject({ count, mistakes: z.array(diagnostic) }).optional(),
  pending: z
    .strictObject({ previous: count, watchUntilMs: timeMs, untilMs: timeMs.optional() })
    .optional()
    .describe("it is still watched, or waits to be confirmed"),
  reverted: z.strictObject({ generation: count, reason: text, by: text.optional() }).optional(),
  twin: twinStanding.optional(),
});

const change = z.strictObject({
  site: text,
  generation,
  previous: generation,
  plan,
  outcome: z.enum(["unchanged", "kept", "reverted", "unconfirmed", "unknown"]),
  reason: text.optional(),
  confirmBefore: text.optional().describe("ISO 8601: it goes back then, unless it is confirmed"),
});

const history = z.strictObject({
  site: text,
  running: standingOutput.optional().describe("absent: no gateway runs"),
  generations: z.array(
    z.strictObject({
      number: count,
      ...ran,
      hash: text,
      files: z.array(text),
      plan: plan.optional(),
      twin: z.strictObject({ ...version, by: text }).optional(),
      outcome: z.enum(["pending", "kept", "reverted"]),
      reason: text.optional(),
    }),
  ),
});

export const outputs = {
  init: { init: z.strictObject({ file: text, gateway: text, broker: text.nullable() }) },
  "config check": { "config-check": check },
  "config diff": {
    "config-diff": z.strictObject({
      site: text,
      generation,
      isRunning: z.boolean(),
      changes: z.boolean(),
      plan,
    }),
  },
  "config apply": { "config-apply": change },
  "config rollback": { "config-rollback": change },
  "config confirm": { "config-confirm": standingOutput },
  "config history": { "config-history": history },
  "config migrate": {
    "config-migrate": z.strictObject({ site: text, version: z.literal(1), changed: z.boolean() }),
  },
  "config schema": { "config-schema": anything },
} satisfies VerbOutputs;
