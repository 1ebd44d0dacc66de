import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { siteSchema } from "./site-schema.ts";
import { nearest } from "./words.ts";
import { ConfigError } from "../errors.ts";
import { duration } from "../profiles/quantities.ts";
import { loadYaml, parseYaml } from "./yaml.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-yaml-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

function failure(run: () => unknown): ConfigError {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function messages(text: string, schema: z.ZodType = z.unknown()): string[] {
  const { diagnostics } = failure(() => parseYaml(text, "bad.yaml", schema));
  return diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

function deep(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}

describe("YAML", () => {
  it("is version 1.2: words of 1.1, dates and sexagesimals stay text", () => {
    const text =
      "a: no\nb: on\nc: 12:30\nd: 2026-01-01\ne: 0o17\nf: 0x1F\ng: ~\nh: .5\n'i': '1'\n1: one\n<<: { z: 1 }\n";
    expect(parseYaml(text, "a.yaml", z.unknown()).value).toEqual({
      a: "no",
      b: "on",
      c: "12:30",
      d: "2026-01-01",
      e: 15,
      f: 31,
      g: null,
      h: 0.5,
      i: "1",
      1: "one",
      "<<": { z: 1 },
    });
  });

  it.each([
    ["a tab", "a:\n\tb: 1\n", "2:1 a tab: indent with spaces"],
    [
      "an open bracket",
      "a: [1, 2\nb: 1\n",
      "2:1 this line is not indented like its neighbours, or a bracket is not closed",
    ],
    [
      "a crooked line",
      "a:\n  b: 1\n c: 2\n",
      "3:1 this line is not indented like its neighbours, or a bracket is not closed",
    ],
    ["an open quote", 'a: "b\n', '2:1 missing closing "quote'],
    [
      "a colon in a text",
      "a: b: c\n",
      '1:4 two keys on one line, or a line indented too far: a text with ": " in it must stand in quotes',
    ],
    ["a key without a colon", "name\nb: 1\n", '1:1 a key without ":"'],
    ["a reserved character", "a: @b\n", "1:4 a value that begins with this character must stand in quotes"],
    [
      "a second document",
      "a: 1\n---\nb: 1\n",
      '2:1 a second document begins here ("---"): one file holds one document',
    ],
    [
      "a key where a list goes on",
      "a:\n  - b: 1\n   c: 2\n",
      '3:1 this line is indented neither as the "-" of the list nor as the keys behind it',
    ],
    [
      "a tag",
      "a: !secret b\n",
      "1:4 tags such as !secret are not known: references are written as text, ${secret:NAME}",
    ],
    [
      "a tag of YAML 1.1",
      "a: !!binary aa==\n",
      "1:4 tags such as !secret are not known: references are written as text, ${secret:NAME}",
    ],
    ["another version", "%YAML 1.1\n---\na: yes\n", "1:1 only YAML 1.2 is read: delete the %YAML line"],
    ["a list as a key", "? [a]\n: 1\n", "1:3 a key must be a plain word"],
    ["an alias of nothing", "a: *b\n", '1:4 there is no anchor "&b" before this alias'],
    ["an alias of itself", "a: &a [*a]\n", "1:7 nested deeper than 64 levels"],
    ["a key of prototypes", "a: { __proto__: { b: 1 } }\n", '1:6 the key "__proto__" is not allowed'],
    ["a key twice", "a: 1\n'a': 2\n", '2:1 the key "a" is written twice: first on line 1'],
  ])("refuses %s", (_name, text, expected) => {
    expect(messages(text)).toEqual([expected]);
  });

  it("takes aliases within a bound", () => {
    expect(parseYaml("a: &x { b: 1 }\nc: *x\n", "a.yaml", z.unknown()).value).toEqual({
      a: { b: 1 },
      c: { b: 1 },
    });
    const laughs = Array.from(
      { length: 9 },
      (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n},`.repeat(9)}]\n`,
    ).join("");
    expect(messages(`l0: &l0 ha\n${laughs}`)).toEqual(
      ["6:9 aliases stand for more than 10000 values"].map(() =>
        expect.stringMatching(/aliases stand for more than 10000 values$/),
      ),
    );
  });

  it.each([
    ["brackets", "[".repeat(500_000), "1:50001"],
    ["commas", `[${",".repeat(900_000)}]`, "1:50001"],
    ["lists in lists", "- ".repeat(300_000), "1:100001"],
    ["anchors", "&a ".repeat(200_000), "1:150001"],
    ["keys", Array.from({ length: 90_000 }, (_, i) => `k: ${i}`).join("\n"), "50001:2"],
  ])("says where there is too much of it, and takes no memory: %s", (_, text, where) => {
    const before = process.memoryUsage().heapUsed;
    expect(messages(text)).toEqual([
      `${where} more than 50000 keys and entries: split the file, or leave some out`,
    ]);
    // The parser would take 1 to 2 KB for each.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000);
    expect(messages(`a: "${"[,".repeat(300_000)}`)).toHaveLength(1);
    expect(parseYaml(`a: "${"[,".repeat(300_000)}"`, "good.yaml", z.unknown()).value).toBeDefined();
  });

  it("bounds depth", () => {
    expect(() => parseYaml(deep(60), "a.yaml", z.unknown())).not.toThrow();
    expect(messages(deep(100))).toEqual(["1:66 nested deeper than 64 levels"]);
    expect(messages("\n".repeat(100_000))).toEqual([
      "100001:1 more than 100000 lines: split the file, or leave some out",
    ]);
    expect(messages("[".repeat(100_000))).toHaveLength(1);
  });

  it("survives CRLF, a byte order mark and tabs before the caret", () => {
    const file = write("crlf.yaml", "\ufeffa: 1\r\nlist: {\tx: 1 }\r\n");
    const error = failure(() => loadYaml(file, z.strictObject({ a: z.number(), list: z.strictObject({}) })));
    expect(error.render().replaceAll(`${folder}/`, "")).toBe(
      'crlf.yaml:2:9  error  unknown key "x"\n    2 | list: {\tx: 1 }\n      |        \t^',
    );
  });

  it("keeps the caret below its key behind Vietnamese in either form", () => {
    for (const form of ["NFC", "NFD"] as const) {
      const [, source = "", caret = ""] = failure(() =>
        parseYaml(
          `{ name: ${"Bảy Hiền".normalize(form)}, pol: 1 }`,
          "a.yaml",
          z.strictObject({ name: z.string(), poll: z.number().optional() }),
        ),
      )
        .render()
        .split("\n");
      expect(caret.indexOf("^")).toBe(source.normalize("NFC").indexOf("pol"));
    }
  });

  it("shows no control characters of the file, and only a part of a long line", () => {
    const text = `{ long: "${"x".repeat(5000)}", "k\\e[2J": "\u001b]0;title\u0007" }`;
    const rendered = failure(() => parseYaml(text, "a.yaml", z.strictObject({ long: z.string() }))).render();
    // oxlint-disable-next-line no-control-regex -- the very characters that must be absent
    expect(rendered).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    const [, source = "", caret = ""] = rendered.split("\n");
    expect(source.length).toBeLessThan(180);
    expect(source.slice(caret.indexOf("^"))).toMatch(/^"k/);
  });

  it("is coloured on demand only", () => {
    const error = failure(() => parseYaml("a: 1", "a.yaml", z.strictObject({})));
    expect(error.render()).not.toContain("\u001b");
    expect(error.render({ colour: true })).toContain("\u001b[31merror\u001b[0m");
  });

  it("tells where things stand", () => {
    const { locate } = parseYaml("a:\n  - id: x\n    b: 1\n", "a.yaml", z.unknown());
    expect(locate(["a", 0, "b"])).toEqual({ file: "a.yaml", line: 3, column: 8 });
    expect(locate(["a", 0, "none", "deeper"])).toEqual({ file: "a.yaml", line: 2, column: 5 });
  });
});

describe("a file that cannot be used", () => {
  it.each([
    ["missing", () => join(folder, "none.yaml"), "there is no such file"],
    ["below a file", () => join(write("file", ""), "none.yaml"), "there is no such file"],
    ["a folder", () => folder, "it is a folder"],
    ["a device", () => "/dev/zero", "it is not a regular file"],
    ["a name that no file can have", () => "a\0b", "it cannot be read (ERR_INVALID_ARG_VALUE)"],
    ["too large", () => write("large.yaml", "#".repeat(1024 ** 2 + 1)), "it is larger than 1024 KiB"],
    [
      "Latin 1",
      () => write("latin.yaml", Buffer.from("a: 1\nb: T\xfa\n", "latin1")),
      "it is not UTF-8 (line 2): save it as UTF-8",
    ],
    [
      "UTF-16",
      () => write("wide.yaml", Buffer.from("\ufeffa: 1\n", "utf16le")),
      "it is saved as UTF-16: save it as UTF-8",
    ],
  ])("%s", (_name, file, problem) => {
    const { diagnostics, message } = failure(() => loadYaml(file(), z.unknown()));
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      line: 0,
      column: 0,
      code: "KERB-CFG-FILE",
      message: `the file cannot be used: ${problem}`,
    });
    expect(message).not.toContain("\0");
  });

  it("a pipe does not block", () => {
    const pipe = join(folder, "pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    expect(failure(() => loadYaml(pipe, z.unknown())).message).toContain("it is not a regular file");
  });

  it("a link that goes in a circle", () => {
    symlinkSync(join(folder, "circle"), join(folder, "circle"));
    expect(failure(() => loadYaml(join(folder, "circle"), z.unknown())).message).toContain(
      "its links go round in a circle",
    );
  });
});

describe("unions", () => {
  const schema = z.strictObject({
    span: z.union([z.int().positive(), duration]).optional(),
    place: z
      .union([
        z.strictObject({ kind: z.literal("port"), port: z.int().max(9) }),
        z.strictObject({ kind: z.literal("host"), host: z.string() }),
      ])
      .optional(),
    list: z.union([z.string(), z.array(z.int())]).optional(),
  });
  it.each([
    ["span: -1", "1:7 expected a whole number greater than 0, found -1"],
    ["span: 5 s s", '1:7 expected a time span with its unit, such as "10s", found "5 s s"'],
    ["span: true", '1:7 expected a whole number greater than 0 or text such as "10s", found true'],
    ["place: { kind: port, port: 10 }", "1:28 expected a whole number of at most 9, found 10"],
    ["place: { kind: host, hots: a }", '1:22 unknown key "hots" - did you mean "host"?'],
    ["place: { kind: host }", '1:1 missing key "host"'],
    ["list: [1, x]", '1:11 expected a whole number, found "x"'],
    ["list: { a: 1 }", "1:7 expected text or a list, found keys and values"],
  ])("%s: the option that is meant speaks", (text, expected) => {
    expect(messages(text, schema)).toEqual([expected]);
  });
});

describe("references", () => {
  const schema = z.strictObject({
    text: z.string().optional(),
    port: z.int().max(65535).optional(),
    on: z.boolean().optional(),
  });

  it("stand for text, and for numbers where numbers are wanted", () => {
    vi.stubEnv("KERB_TEST_A", "8080");
    vi.stubEnv("KERB_TEST_B", "true");
    const text =
      "{ text: 'x-${env:KERB_TEST_A}-${env:KERB_TEST_B}', port: '${env:KERB_TEST_A}', on: '${env:KERB_TEST_B}' }";
    expect(parseYaml(text, "a.yaml", schema).value).toEqual({ text: "x-8080-true", port: 8080, on: true });
    expect(parseYaml("text: ${env:KERB_TEST_A}", "a.yaml", schema).value).toEqual({ text: "8080" });
  });

  it("are read from files and secrets without the last line end, and are not resolved twice", () => {
    mkdirSync(join(folder, "secrets"), { recursive: true });
    write("secrets/key", "${env:HOME}\n");
    write("note", "a\nb\r\n");
    const file = write("refs.yaml", "text: '${secret:key}|${file:note}'\n");
    expect(loadYaml(file, schema).value).toEqual({ text: "${env:HOME}|a\nb" });
    expect(loadYaml(file, schema, { references: false }).value).toEqual({
      text: "${secret:key}|${file:note}",
    });
    const elsewhere = loadYaml(write("refs.yaml", "text: ${secret:key}"), schema, {
      secretsFolder: join(folder, "secrets"),
    });
    expect(elsewhere.value).toEqual({ text: "${env:HOME}" });
  });

  it("cannot leave the secrets folder, be large or be something else", () => {
    write("large", "x".repeat(64 * 1024 + 1));
    const refused = (text: string) => {
      const { diagnostics } = failure(() => loadYaml(write("refs.yaml", `text: ${text}\n`), schema));
      return diagnostics.map(({ message }) => message.replaceAll(`${folder}/`, ""));
    };
    expect(refused("${secret:../refs.yaml}")).toEqual([
      'a secret is named by letters, digits, "-", "_" and ".", found "../refs.yaml"',
    ]);
    expect(refused("${file:large}")).toEqual([
      'the file "large" (large) cannot be used: it is larger than 64 KiB',
    ]);
    expect(refused("${file:.}")).toEqual([expect.stringMatching(/cannot be used: it is a folder$/)]);
    expect(refused("${KERB_TEST_A}")).toEqual([
      'write "${env:KERB_TEST_A}" for a variable of the environment',
    ]);
  });

  it("are bounded in sum", () => {
    write("half", "x".repeat(60_000));
    const text = Array.from({ length: 40 }, (_, n) => `k${n}: \${file:half}\n`).join("");
    const { diagnostics } = failure(() => loadYaml(write("refs.yaml", text), z.unknown()));
    expect(diagnostics[0]?.message).toBe("the references of this file stand for more than 1024 KiB");
  });

  it("are not shown by a schema's own message either", () => {
    vi.stubEnv("KERB_TEST_A", "hunter22");
    const telling = z.strictObject({
      text: z.string().refine(() => false, { error: (issue) => `bad: ${String(issue.input)}!` }),
    });
    expect(messages("text: a${env:KERB_TEST_A}b", telling)).toEqual([
      '1:7 bad: a${env:KERB_TEST_A}b! (found "a${env:KERB_TEST_A}b")',
    ]);
    vi.stubEnv("KERB_TEST_SHORT", "Q7");
    expect(messages("text: ${env:KERB_TEST_SHORT}", telling)).toEqual([
      '1:7 bad: ${env:KERB_TEST_SHORT}! (found "${env:KERB_TEST_SHORT}")',
    ]);
    const whole = telling.superRefine(({ text }, context) =>
      context.addIssue({ code: "custom", message: `all: ${text}` }),
    );
    const { text } = telling.shape;
    const outer = z
      .strictObject({ text: text.or(z.string()) })
      .superRefine((value, context) => context.addIssue({ code: "custom", message: `all: ${value.text}` }));
    expect(messages("text: ${env:KERB_TEST_A}", whole).join()).not.toContain("hunter");
    expect(messages("text: ${env:KERB_TEST_A}", outer)).toEqual(["1:1 all: ${env:KERB_TEST_A}"]);
  });
});

describe("did you mean", () => {
  it.each([
    ["pol", "poll"],
    ["size_max", "sizeMax"],
    ["Timeout", "timeout"],
    ["xy", undefined],
    ["completely", undefined],
  ])("%s", (word, meant) => {
    expect(nearest(word, ["poll", "sizeMax", "timeout", "id"])).toBe(meant);
  });
});

describe("whatever the text", () => {
  const schema = siteSchema.extend({
    devices: z.array(z.strictObject({ id: z.string(), poll: duration.optional() })).default([]),
  });
  const word = fc.constantFrom(
    "version",
    "gateway",
    "id",
    "uplinks",
    "devices",
    "poll",
    "url",
    "1",
    "10s",
    "mqtt",
    "- ",
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "{",
    "}",
    "[",
    "]",
    ", ",

    "&a ",
    "*a",
    "!x ",
    '"',
    "'",
    "|\n",
    ">\n",
    "# ",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "~",
    "\t",
    "\r\n",
    "${env:",
    "${secret:a}",
    "}",
    "__proto__",
    "\u0000",
    "\ud800",
    "é",
  );
  it("nothing but ConfigError is thrown, and it can be rendered", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(word, { maxLength: 40 }).map((words) => words.join("")),
          fc.string({ unit: "binary", maxLength: 80 }),
        ),
        (text) => {
          try {
            parseYaml(text, "random.yaml", schema);
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigError);
            const { diagnostics } = error as ConfigError;
            expect(diagnostics.length).toBeGreaterThan(0);
            for (const { line, column, message } of diagnostics) {
              expect(line).toBeGreaterThan(0);
              expect(column).toBeGreaterThan(0);
              expect(message).not.toMatch(/undefined|Invalid input|\[object/);
            }
            (error as ConfigError).render({ colour: true });
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("nor whatever the values", () => {
    const json = fc.dictionary(
      fc.constantFrom("version", "gateway", "uplinks", "log", "devices", "x"),
      fc.jsonValue({ maxDepth: 3 }),
    );
    fc.assert(
      fc.property(json, (value) => {
        const { diagnostics } = failure(() =>
          parseYaml(JSON.stringify({ ...value, y: 1 }), "random.yaml", schema),
        );
        for (const { message } of diagnostics) expect(message).not.toMatch(/Invalid input|\[object/);
      }),
      { numRuns: 1000 },
    );
  });
});
