import type { Rule } from "../rule.ts";
import type { tlsCauses } from "./tls-error-texts.ts";

const on = ["protocol", "login"] as const;
const seen = { en: "{message}", vi: "{message}" };

export const tlsRules: Rule<keyof typeof tlsCauses>[] = [
  { cause: "KERB-TLS-EXPIRED", on, when: { tls: "expired" }, seen },
  { cause: "KERB-TLS-NOT-YET", on, when: { tls: "not-yet-valid" }, seen },
  { cause: "KERB-TLS-NAME", on, when: { tls: "other-name" }, seen },
  { cause: "KERB-TLS-OTHER-CERTIFICATE", on, when: { tls: "other-certificate" }, seen },
  { cause: "KERB-TLS-PLAIN", on, when: { tls: "no-tls" }, seen },
  { cause: "KERB-TLS-UNTRUSTED", on, when: { tls: "untrusted" }, seen },
  { cause: "KERB-TLS-REJECTED", on, when: { tls: "rejected" }, seen },
];
