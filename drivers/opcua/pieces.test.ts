import { describe, expect, test } from "vitest";
import { DeviceError } from "../../gateway/driver.ts";
import { Pieces } from "./pieces.ts";

const refusal = (code: string) => new DeviceError("rejected", `10.0.0.9:4840: Read: ${code}`);

/** A server that takes `count` things at a time, of which each is as big as it is, and `size` in all. */
function server(count: number, size: number) {
  const asked: number[] = [];
  const ask = (group: readonly number[]): Promise<string[]> => {
    asked.push(group.length);
    if (group.length > count) return Promise.reject(refusal("BadTooManyOperations"));
    if (group.reduce((sum, one) => sum + one, 0) > size)
      return Promise.reject(refusal("BadResponseTooLarge"));
    return Promise.resolve(group.map(String));
  };
  return { asked, ask };
}

const failing = () => Promise.reject(refusal("BadUserAccessDenied"));
const lost = () => Promise.reject(new DeviceError("hung-up", "x: Read: the server closed the connection"));

describe("pieces", () => {
  test("give every answer in its place, and remember what a server takes", async () => {
    const pieces = new Pieces(100);
    const { asked, ask } = server(30, Infinity);
    const items = Array.from({ length: 200 }, (_, i) => i);
    expect(await pieces.ask(items, ask, String)).toEqual(items.map(String));
    const once = asked.length;
    expect(asked.filter((length) => length > 30)).toHaveLength(2);
    expect(await pieces.ask(items, ask, String)).toEqual(items.map(String));
    expect(asked.slice(once).filter((length) => length > 30)).toEqual([]);
  });

  test("one that is too big by itself is refused, the others are not, and pieces grow again", async () => {
    const { asked, ask } = server(100, 50);
    const items = [1, 1, 1, 1, 1, 60, ...Array.from({ length: 40 }, () => 1)];
    const answers = await new Pieces(32).ask(items, ask, (code) => code);
    expect(answers[5]).toBe("BadResponseTooLarge");
    expect(answers.filter((one) => one === "1")).toHaveLength(45);
    expect(Math.max(...asked.slice(asked.indexOf(1) + 1))).toBeGreaterThan(4);
  });

  test("any other failure ends it", async () => {
    await expect(new Pieces(4).ask([1, 2], failing, String)).rejects.toThrow("BadUserAccessDenied");
    await expect(new Pieces(4).ask([1, 2], lost, String)).rejects.toMatchObject({ code: "hung-up" });
  });
});
