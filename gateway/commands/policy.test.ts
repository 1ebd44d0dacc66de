import { expect, test } from "vitest";
import { isPhase } from "./policy.ts";

test.each(["plan", "plan.requested", "mode", "mode.requested", "lampTest"])(
  "%s of a signal controller is asked for",
  (point) => {
    expect(isPhase("signal-controller", point)).toBe(false);
  },
);

test.each([
  "mode.forceStage1",
  "plan.phase3",
  "plan.source",
  "lampTest.group1",
  "Plan",
  "plan ",
  "phase",
  "",
])("%j of a signal controller is never driven, whatever its name begins with", (point) => {
  expect(isPhase("signal-controller", point)).toBe(true);
  expect(isPhase("street-light", point)).toBe(false);
});
