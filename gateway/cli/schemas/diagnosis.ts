import { z } from "zod";
import { checkName } from "./box.ts";
import { count, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What the verbs print that say what is wrong, and why. */

const rung = z
  .enum(["network", "port", "line", "protocol", "login", "identity", "values", "upstream"])
  .describe("from the ground up");
const severity = z.enum(["bad", "warn"]).describe("warn: it works, and something about it is wrong");

const finding = z.strictObject({
  code: text,
  severity,
  step: rung,
  title: text,
  seen: text,
  likely: text,
  do: text,
});

/** What a climb has found. */
export const diagnosis = {
  steps: z.array(
    z.strictObject({
      step: rung,
      verdict: z.enum(["ok", "failed", "unknown", "skipped"]),
      evidence: text,
      ms: z.number().optional().describe("how long it took to find out"),
    }),
  ),
  failed: rung.optional().describe("the first that does not bear"),
  causes: z.array(finding).describe("empty: no known cause fits"),
  facts: z.record(text, z.union([text, z.number(), z.boolean()])).describe("all that was seen"),
};

const why = z.strictObject({
  device: text,
  name: text,
  driver: text,
  gateway: z
    .boolean()
    .describe("false: none is running, or it does not answer; nothing is known of the past"),
  state: text.optional(),
  sinceMs: timeMs.optional(),
  lastGoodMs: timeMs.optional(),
  ...diagnosis,
});

const problem = z.strictObject({
  severity,
  check: checkName,
  object: text.optional().describe("device, driver or uplink, or what the devices behind it share"),
  code: text.optional(),
  title: text.optional(),
  seen: text,
  likely: text.optional(),
  do: text.optional(),
  behind: z.array(text).describe("devices that are folded under it"),
});

const row = z.strictObject({
  check: z.enum([...checkName.options, "config", "gateway"]),
  object: text.optional(),
  state: z.enum(["ok", "warn", "bad"]),
  seen: text,
  code: text.optional(),
});

export const outputs = {
  why: { why },
  problems: { problems: z.strictObject({ site: text, problems: z.array(problem) }) },
  doctor: {
    doctor: z.strictObject({
      site: text,
      findings: count,
      checks: z.array(row),
      problems: z.array(problem),
    }),
  },
} satisfies VerbOutputs;
