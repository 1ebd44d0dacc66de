import type { Rule } from "../rule.ts";
import type { snmpCauses } from "./snmp-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };

export const snmpRules: Rule<keyof typeof snmpCauses>[] = [
  {
    cause: "KERB-SNMP-VERSION",
    on: "protocol",
    when: { "snmp.answersVersion": { present: true } },
    seen: {
      en: "silent to version {snmp.version}, and answers to version {snmp.answersVersion}",
      vi: "im lặng với phiên bản {snmp.version}, nhưng trả lời phiên bản {snmp.answersVersion}",
    },
  },
  {
    cause: "KERB-SNMP-COMMUNITY",
    on: "login",
    when: { "snmp.answersVersion3": true },
    seen: {
      en: "silent to the community, and answers to a question of version 3",
      vi: "im lặng với community, nhưng trả lời câu hỏi của phiên bản 3",
    },
  },
  { cause: "KERB-SNMP-USER", on: "login", when: { "snmp.report": { has: /unknown user/i } }, seen },
  { cause: "KERB-SNMP-PASSWORD", on: "login", when: { "snmp.report": { has: /wrong digest/i } }, seen },
  { cause: "KERB-SNMP-PRIVACY", on: "login", when: { "snmp.report": { has: /decrypt/i } }, seen },
  { cause: "KERB-SNMP-LEVEL", on: "login", when: { "snmp.report": { has: /security level/i } }, seen },
  { cause: "KERB-SNMP-CLOCK", on: "login", when: { "snmp.report": { has: /time window/i } }, seen },
  { cause: "KERB-SNMP-OFF", on: "protocol", when: { "snmp.closed": true }, seen },
  { cause: "KERB-SNMP-NOT-SNMP", on: "protocol", when: { "snmp.notSnmp": true }, seen },
  {
    cause: "KERB-SNMP-SILENT",
    on: "protocol",
    when: { error: "silent", "late.answerMs": { present: false } },
    seen,
  },
];
