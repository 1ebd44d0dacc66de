import type { Rule } from "../rule.ts";
import type { opcuaCauses } from "./opcua-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };

export const opcuaRules: Rule<keyof typeof opcuaCauses>[] = [
  {
    cause: "KERB-UA-ENDPOINT",
    on: "protocol",
    when: { "ua.problem": "no-endpoint" },
    seen: {
      en: "wanted: {ua.wanted}; offered: {ua.offers}",
      vi: "yêu cầu: {ua.wanted}; máy chủ có: {ua.offers}",
    },
  },
  { cause: "KERB-UA-PIN", on: "login", when: { "ua.problem": "other-certificate" }, seen },
  { cause: "KERB-UA-NOT-PINNED", on: "login", when: { "ua.problem": "not-pinned" }, seen },
  { cause: "KERB-UA-CLEAR-PASSWORD", on: "login", when: { "ua.problem": "clear-password" }, seen },
  {
    cause: "KERB-UA-TOKEN",
    on: "login",
    when: { "ua.problem": "no-token" },
    seen: {
      en: "kerb logs in as {ua.wanted}; the server takes {ua.offers}",
      vi: "kerb đăng nhập kiểu {ua.wanted}; máy chủ nhận {ua.offers}",
    },
  },
  { cause: "KERB-UA-CLOCK", on: "login", when: { "ua.status": { has: /TimeInvalid$/ } }, seen },
  {
    cause: "KERB-UA-NOT-TRUSTED",
    on: "login",
    when: { "ua.status": { has: /^Bad(Certificate|SecurityChecks|ApplicationSignature)/ } },
    seen,
  },
  {
    cause: "KERB-UA-LOGIN",
    on: "login",
    when: { "ua.status": { has: /^Bad(IdentityToken|UserSignature)/ } },
    seen,
  },
  {
    cause: "KERB-UA-LOGIN",
    on: "login",
    when: { "ua.status": "BadUserAccessDenied", "ua.hasLogin": true, "error.at": ["connect", "gateway"] },
    seen,
  },
  { cause: "KERB-UA-RIGHTS", on: "login", when: { "ua.status": { has: /^BadUserAccess/ } }, seen },
  {
    cause: "KERB-UA-SESSIONS",
    on: "protocol",
    when: {
      "ua.status": { has: /^Bad(TooManySessions|.*TooBusy|.*NotEnoughResources|ResourceUnavailable)/ },
    },
    seen,
  },
  { cause: "KERB-UA-NOT-UA", on: "protocol", when: { "ua.problem": "not-ua" }, seen },
  {
    cause: "KERB-UA-NODES",
    on: "values",
    when: { "values.none": true, "values.code": { has: /NodeId|NoMatch|namespace|node|path/i } },
    seen: {
      en: "{values.bad} of {values.total} points: {values.point}: {values.reason}",
      vi: "{values.bad} trên {values.total} điểm: {values.point}: {values.reason}",
    },
  },
  {
    cause: "KERB-UA-SILENT",
    on: "protocol",
    when: { error: "silent", "net.tcp": "open", "late.answerMs": { present: false } },
    seen,
  },
];
