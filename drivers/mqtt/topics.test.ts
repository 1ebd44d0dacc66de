import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fill, filterProblem, overlap, TopicTree } from "./topics.ts";

/** MQTT 5, 4.7.1, written down a second time. */
function matches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const pattern = filter
    .split("/")
    .map((level) => (level === "+" ? "[^/]*" : level === "#" ? ".*" : level.replaceAll("$", "\\$")))
    .join("/")
    .replace(/\/\.\*$/, "(/.*)?");
  return new RegExp(`^${pattern}$`).test(topic);
}

const level = fc.constantFrom("a", "b", "$x", "");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, hasRest]) => [...levels, ...(hasRest ? ["#"] : [])].join("/"));

describe("the tree of topics", () => {
  test("finds those whose filter matches, each once, and no more after they are gone", () => {
    fc.assert(
      fc.property(fc.uniqueArray(filter, { maxLength: 8 }), topic, (filters, name) => {
        const tree = new TopicTree<string>();
        for (const one of filters) tree.add(one, one);
        expect(tree.matching(name).toSorted()).toEqual(
          filters.filter((one) => matches(one, name)).toSorted(),
        );
        for (const one of filters) expect(tree.delete(one, one)).toBe(false);
        expect(tree.matching(name)).toEqual([]);
      }),
    );
  });

  test("says whether somebody else still listens", () => {
    const tree = new TopicTree<number>();
    tree.add("a/+", 1);
    tree.add("a/+", 2);
    expect(tree.delete("a/+", 1)).toBe(true);
    expect(tree.matching("a/b")).toEqual([2]);
    expect(tree.delete("a/+", 3)).toBe(true);
    expect(tree.delete("x", 3)).toBe(false);
  });

  test("a topic of endless levels is nobody's", () => {
    const tree = new TopicTree<number>();
    tree.add("#", 1);
    expect(tree.matching("/".repeat(60_000))).toEqual([]);
  });
});

test("templates", () => {
  expect(fill("a/{x}/{y}/{x}", { x: "1", y: "2" })).toEqual({ topic: "a/1/2/1" });
  expect(fill("a/{z}", { x: "1" })).toEqual({ missing: "z" });
  expect(fill("a/{toString}", {})).toEqual({ missing: "toString" });
});

test.each(["", "a\0", "a/#/b", "a+", "a/b#", "a/".repeat(40)])("%j is no filter", (text) => {
  expect(filterProblem(text)).toBeDefined();
});

describe("two filters", () => {
  const levels = ["a", "b", "$x", ""];
  const topics: string[] = [...levels];
  for (let at = 0; topics.length < 4 + 16 + 64 + 256 + 1024; at++)
    topics.push(...levels.map((one) => `${topics[at]}/${one}`));

  test("overlap where there is a topic for both", () => {
    fc.assert(
      fc.property(filter, filter, (a, b) => {
        expect(overlap(a, b)).toBe(topics.some((one) => matches(a, one) && matches(b, one)));
        expect(overlap(b, a)).toBe(overlap(a, b));
      }),
      { numRuns: 1000 },
    );
  });
});
