import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import { helpTexts } from "../gateway/cli/help/help.ts";
import { vietnameseHelp } from "../gateway/cli/help/help-words.ts";
import { dictionary } from "../gateway/cli/language.ts";
import { Verbs } from "../gateway/cli/program.ts";
import { displayWidth } from "../gateway/text.ts";
import { verbs } from "../gateway/cli/verbs.ts";
import { languageIn, languageOf, withoutLanguage } from "../gateway/words.ts";
import { root } from "./cli-rig.ts";

/** Both languages say the same: the same keys, the same places in a sentence, the same things to type. */

const folder = join(root, "gateway");
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
  (name) => name.endsWith("-words.ts") && name !== join("cli", "help", "help-words.ts"),
);

type Dictionary = Record<"en" | "vi", unknown>;

function isDictionary(value: unknown): value is Dictionary {
  return typeof value === "object" && value !== null && "en" in value && "vi" in value;
}

/** Stands for any argument: as a text it is a mark that can be found again, and so is each of its members. */
function mark(name: string): unknown {
  return new Proxy(new String(name), {
    get(target, key) {
      if (key === Symbol.toPrimitive || key === "toString" || key === "toFixed") return () => name;
      const own: unknown = Reflect.get(target, key);
      if (typeof own === "function") return own.bind(target) as unknown;
      return own ?? `⟨${name}.${String(key)}⟩`;
    },
  });
}

/** What a sentence says with marks in its places. */
function spoken(sentence: (...places: unknown[]) => unknown): unknown {
  return sentence(...Array.from({ length: sentence.length }, (_, i) => mark(`⟨${i}⟩`)));
}

const texts = (value: unknown): string => (Array.isArray(value) ? value.join("\n") : String(value));

const verbNames = verbs.map(({ name }) => name).join("|");
const typed = new RegExp(
  String.raw`⟨[^⟩]*⟩|--[a-z][a-z-]*|\bkerb (?:${verbNames})\b|KERB[-_][A-Z_-]+|[\w/.-]+\.(?:yaml|db|json)`,
  "g",
);

/** What must be in a text whatever its language, sorted. */
function fixedParts(text: string): string[] {
  return [...new Set(text.match(typed) ?? [])].sort();
}

/** Where two languages differ, by the way to the key. */
function differences(en: unknown, vi: unknown, path: string): string[] {
  if (typeof en === "object" && en !== null && !Array.isArray(en)) {
    const [left, right] = [en as Record<string, unknown>, (vi ?? {}) as Record<string, unknown>];
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    return keys.flatMap((key) =>
      key in left && key in right
        ? differences(left[key], right[key], `${path}.${key}`)
        : [`${path}.${key} is in one language only`],
    );
  }
  const [said, told] = [en, vi].map((value) =>
    texts(typeof value === "function" ? spoken(value as (...places: unknown[]) => unknown) : value),
  ) as [string, string];
  const [wanted, found] = [fixedParts(said).join(" "), fixedParts(told).join(" ")];
  return [
    ...(wanted === found ? [] : [`${path} has [${wanted}] in English and [${found}] in Vietnamese`]),
    ...(told.trim() === "" && said.trim() !== "" ? [`${path} is empty in Vietnamese`] : []),
    ...(told === told.normalize("NFC") ? [] : [`${path} is not in normal form C`]),
  ];
}

test.each(files)("%s says the same in both languages", async (file) => {
  const exported = (await import(join(folder, file))) as Record<string, unknown>;
  const found = Object.entries(exported).filter(([, value]) => isDictionary(value)) as [string, Dictionary][];
  expect(found.length, "a file of words exports words({ en, vi })").toBeGreaterThan(0);
  expect(found.flatMap(([name, { en, vi }]) => differences(en, vi, name))).toEqual([]);
});

describe("the words", () => {
  it("of the dictionary are the same", () => {
    expect(differences(dictionary.en, dictionary.vi, "dictionary")).toEqual([]);
  });

  it("of a sentence that lacks a place, an option or a key are told apart", () => {
    const en = { a: (x: string) => `--site ${x}`, b: "kerb read X" };
    expect(differences(en, { a: (x: string) => `tệp --site ${x}`, b: "hãy kerb read X" }, "w")).toEqual([]);
    expect(differences(en, { a: () => "tệp --site", b: "kerb read" }, "w")).toHaveLength(1);
    expect(differences(en, { a: (x: string) => `--sit ${x}`, b: "đọc X" }, "w")).toHaveLength(2);
    expect(differences(en, { a: en.a }, "w")).toEqual(["w.b is in one language only"]);
  });
});

describe("help", () => {
  const { program } = new Verbs({ code: 0 });
  const said = new Set(program.commands.flatMap(helpTexts));

  it("of every option, argument and inner verb is in help-words.ts, and nothing else is", () => {
    const own = new Set(["display help for command", ...said]);
    expect([...own].filter((text) => vietnameseHelp[text] === undefined)).toEqual([]);
    expect(Object.keys(vietnameseHelp).filter((text) => !own.has(text))).toEqual([]);
  });

  it("names the same things to type in both languages", () => {
    const wrong = Object.entries(vietnameseHelp).flatMap(([en, vi]) => differences(en, vi, en));
    expect(wrong).toEqual([]);
  });

  it("fits a line, and is there for each verb that commander knows", () => {
    expect(program.commands.map((command) => command.name()).sort()).toEqual(
      verbs.map(({ name }) => name).sort(),
    );
    const wide = verbs.filter(({ summary }) =>
      Object.values(summary).some((text) => displayWidth(text) > 70),
    );
    expect(wide.map(({ name }) => name)).toEqual([]);
    expect(verbs.flatMap(({ name, summary }) => differences(summary.en, summary.vi, name))).toEqual([]);
  });

  it("every verb and inner verb has --json and --lang", () => {
    const all = (command: (typeof program.commands)[number]): string[] => [
      ...(["--json", "--lang"].every((long) => command.options.some((option) => option.long === long))
        ? []
        : [command.name()]),
      ...command.commands.flatMap(all),
    ];
    expect(program.commands.flatMap(all)).toEqual([]);
  });
});

describe("the language", () => {
  it.each([
    [{ LANG: "vi_VN.UTF-8" }, "vi"],
    [{ LANG: "vi" }, "vi"],
    [{ LANG: "vi_VN.UTF-8", LC_MESSAGES: "en_GB.UTF-8" }, "en"],
    [{ LANG: "en_US.UTF-8", LC_ALL: "vi_VN", LC_MESSAGES: "de" }, "vi"],
    [{ LANG: "vietnam" }, "en"],
    [{}, "en"],
  ])("%j is %s", (environment, language) => {
    expect(languageOf(undefined, environment)).toBe(language);
    expect(languageOf("vi", environment)).toBe("vi");
  });

  it("is found wherever --lang stands", () => {
    expect(languageIn(["status", "--lang", "vi"])).toBe("vi");
    expect(languageIn(["--lang=en", "status"])).toBe("en");
    expect(languageIn(["write", "--reason", "--lang vi"])).toBeUndefined();
    expect(withoutLanguage(["--lang", "vi", "status"])).toEqual(["status"]);
    expect(withoutLanguage(["--lang=vi"])).toEqual([]);
  });
});
