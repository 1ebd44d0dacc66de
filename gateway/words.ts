import type { Language } from "./config/error-texts.ts";

/** Words that people read: how they are written down in both languages, and which one this process speaks. */

/** The shape of a dictionary: any text for a text, the same arguments for a sentence with places in it. */
type Same<Words> = Words extends string
  ? string
  : Words extends (...places: infer Places) => infer Text
    ? (...places: Places) => Same<Text>
    : { [Key in keyof Words]: Same<Words[Key]> };

/** A topic's words in both languages (a file `*-words.ts`); the types see to it that both have the same keys. */
export function words<Words>(both: { en: Words; vi: Same<NoInfer<Words>> }): Record<Language, Same<Words>> {
  return both as Record<Language, Same<Words>>;
}

let chosen: Language | undefined;

/** What `--lang` says holds for all that this process tells people; undefined: as the environment says. */
export function speak(language: Language | undefined): void {
  chosen = language;
}

/** The language of a person: as asked for, else by `--lang`, else by the environment's locale. */
export function languageOf(given?: Language, environment: NodeJS.ProcessEnv = process.env): Language {
  const asked = given ?? chosen;
  if (asked !== undefined) return asked;
  const locale = environment["LC_ALL"] || environment["LC_MESSAGES"] || environment["LANG"] || "";
  return /^vi([_.@-]|$)/i.test(locale) ? "vi" : "en";
}

/** `--lang` anywhere among the arguments of a command line, before anything else is known of them. */
export function languageIn(args: readonly string[]): Language | undefined {
  const given = /^--lang[=\n](en|vi)$/m.exec(args.join("\n"))?.[1];
  return given === "en" || given === "vi" ? given : undefined;
}

/** The arguments without a `--lang` before the verb. */
export function withoutLanguage(args: readonly string[]): readonly string[] {
  if (args[0] === "--lang") return args.slice(2);
  return args[0]?.startsWith("--lang=") === true ? args.slice(1) : args;
}
