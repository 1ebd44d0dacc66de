import type { Rule } from "../rule.ts";
import type { httpCauses } from "./http-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };

const valuesSeen = {
  en: "{values.bad} of {values.total} points, such as {values.point}: {values.reason}",
  vi: "{values.bad} trên {values.total} điểm, ví dụ {values.point}: {values.reason}",
};

export const httpRules: Rule<keyof typeof httpCauses>[] = [
  { cause: "KERB-HTTP-LOGIN", on: "login", when: { "http.status": 401, "http.hasLogin": true }, seen },
  { cause: "KERB-HTTP-LOGIN-WANTED", on: "login", when: { "http.status": 401 }, seen },
  { cause: "KERB-HTTP-FORBIDDEN", on: "login", when: { "http.status": 403 }, seen },
  { cause: "KERB-HTTP-REDIRECT", on: "protocol", when: { "http.redirect": { present: true } }, seen },
  { cause: "KERB-HTTP-PATH", on: "protocol", when: { "http.status": [404, 405, 410] }, seen },
  { cause: "KERB-HTTP-BUSY", on: "protocol", when: { "http.status": [429, 503] }, seen },
  { cause: "KERB-HTTP-SERVER", on: "protocol", when: { "http.status": { atLeast: 500 } }, seen },
  { cause: "KERB-HTTP-CONTENT", on: "protocol", when: { "http.content": { present: true } }, seen },
  { cause: "KERB-HTTP-NOT-HTTP", on: "protocol", when: { "http.notHttp": true }, seen },
  {
    cause: "KERB-HTTP-CONTENT",
    on: "protocol",
    when: { "http.unreadable": true, tls: { present: false } },
    seen,
  },
  {
    cause: "KERB-HTTP-REDIRECT",
    on: "values",
    when: { "values.code": { has: /^http-3/ } },
    seen: valuesSeen,
  },
  { cause: "KERB-HTTP-PATH", on: "values", when: { "values.code": { has: /^http-4/ } }, seen: valuesSeen },
  { cause: "KERB-HTTP-SERVER", on: "values", when: { "values.code": { has: /^http-5/ } }, seen: valuesSeen },
  {
    cause: "KERB-HTTP-CONTENT",
    on: "values",
    when: { "values.none": true, "values.code": ["not-found", "no-such-value", "not-told"] },
    seen: valuesSeen,
  },
  {
    cause: "KERB-HTTP-SILENT",
    on: "protocol",
    when: { error: "silent", "net.tcp": "open", "late.answerMs": { present: false } },
    seen,
  },
];
