import type { z } from "zod";
import { YamlDocument, type YamlOptions } from "./document.ts";
import { fileBytesMax, readText, tooLarge } from "./file-text.ts";
import type { Path, Place } from "./path.ts";
import { ConfigError } from "../errors.ts";

function unusable(file: string, problem: string): ConfigError {
  const message = `the file cannot be used: ${problem}`;
  return new ConfigError([
    { file, line: 0, column: 0, severity: "error", code: "KERB-CFG-FILE", message, sourceLine: "" },
  ]);
}

function parsed(text: string, file: string, options: YamlOptions): YamlDocument {
  const document = new YamlDocument(text, file, options);
  if (document.mistakes.some(({ code }) => code === "KERB-CFG-SYNTAX"))
    throw new ConfigError(document.mistakes);
  return document;
}

/** Reads a file without checking what it says. Throws `ConfigError` when it cannot be read or is not YAML. */
export function readYaml(file: string, options: YamlOptions = {}): YamlDocument {
  const content = options.read?.(file) ?? readText(file, fileBytesMax);
  if ("problem" in content) throw unusable(file, content.problem);
  return parsed(content.text, file, options);
}

export interface Loaded<T> {
  value: T;
  locate: (path: Path) => Place;
}

function checked<T>(document: YamlDocument, schema: z.ZodType<T>): Loaded<T> {
  const value = document.check(schema, document.value);
  if (document.mistakes.length > 0) throw new ConfigError(document.mistakes);
  return { value: value as T, locate: (path) => document.locate(path) };
}

/** Reads and checks a YAML 1.2 file of at most 1 MiB. Throws `ConfigError` with every mistake and its place. */
export function loadYaml<T>(file: string, schema: z.ZodType<T>, options: YamlOptions = {}): Loaded<T> {
  return checked(readYaml(file, options), schema);
}

/** `loadYaml` for text that is at hand; `file` is what messages call it and where references start from. */
export function parseYaml<T>(
  text: string,
  file: string,
  schema: z.ZodType<T>,
  options: YamlOptions = {},
): Loaded<T> {
  if (text.length > fileBytesMax) throw unusable(file, tooLarge(fileBytesMax));
  return checked(parsed(text, file, options), schema);
}
