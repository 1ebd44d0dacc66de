import type { Rule } from "../rule.ts";
import type { rsmpCauses } from "./rsmp-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };

export const rsmpRules: Rule<keyof typeof rsmpCauses>[] = [
  {
    cause: "KERB-RSMP-SITE-ID",
    on: "protocol",
    when: { "rsmp.problem": "no-call", "rsmp.caller": { present: true } },
    seen: {
      en: "{unit} is awaited, {rsmp.caller} called",
      vi: "đang chờ {unit}, nhưng {rsmp.caller} gọi tới",
    },
  },
  { cause: "KERB-RSMP-NO-CALL", on: "protocol", when: { "rsmp.problem": "no-call" }, seen },
  { cause: "KERB-RSMP-VERSION", on: "login", when: { "rsmp.problem": "version" }, seen },
  { cause: "KERB-RSMP-SXL", on: "login", when: { "rsmp.problem": "sxl" }, seen },
  { cause: "KERB-RSMP-REFUSED", on: "login", when: { "rsmp.problem": "refused" }, seen },
  { cause: "KERB-RSMP-PORT-TAKEN", on: "port", when: { "listen.failed": ["taken", "twice"] }, seen },
  { cause: "KERB-RSMP-ADDRESS", on: "port", when: { "listen.failed": "no-address" }, seen },
  { cause: "KERB-RSMP-NOT-RSMP", on: "protocol", when: { error: "garbage" }, seen },
  { cause: "KERB-RSMP-MUTE", on: "protocol", when: { "rsmp.problem": "mute" }, seen },
  { cause: "KERB-RSMP-NO-CALL", on: "protocol", when: { error: "silent" }, seen },
];
