import type { YamlDocument } from "../../config/document.ts";
import type { AddressFacts, DriverSchemas } from "../../config/drivers.ts";
import type { Language } from "../../config/error-texts.ts";
import type { Path } from "../../config/path.ts";
import type { Diagnostic } from "../../errors.ts";
import type { Profile } from "../profiles.ts";

/**
 * What a rule of the lint is about. file: what loading the file says, its schema and its units · settings · address:
 * not in the driver's words · reach: never asked for · same: two values at one place · firmware: gaps and overlaps ·
 * kind: not what its address gives · limits · typical · sentinel · decimals · values: an enumeration · label · evidence · status · source: listed and
 * not used · model: off the model of its class · told: records and alarms · factor: scale factors · pretend: nothing
 * for a simulator to show.
 */
export const rules = [
  "file",
  "settings",
  "address",
  "reach",
  "same",
  "firmware",
  "kind",
  "limits",
  "typical",
  "sentinel",
  "decimals",
  "values",
  "label",
  "evidence",
  "status",
  "source",
  "model",
  "told",
  "factor",
  "pretend",
] as const;
export type Rule = (typeof rules)[number];

export type Sentence = Record<Language, string>;

/** One thing that is wrong with a profile; `message` is the English sentence. */
export interface Finding extends Diagnostic {
  rule: Rule;
  sentence: Sentence;
}

/** A profile that is looked at: as it loads, as it is written, and what its driver says of addresses. */
export class Lint {
  readonly profile: Profile;
  readonly document: YamlDocument;
  readonly schemas: DriverSchemas;
  readonly findings: Finding[] = [];

  constructor(profile: Profile, document: YamlDocument, schemas: DriverSchemas) {
    this.profile = profile;
    this.document = document;
    this.schemas = schemas;
  }

  /** Records a finding at an entry of the file, or at its key. */
  say(
    rule: Rule,
    path: Path,
    en: string,
    vi: string,
    options: { at?: "key"; severity?: "warning" } = {},
  ): void {
    const before = this.document.mistakes.length;
    this.document.mistake(path, "KERB-CFG-VALUE", en, options);
    this.#take(before, rule, { en, vi });
  }

  /** Takes what a check of the document itself has found since as findings of a rule. */
  during<T>(rule: Rule, check: () => T): T {
    const before = this.document.mistakes.length;
    const result = check();
    this.#take(before, rule);
    return result;
  }

  #take(before: number, rule: Rule, sentence?: Sentence): void {
    for (const mistake of this.document.mistakes.slice(before))
      this.findings.push({ ...mistake, rule, sentence: sentence ?? bothOf(mistake.message) });
  }

  /** What the driver knows of an address that its schema has parsed. */
  facts(address: unknown): AddressFacts {
    if (address === undefined) return {};
    const facts = this.schemas.facts?.(address as never, this.profile.settings as never) ?? {};
    return facts.gives === "boolean" ? { ...facts, raw: [0, 1] } : facts;
  }
}

/** A sentence of the configuration check, which speaks English. */
export function bothOf(message: string): Sentence {
  return { en: message, vi: message };
}
