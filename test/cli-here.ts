import { readFileSync } from "node:fs";
import { Ajv, type ValidateFunction } from "ajv";
import { expect, vi } from "vitest";
import { schemaFile, verbOutputs } from "../gateway/cli/output-schemas.ts";
import { runVerb } from "../gateway/cli/program.ts";
import { languageIn, speak } from "../gateway/words.ts";

/** Verbs in this process, and the published schemas of what they print for machines. */

const root = new URL("..", import.meta.url);

export interface Said {
  code: number;
  out: string;
  err: string;
}

/** A verb in this process, which has all loaded already: a real one takes a third of a second to start. */
export async function run(...args: string[]): Promise<Said> {
  const said: Said = { code: 0, out: "", err: "" };
  const keep = (name: "out" | "err") => (text: string | Uint8Array) => {
    said[name] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(keep("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(keep("err")),
  ];
  speak(languageIn(args) ?? "en");
  try {
    said.code = await runVerb(args);
  } finally {
    speak(undefined);
    for (const spy of spies) spy.mockRestore();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(name);
  }
  return said;
}

/** The published schemas, and which kinds of them have been seen. */
export class Published {
  readonly #validators = new Map<string, ValidateFunction>();
  readonly seen = new Set<string>();
  readonly all: string[] = [];

  static async open(): Promise<Published> {
    const published = new Published();
    // Draft 7 as zod writes it has unions of types and members that only one branch requires.
    const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });
    for (const [verb, kinds] of Object.entries(await verbOutputs())) {
      const schema = JSON.parse(readFileSync(new URL(schemaFile(verb), root), "utf8")) as object;
      published.#validators.set(verb, ajv.compile(schema));
      published.all.push(...Object.keys(kinds).map((kind) => `${verb}: ${kind}`));
    }
    return published;
  }

  /** Holds each line that a verb printed against the verb's schema. */
  check(verb: string, out: string): void {
    const validate = this.#validators.get(verb);
    if (validate === undefined) throw new Error(`no schema of ${verb} is published`);
    const lines = out.split("\n").filter((line) => line !== "");
    expect(lines.length, verb).toBeGreaterThan(0);
    for (const line of lines) {
      const found = JSON.parse(line) as { kind: string; data?: unknown };
      const isValid = validate(found);
      expect.soft(isValid ? [] : validate.errors, `${verb}: ${line.slice(0, 600)}`).toEqual([]);
      this.seen.add("data" in found ? `${verb}: ${found.kind}` : `${verb}: failure`);
    }
  }
}
