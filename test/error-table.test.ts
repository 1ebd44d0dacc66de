import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Verbs } from "../gateway/cli/program.ts";
import { span, took } from "../gateway/text.ts";
import { type ErrorCode, errorTable } from "../gateway/errors.ts";
import { speak } from "../gateway/words.ts";
import { root } from "./cli-rig.ts";
import { run } from "./cli-said.ts";

/** Every code is whole in both languages, is what `kerb explain` prints, and sends nobody to a verb that is not there. */

const languages = ["en", "vi"] as const;
const table = Object.entries(errorTable) as [ErrorCode, (typeof errorTable)[ErrorCode]][];
const { program } = new Verbs({ code: 0 });
type Command = typeof program;

/** Words that follow kerb where it is the name of the program: English ones, and all that begin no command. */
const proseWords =
  "again and can cannot does has have if in is kerb listen may never on reads sang sends starts than to trusts waits was wrote";
const prose = new Set(proseWords.split(" "));
const isProse = (word: string): boolean => prose.has(word) || !/^[a-z]+(?:-[a-z]+)*$/.test(word);

const optionsOf = (command: Command): string[] => [
  "--help",
  ...command.options.flatMap(({ long }) => (long === undefined ? [] : [long])),
];

/** What is wrong with one "kerb …" that somebody may type, up to where the sentence goes on. */
function mistakeIn(typed: string): string | undefined {
  const [first = "", ...rest] = typed.split(/ +/);
  let command = program.commands.find((one) => one.name() === first);
  if (command === undefined) return isProse(first) ? undefined : `there is no verb "${first}"`;
  const [inner = ""] = rest;
  if (command.commands.length > 0 && inner !== "" && !isProse(inner)) {
    const group = command;
    command = group.commands.find((one) => one.name() === inner);
    if (command === undefined) return `there is no "${first} ${inner}"`;
  }
  const known = optionsOf(command);
  const wrong = rest.find((word) => word.startsWith("--") && !known.includes(word.replace(/=.*$/, "")));
  return wrong === undefined ? undefined : `"${first}" has no ${wrong}`;
}

/** Every command that a text names; three blanks stand between two hints. */
const commandsIn = (text: string): string[] =>
  [...text.matchAll(/\bkerb ((?:[^\s`;,)(…]+)(?: [^\s`;,)(…]+)*)/g)].map(([, words = ""]) =>
    words.replaceAll(/[.:'"]+(?= |$)/g, " ").trim(),
  );

const mistakesIn = (text: string): string[] =>
  commandsIn(text).flatMap((typed) => {
    const mistake = mistakeIn(typed);
    return mistake === undefined ? [] : [`kerb ${typed}: ${mistake}`];
  });

describe("the table of errors and causes", () => {
  it("has title, likely and do in both languages, each of its own, with nothing left to fill in", () => {
    const wrong = table.flatMap(([code, { title, likely, do: remedy }]) =>
      [title, likely, remedy].flatMap((text) => {
        const both = languages.map((language) => text[language]);
        const isWhole = both.every((one) => one.trim().length > 5 && one === one.trim());
        // A reference to a secret is typed as it stands.
        const bare = both.join(" ").replaceAll(/\$\{(?:secret|env|file):[^}]*\}/g, "");
        const isFilled = !/\$\{|\{\}|\bundefined\b|\bnull\b|NaN|\[object|%[sd]|TODO|XXX/.test(bare);
        return isWhole && isFilled && both[0] !== both[1] ? [] : [`${code}: ${both.join(" | ")}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it.each(languages)("is what kerb explain prints, code by code: %s", async (language) => {
    for (const [code, { title, likely, do: remedy }] of table) {
      const { out, ...found } = await run("explain", code, "--lang", language);
      expect(found, code).toEqual({ code: 0, err: "" });
      expect(out, code).toContain(`${code}  ${title[language]}`);
      for (const text of [likely, remedy]) expect(out, code).toContain(text[language]);
      expect(out, code).not.toMatch(/undefined|\[object/);
    }
  });

  it("names only verbs that are there, with options that they have", () => {
    const wrong = table.flatMap(([code, { title, likely, do: remedy }]) =>
      [title, likely, remedy].flatMap((text) =>
        languages.flatMap((language) => mistakesIn(text[language]).map((one) => `${code}: ${one}`)),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("is not the only place that sends people to a verb: so do all words", () => {
    const folder = join(root, "gateway");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith("-words.ts"),
    );
    expect(files.length).toBeGreaterThan(30);
    const wrong = files.flatMap((file) => {
      // What is put in is not known here, and stands for one word.
      const text = readFileSync(join(folder, file), "utf8").replaceAll(/\$\{[^{}]*\}/g, "X");
      const said = text.match(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|'[^'\n]*'/g) ?? [];
      return said.flatMap((one) => mistakesIn(one).map((mistake) => `${file}: ${mistake}`));
    });
    expect(wrong).toEqual([]);
  });

  it("notices a verb and an option that are not there", () => {
    expect(mistakesIn("look: kerb whi DEVICE, then `kerb status`")).toEqual([
      'kerb whi DEVICE: there is no verb "whi"',
    ]);
    expect(mistakesIn("kerb device ad 3; kerb device add 3 --usr NAME")).toHaveLength(2);
    expect(mistakesIn("kerb device add 3 --user NAME; kerb config check; kerb cannot do it")).toEqual([]);
  });
});

describe("how long something takes", () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  it.each([
    [0, "0.0 s", "0.0 giây", "1 ms", "1 ms"],
    [59 * second, "59 s", "59 giây", "59 s", "59 giây"],
    [61 * second, "61 s", "61 giây", "61 s", "61 giây"],
    [3599 * second, "60 min", "60 phút", "60 min", "60 phút"],
    [3601 * second, "60 min", "60 phút", "60 min", "60 phút"],
    [90 * minute, "2 h", "2 giờ", "2 h", "2 giờ"],
    [25 * hour, "25 h", "25 giờ", "25 h", "25 giờ"],
    [8 * day, "8 d", "8 ngày", "8 d", "8 ngày"],
  ])("%d ms", (ms, en, vi, tookEn, tookVi) => {
    const said = languages.map((language) => {
      speak(language);
      return [span(ms), took(ms)];
    });
    speak(undefined);
    expect(said).toEqual([
      [en, tookEn],
      [vi, tookVi],
    ]);
  });
});
