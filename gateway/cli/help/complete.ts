import type { Argument, Command, Option } from "commander";
import { describeError, type ErrorCode, errorTable, printable } from "../../errors.ts";
import { listDrivers } from "../../config/drivers.ts";
import { listProfiles } from "../../profiles/profiles.ts";
import { languageOf } from "../../words.ts";
import { Verbs } from "../program.ts";
import { type KnownDevice, knownDevices, writablePoints } from "../site-names.ts";

/** The words that may stand where a person pressed Tab, for the scripts of `kerb completion`. */

interface Candidate {
  word: string;
  about?: string;
}

/** `files`: the shell looks for files; `nospace`: what is taken goes on. */
interface Answer {
  kind: "words" | "files" | "nospace";
  list: Candidate[];
}

const words = (list: Candidate[]): Answer => ({ kind: "words", list });
const plain = (list: readonly string[]): Answer => words(list.map((word) => ({ word })));
const files: Answer = { kind: "files", list: [] };

/** What is on the command line before the word that is being written. */
interface Line {
  command: Command;
  /** Its arguments that are written already. */
  given: string[];
  /** The option whose value comes next. */
  open: Option | undefined;
  site: string | undefined;
}

function readLine(before: readonly string[]): Line {
  let { program: command } = new Verbs({ code: 0 });
  const line: Line = { command, given: [], open: undefined, site: undefined };
  for (const word of before) {
    if (line.open !== undefined) {
      if (line.open.long === "--site") line.site = word;
      // Of a list of values any more may follow.
      if (!line.open.variadic) line.open = undefined;
      if (!word.startsWith("-")) continue;
      line.open = undefined;
    }
    if (word.startsWith("-")) {
      const option = command.options.find(({ short, long }) => word === short || word === long);
      if (option !== undefined && (option.required || option.optional)) line.open = option;
      if (word.startsWith("--site=")) line.site = word.slice("--site=".length);
      continue;
    }
    const inner = line.given.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (inner === undefined) line.given.push(word);
    else command = inner;
  }
  return { ...line, command };
}

const deviceWords = (devices: readonly KnownDevice[]): Answer =>
  words(devices.map(({ id, name }) => ({ word: id, about: name })));

/** What a value is called in the help says what it is. */
async function valuesNamed(name: string, { command, given, site }: Line): Promise<Answer> {
  if (/^(file|files|folder|path)$/.test(name)) return files;
  if (/^(device|id|ids)$/.test(name) && command.name() !== "profiles")
    return deviceWords(await knownDevices(site));
  if (name === "points") {
    const [device = ""] = given;
    if (command.name() === "write")
      return { kind: "nospace", list: writablePoints(site, device).map((point) => ({ word: `${point}=` })) };
    const points = (await knownDevices(site, device)).flatMap((one) => one.points);
    return plain(points.filter((point) => !given.includes(point)));
  }
  if (/^(profile|profiles)$/.test(name) || command.name() === "profiles") return plain(listProfiles());
  if (name === "code")
    return words(
      (Object.keys(errorTable) as ErrorCode[]).map((word) => ({
        word,
        about: describeError(word, languageOf()).title,
      })),
    );
  if (name === "driver") return plain(listDrivers());
  if (name === "verb") return words(verbWords({ command: command.parent ?? command }));
  if (name === "shell") return plain(["bash", "zsh", "fish"]);
  return words([]);
}

function verbWords({ command }: Pick<Line, "command">): Candidate[] {
  return command.commands.map((one) => ({ word: one.name(), about: one.description() }));
}

function optionWords({ command }: Line): Candidate[] {
  return [
    ...command.options.map(({ long, description }) => ({ word: long ?? "", about: description })),
    { word: "--help" },
  ];
}

/** The argument that is being written; the last one may be a list. */
function argumentAt({ command, given }: Line): Argument | undefined {
  const all = command.registeredArguments;
  const last = all.at(-1);
  return all[given.length] ?? (last?.variadic === true ? last : undefined);
}

async function answerTo(before: readonly string[], current: string): Promise<Answer> {
  const line = readLine(before);
  const { open, command } = line;
  if (open !== undefined && !(open.variadic && current.startsWith("-"))) {
    if (open.argChoices !== undefined) return plain(open.argChoices);
    return valuesNamed(/<([a-z]+)/.exec(open.flags)?.[1] ?? "", line);
  }
  if (current.startsWith("-")) return words(optionWords(line));
  if (command.commands.length > 0 && line.given.length === 0) {
    const inner = verbWords(line);
    if (command.registeredArguments.length === 0) return words(inner);
  }
  const argument = argumentAt(line);
  return argument === undefined ? words(optionWords(line)) : valuesNamed(argument.name(), line);
}

/**
 * `kerb __complete WORD..`: the last word is the one being written. Prints the kind of the answer, then a word a line
 * with what it is behind a tab. Never complains: nobody asked.
 */
export async function complete(given: readonly string[]): Promise<void> {
  const current = given.at(-1) ?? "";
  const { kind, list } = await answerTo(given.slice(0, -1), current).catch(() => words([]));
  // A shell puts the word into the command line as it is: one that a shell would read as more is not offered.
  const fitting = list.filter(
    ({ word }) =>
      word.toLowerCase().startsWith(current.toLowerCase()) && /^[\p{L}\p{N}_./:=@,+-]*$/u.test(word),
  );
  const lines = fitting.map(({ word, about = "" }) => `${word}\t${printable(about.replaceAll(/\s+/g, " "))}`);
  process.stdout.write([kind, ...lines].map((text) => `${text}\n`).join(""));
}
