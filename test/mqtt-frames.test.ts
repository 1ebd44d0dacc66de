import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Answer } from "../gateway/driver.ts";
import { MqttRig, shown, until } from "./mqtt-rig.ts";

/** Each file of `drivers/mqtt/frames` says what stands on the wire and what the driver must make of it. */

type Tree = Record<string, unknown>;

const value = (answer: Answer | undefined) => {
  const one = shown(answer);
  return typeof one === "bigint" ? `${one}n` : (one ?? null);
};
const timeOf = (answer: Answer) => (typeof answer === "object" ? (answer.sourceTimeMs ?? null) : null);

describe("golden frames", () => {
  const folder = new URL("../drivers/mqtt/frames/", import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));

  test("there are some", () => expect(files.length).toBeGreaterThan(5));

  test.each(files)("%s", async (file) => {
    const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
    const field = (name: string): string =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
    const parsed = (name: string, otherwise: unknown): unknown =>
      field(name) === "" ? otherwise : JSON.parse(field(name));
    expect(field("origin")).toMatch(/\S/);
    const rig = await MqttRig.open();
    const settings = parsed("settings", {}) as Tree;
    const listening = await rig.listen(
      settings,
      parsed("points", []) as Tree[],
      parsed("records", []) as Tree[],
    );
    for (const line of lines) {
      // A topic may have blanks, a payload begins with a brace.
      const [, json, body = ""] = /^message: (.*?) (\{.*)$/.exec(line) ?? [];
      const [, binary, hex = ""] = /^hex: (.*) ([0-9a-f]+)$/.exec(line) ?? [];
      if (json !== undefined) rig.publish(json, body);
      if (binary !== undefined) rig.publish(binary, Buffer.from(hex, "hex"));
    }
    const values = parsed("values", []) as unknown[];
    const recorded = parsed("recorded", []) as unknown[];
    await until(
      `${values.length} values and ${recorded.length} records`,
      () => listening.readingsTold.length >= values.length && listening.records.length >= recorded.length,
    );
    expect(listening.readingsTold.map(({ index, answer }) => [index, value(answer), timeOf(answer)])).toEqual(
      values,
    );
    expect(
      listening.records.map(({ index, phase, answers, sourceTimeMs }) => [
        index,
        phase,
        answers.map(value),
        sourceTimeMs ?? null,
      ]),
    ).toEqual(recorded);
  });
});
