import { type Command, type CommanderError, InvalidArgumentError } from "commander";
import { languageOf } from "../../words.ts";
import { type CommandError, usageError } from "../errors.ts";
import { usageWords } from "./usage-words.ts";

/** Complaints about how a command line is written, and what reads the values of options. */

/** Reads a whole number. Throws commander's `InvalidArgumentError`. */
export function number(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most && text.trim() !== "") return value;
    throw new InvalidArgumentError(usageWords[languageOf()].wholeNumber(String(least), String(most)));
  };
}

const spanUnits: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads "60s" as milliseconds. Throws commander's `InvalidArgumentError`. */
export function timeSpan(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|min|h|d)$/.exec(text) ?? [];
  const ms = Number(amount) * (spanUnits[unit] ?? Number.NaN);
  if (Number.isFinite(ms)) return ms;
  throw new InvalidArgumentError(usageWords[languageOf()].timeSpan);
}

/** What commander writes, and the sentence for it. */
const sentences: [pattern: RegExp, of: (text: (typeof usageWords)["en"], ...places: string[]) => string][] = [
  [/^missing required argument '(.*)'$/s, (text, name = "") => text.missingArgument(name)],
  [/^option '(.*)' argument missing$/s, (text, option = "") => text.missingValue(option)],
  [/^required option '(.*)' not specified$/s, (text, option = "") => text.missingOption(option)],
  [/^unknown option '(.*)'$/s, (text, option = "") => text.unknownOption(option)],
  [
    /^too many arguments.*Expected (\d+) arguments? but got (\d+): (.*)\.$/s,
    (text, expected = "", got = "", what = "") => text.tooMany(expected, got, what),
  ],
  [
    /^option '(.*?)' (?:argument|value) '(.*)' (?:from env '.*' )?is invalid\. (.*)$/s,
    (text, option = "", value = "", why = "") => text.wrongValue(option, value, why),
  ],
  [
    /^command-argument value '(.*)' is invalid for argument '(.*?)'\. (.*)$/s,
    (text, value = "", name = "", why = "") => text.wrongArgument(value, name, why),
  ],
  [
    /^option '(.*)' cannot be used with option '(.*)'$/s,
    (text, one = "", other = "") => text.conflict(one, other),
  ],
];

/** The one verb that begins so: "dev" is device, whatever else is spelled like it. */
function begunBy(word: string, names: readonly string[], program: Command): string | undefined {
  const [first, ...rest] = names;
  const inner = program.commands.find((command) => command.name() === first);
  if (inner !== undefined) return begunBy(word, rest, inner);
  const begun = program.commands.filter((command) => command.name().startsWith(word));
  return begun.length === 1 && word.length > 1 ? begun[0]?.name() : undefined;
}

/** The verbs that the arguments name: "profile new". */
function verbsOf(args: readonly string[], program: Command): string[] {
  const inner = program.commands.find((command) => command.name() === args[0]);
  return inner === undefined ? [] : [inner.name(), ...verbsOf(args.slice(1), inner)];
}

/** Commander's "error: unknown option '--wach'\n(Did you mean --watch?)" as a sentence and its cure. */
export function usageOf(error: CommanderError, args: readonly string[], program: Command): CommandError {
  const text = usageWords[languageOf()];
  const [sentence = "", suggestion] = error.message.replace(/^error: /, "").split(/\n(?=\(Did you mean)/);
  const meant = /Did you mean (?:one of )?(.+)\?/.exec(suggestion ?? "")?.[1];
  const known = verbsOf(args, program);
  const help = ["kerb", ...known, "--help"].join(" ");
  if (error.code === "commander.help")
    return usageError(text.needsVerb(known.join(" ")), text.listsThem(help));
  if (error.code === "commander.unknownCommand") {
    const given = args.slice(0, known.length + 1).join(" ");
    const verb = begunBy(args[known.length] ?? "", known, program) ?? meant;
    const full = ["kerb", ...known, verb].join(" ");
    return usageError(text.noVerb(given), verb === undefined ? text.listsVerbs(help) : text.meant(full));
  }
  const named = sentence.replace(/Allowed choices are (.*)\.$/, (_, list: string) => text.choices(list));
  const [found] = sentences.flatMap(([pattern, of]) => {
    const [, ...places] = pattern.exec(named) ?? [];
    return places.length === 0 ? [] : [of(text, ...places)];
  });
  return usageError(found ?? named, meant === undefined ? text.shows(help) : text.meant(meant));
}
