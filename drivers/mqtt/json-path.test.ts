import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { objectWith, parsePath, valueAt } from "./json-path.ts";

const at = (root: unknown, path: string): unknown => valueAt(root, parsePath(path) ?? ["no such path"]);

describe("paths", () => {
  const root = {
    a: { "b c": [1, { d: 2 }, 3] },
    list: [
      { n: "x", v: 4 },
      { n: "y", v: 5 },
    ],
    t: true,
  };

  test.each([
    ["$", root],
    ["$.t", true],
    ["$.a['b c'][0]", 1],
    ["$.a['b c'][1].d", 2],
    ["$.a['b c'][-1]", 3],
    ["$.a['b c'][9]", undefined],
    ["$.list[?@.n=='y'].v", 5],
    ["$.list[?@.v==4].n", "x"],
    ["$.list[?@.n=='z'].v", undefined],
    ["$.t.x", undefined],
    ["$.a[0]", undefined],
    ["$.toString", undefined],
    ["$.list.length", undefined],
  ])("%s", (path, expected) => expect(at(root, path)).toEqual(expected));

  test.each([
    "a",
    "$a",
    "$..a",
    "$.",
    "$.a.*",
    "$[*]",
    "$[0:2]",
    "$.a()",
    "$[?@.a>1]",
    "$[?(@.a)]",
    "$.__proto__",
    "$['constructor']",
    "$[?@.prototype.x==1]",
    `$${".a".repeat(17)}`,
  ])("%s is none", (path) => expect(parsePath(path)).toBeUndefined());

  test("whatever is looked for in whatever, nothing throws", () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), (text, value) => {
        const steps = parsePath(`$${text}`);
        if (steps !== undefined) valueAt(value, steps);
      }),
    );
  });

  test("what is written at a path of members is read there", () => {
    const word = fc.stringMatching(/^[a-z]{1,5}$/);
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), fc.integer(), (names, value) => {
        const steps = parsePath(`$${names.map((name) => `.${name}`).join("")}`)!;
        expect(valueAt(objectWith(steps, value), steps)).toBe(value);
      }),
    );
    expect(objectWith(parsePath("$.a[0]")!, 1)).toBeUndefined();
  });
});
