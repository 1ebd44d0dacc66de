import type { Language } from "../../config/error-texts.ts";
import type { Diagnosed, Finding, Step } from "../../diagnosis/facts.ts";
import { type Climb, climbed } from "../../diagnosis/ladder.ts";
import { describeError, printable } from "../../errors.ts";
import { dictionary } from "../language.ts";
import { hint, printLines } from "../output.ts";
import { displayWidth, forDevice, marks, pad, paint, took } from "../../text.ts";
import { whyWords } from "./why-words.ts";

/** The ladder of a device as people and machines see it: `kerb why`, `kerb device add`. */

const columns = 80;
/** A technician who has asked for it waits so long for other line settings to be tried. */
const searchMs = 10_000;

/** A text in lines of at most `width` columns, broken at spaces. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || displayWidth(last) + 1 + displayWidth(word) > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** "label  text", the text in as many lines as it needs. */
export function labelled(label: string, text: string, indent: number, labelWidth: number): string[] {
  const left = indent + labelWidth + 1;
  return wrapped(text, Math.max(30, columns - left)).map((line, index) =>
    index === 0 ? `${" ".repeat(indent)}${pad(label, labelWidth)} ${line}` : `${" ".repeat(left)}${line}`,
  );
}

/** Seen, likely, do: the lines below the title of a cause. */
export function causeLines({ code, seen, severity }: Finding, language: Language, device?: string): string[] {
  const words = dictionary[language];
  const indent = 3;
  const { title, likely, do: remedy } = describeError(code, language);
  const width = Math.max(9, ...[words.seen, words.likely, words.remedy].map(displayWidth)) + 1;
  const colour = severity === "bad" ? "red" : "yellow";
  return [
    ...wrapped(`${code}  ${title}`, columns - indent).map(
      (line) => `${" ".repeat(indent)}${paint(colour, line)}`,
    ),
    ...labelled(words.seen, seen[language], indent, width),
    ...labelled(words.likely, likely, indent, width),
    ...labelled(words.remedy, forDevice(remedy, device), indent, width),
  ];
}

/** Where no rule fits: that it is so, and everything that was seen. */
export function observationLines({ facts }: Diagnosed, language: Language): string[] {
  const words = whyWords[language];
  const seen = Object.entries(facts).toSorted(([a], [b]) => a.localeCompare(b));
  const width = Math.max(...seen.map(([name]) => name.length)) + 1;
  return [
    `   ${paint("yellow", words.noCause)}`,
    `   ${words.noCauseDo}`,
    ...seen.flatMap(([name, fact]) => labelled(name, printable(String(fact)), 5, width)),
  ];
}

function stepLines({ step, verdict, evidence, ms }: Step, number: number, language: Language): string[] {
  const words = whyWords[language];
  const width = Math.max(...Object.values(words.rungs).map(displayWidth));
  const [mark, colour] = marks[verdict];
  const time = step === "values" && ms !== undefined ? `, ${took(ms)}` : "";
  return wrapped(`${evidence[language]}${verdict === "ok" ? time : ""}`, columns - width - 6).map(
    (line, index) =>
      index === 0
        ? `${String(number).padStart(2)} ${pad(words.rungs[step], width)} ${paint(colour, mark)} ${line}`
        : `${" ".repeat(width + 6)}${line}`,
  );
}

/** Climbs, and prints each step as it is done; those that were not tried are not said. `isJson`: nothing is printed. */
export async function climbAloud(climb: Climb, language: Language, isJson: boolean): Promise<Diagnosed> {
  let number = 0;
  const searching = () => {
    if (!isJson) hint(whyWords[language].searching(searchMs / 1000));
  };
  return climbed({ ...climb, searchMs, searching }, (step) => {
    if (!isJson && step.verdict !== "skipped") printLines(stepLines(step, ++number, language));
  });
}

/** A cause for machines: its texts in one language. */
function plainFinding({ code, severity, step, seen }: Finding, language: Language, device?: string) {
  const { title, likely, do: remedy } = describeError(code, language);
  return { code, severity, step, title, seen: seen[language], likely, do: forDevice(remedy, device) };
}

/** What a climb has found, for machines: its texts in one language. */
export function plainDiagnosis(
  { steps, failed, causes, facts }: Diagnosed,
  language: Language,
  device?: string,
) {
  return {
    steps: steps.map(({ evidence, ...step }) => ({ ...step, evidence: evidence[language] })),
    failed,
    causes: causes.map((one) => plainFinding(one, language, device)),
    facts,
  };
}
