import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { expect } from "vitest";
import { schemaFile, verbOutputs } from "../gateway/cli/output-schemas.ts";
import { root } from "./cli-rig.ts";

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
      const schema = JSON.parse(readFileSync(join(root, schemaFile(verb)), "utf8")) as object;
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
