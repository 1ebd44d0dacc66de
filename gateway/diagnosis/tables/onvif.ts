import type { Rule } from "../rule.ts";
import type { onvifCauses } from "./onvif-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };
const clockSeen = {
  en: "camera says {clock.camera}, box {clock.box}: {clock.offMs} apart",
  vi: "camera báo {clock.camera}, hộp {clock.box}: lệch {clock.offMs}",
};

export const onvifRules: Rule<keyof typeof onvifCauses>[] = [
  {
    cause: "KERB-ONVIF-LOGIN-WANTED",
    on: "login",
    when: { "onvif.refused": true, "onvif.hasLogin": false },
    seen,
  },
  {
    cause: "KERB-ONVIF-CLOCK-LOGIN",
    on: "login",
    when: { "onvif.refused": true, "clock.offMs": { atLeast: 5000 } },
    seen: clockSeen,
  },
  { cause: "KERB-ONVIF-LOGIN", on: "login", when: { "onvif.refused": true }, seen },
  { cause: "KERB-ONVIF-REDIRECT", on: "protocol", when: { "onvif.redirects": true }, seen },
  { cause: "KERB-ONVIF-SERVER", on: "protocol", when: { "onvif.serverError": true }, seen },
  { cause: "KERB-ONVIF-OFF", on: "protocol", when: { "onvif.noService": true }, seen },
  { cause: "KERB-ONVIF-NOT-HTTP", on: "protocol", when: { "onvif.notHttp": true }, seen },
  {
    cause: "KERB-ONVIF-SILENT",
    on: "protocol",
    when: { error: "silent", "net.tcp": "open", "late.answerMs": { present: false } },
    seen,
  },
  { cause: "KERB-ONVIF-CLOCK", on: "working", when: { "clock.offMs": { atLeast: 30_000 } }, seen: clockSeen },
];
