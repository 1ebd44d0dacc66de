import { took } from "../text.ts";
import type { Language } from "../config/error-texts.ts";
import type { Facts, Rung } from "../driver.ts";
import { printable } from "../printable.ts";
import type { CauseCode } from "./error-texts.ts";
import type { Finding, Text } from "./facts.ts";
import type { Condition, Rule as AnyRule } from "./rule.ts";
import { seenInVietnamese } from "./vietnamese.ts";

type Rule = AnyRule<CauseCode>;

function holds(condition: Condition, fact: Facts[string] | undefined): boolean {
  if (typeof condition !== "object") return fact === condition;
  if (Array.isArray(condition)) return condition.includes(fact);
  if ("present" in condition) return (fact !== undefined) === condition.present;
  if ("isNot" in condition) return fact !== condition.isNot;
  if ("has" in condition) return typeof fact === "string" && condition.has.test(fact);
  if (typeof fact !== "number") return false;
  return "atLeast" in condition ? fact >= condition.atLeast : fact < (condition as { below: number }).below;
}

const shown = (name: string, fact: Facts[string] | undefined, language: Language): string => {
  if (fact === undefined) return "?";
  if (name.endsWith("Ms") && typeof fact === "number") return took(fact);
  const text = language === "vi" ? seenInVietnamese(String(fact)) : String(fact);
  return printable(text).slice(0, 200);
};

const filled = (template: Text, facts: Facts, language: Language): string =>
  template[language].replaceAll(/\{([\w.]+)\}/g, (_, name: string) => shown(name, facts[name], language));

function findingOf({ cause, seen }: Rule, step: Rung, severity: Finding["severity"], facts: Facts): Finding {
  return {
    code: cause,
    severity,
    step,
    seen: { en: filled(seen, facts, "en"), vi: filled(seen, facts, "vi") },
  };
}

const fits = ({ when }: Rule, facts: Facts): boolean =>
  Object.entries(when).every(([name, condition]) => holds(condition, facts[name]));

/** The cause of a failed rung: the first rule in the order of the tables that fits; undefined: no known cause. */
export function causeOf(rules: readonly Rule[], failed: Rung, facts: Facts): Finding | undefined {
  const rule = rules.find(
    (one) => one.on !== "working" && [one.on].flat().includes(failed) && fits(one, facts),
  );
  return rule === undefined ? undefined : findingOf(rule, failed, "bad", facts);
}

/** All that is wrong with a device that answers, each cause once. */
export function doubtsOf(rules: readonly Rule[], facts: Facts): Finding[] {
  const found = new Map<CauseCode, Finding>();
  for (const rule of rules)
    if (rule.on === "working" && !found.has(rule.cause) && fits(rule, facts))
      found.set(rule.cause, findingOf(rule, rule.about ?? "values", "warn", facts));
  return [...found.values()];
}
