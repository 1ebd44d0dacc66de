import { describe, expect, it } from "vitest";
import { isTopicFilter, isTopicName, matchesFilter, SubscriptionTree } from "./topics.ts";

const table: [filter: string, topic: string, matches: boolean][] = [
  ["a/b", "a/b", true],
  ["a/b", "a/b/c", false],
  ["a/b", "a", false],
  ["a/+", "a/b", true],
  ["a/+", "a/", true],
  ["a/+", "a", false],
  ["a/+", "a/b/c", false],
  ["+/+", "/finance", true],
  ["/+", "/finance", true],
  ["+", "/finance", false],
  ["sport/tennis/player1/#", "sport/tennis/player1", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["sport/#", "sport", true],
  ["sport/#", "sports", false],
  ["#", "a/b/c", true],
  ["#", "$SYS/uptime", false],
  ["+/uptime", "$SYS/uptime", false],
  ["$SYS/#", "$SYS/uptime", true],
  ["$SYS/+", "$SYS/uptime", true],
  ["a/$x/#", "a/$x/b", true],
  ["hue/+/v1/+/event", "hue/up/v1/gw-1/event", true],
  ["hue/+/v1/+/event", "hue/up/v1/gw-1/live", false],
  ["a//b", "a//b", true],
  ["a/+/b", "a//b", true],
];

describe("topics", () => {
  it.each(table)("%s takes %s: %s", (filter, topic, matches) => {
    expect(matchesFilter(filter, topic)).toBe(matches);
    const tree = new SubscriptionTree<string, number>();
    tree.set(filter, "client", 1);
    let found = 0;
    tree.match(topic, () => found++);
    expect(found).toBe(matches ? 1 : 0);
  });

  it("finds every filter of a topic and forgets deleted ones", () => {
    const tree = new SubscriptionTree<string, number>();
    const filters = ["a/b", "a/+", "#", "a/#", "+/b", "+/+", "b/#"];
    for (const [index, filter] of filters.entries()) tree.set(filter, "client", index);
    const found = (): number[] => {
      const entries: number[] = [];
      tree.match("a/b", (_key, entry) => entries.push(entry));
      return entries.sort((a, b) => a - b);
    };
    expect(found()).toEqual([0, 1, 2, 3, 4, 5]);
    tree.delete("a/b", "client");
    tree.delete("a/#", "client");
    tree.delete("a/#", "nobody");
    tree.delete("never/there", "client");
    expect(found()).toEqual([1, 2, 4, 5]);
  });

  it.each(["", "a/#/b", "a#", "a+/b", "a\0b", "#/a", "a/".repeat(100)])("refuses the filter %j", (filter) => {
    expect(isTopicFilter(filter)).toBe(false);
  });

  it("refuses wildcards in a topic name and survives a very deep one", () => {
    expect(isTopicName("a/b")).toBe(true);
    for (const topic of ["", "a/+", "#", "a\0"]) expect(isTopicName(topic)).toBe(false);
    const tree = new SubscriptionTree<string, number>();
    tree.set("#", "client", 1);
    tree.set("+/".repeat(63), "client", 2);
    let found = 0;
    tree.match("/".repeat(60_000), () => found++);
    expect(found).toBe(1);
  });
});
