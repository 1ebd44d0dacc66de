import { expect, it } from "vitest";
import type { CommandStage, CommandState } from "../../commands/state.ts";
import { failureOf } from "./command-words.ts";

const state = (stage: CommandStage, code: string): CommandState => ({
  v: 1,
  id: "A",
  gw: "gw-01",
  dev: "light-01",
  state: stage,
  at: 1,
  code,
  reason: "written: dim; not begun: lamp",
});

it.each([
  ["done", "", undefined],
  ["rejected", "KERB-CMD-LIMIT", 7],
  ["failed", "KERB-CMD-NOT-WRITTEN", 9],
  ["expired", "KERB-CMD-EXPIRED", 9],
  ["unknown", "KERB-CMD-HOST", 10],
  // Neither done nor not done: whoever repeats it writes the part again that stands.
  ["failed", "KERB-CMD-PARTIAL", 11],
] as const)("a command that is %s (%s) ends with %s", (stage, code, exitCode) => {
  expect(failureOf("light-01", state(stage, code), stage, "en")?.complaint.exitCode).toBe(exitCode);
});

it("a command that nobody has answered ends with 8", () => {
  expect(failureOf("light-01", undefined, "unanswered", "vi")?.complaint.exitCode).toBe(8);
});
