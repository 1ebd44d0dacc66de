import type { Language } from "../../config/error-texts.ts";
import { complaintWords } from "../complaint-words.ts";
import { usageError } from "../errors.ts";

/** POINT=VALUE of the command line. */

export interface Assignment {
  point: string;
  /** As it was typed. */
  text: string;
}

export function assignmentsOf(given: readonly string[], language: Language): Assignment[] {
  return given.map((one, i) => {
    const [, point, text] = /^([^=]{1,100})=(.*)$/s.exec(one) ?? [];
    const isTwice = given.findIndex((other) => other.startsWith(`${point ?? ""}=`)) !== i;
    if (point !== undefined && text !== undefined && !isTwice) return { point, text };
    const said = complaintWords[language];
    throw usageError(said.noAssignment(one), said.assignmentCure, language);
  });
}

/** A value of which only the text is known: a number, true or false, else a text; in double quotes always a text. */
export function valueOf(text: string): number | boolean | string {
  const [, quoted] = /^"(.*)"$/s.exec(text) ?? [];
  if (quoted !== undefined) return quoted;
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
}

/** The same of a point that is known: a boolean is also on and off, and a text needs no quotes. */
export function valueFor(
  text: string,
  { kind, words }: { kind: "number" | "boolean" | "text"; words?: readonly string[] | undefined },
): number | boolean | string {
  if (words !== undefined || kind === "text") return /^"(.*)"$/s.exec(text)?.[1] ?? text;
  if (kind === "boolean" && (text === "on" || text === "off")) return text === "on";
  return valueOf(text);
}
