import type { Rule } from "../rule.ts";
import type { scheduleCauses } from "./schedule-error-texts.ts";

type Code = keyof typeof scheduleCauses;

/** What the gateway says of the first schedule of a device that it cannot keep. */
const codes: Code[] = ["KERB-SCH-OVERRIDE", "KERB-SCH-NOT-KEPT", "KERB-SCH-LET-GO", "KERB-SCH-CLOCK"];

export const scheduleRules: Rule<Code>[] = codes.map((cause) => ({
  cause,
  on: "working",
  when: { "schedule.problem": cause },
  seen: {
    en: "{schedule.point} is to be {schedule.value}: {schedule.reason}",
    vi: "{schedule.point} phải là {schedule.value}: {schedule.reason}",
  },
}));
