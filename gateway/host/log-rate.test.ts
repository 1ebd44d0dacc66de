import { expect, it } from "vitest";
import { limitLog } from "./log-rate.ts";

it("writes ten lines a window and then how many were left out", async () => {
  const lines: string[] = [];
  const log = limitLog((_level, text) => lines.push(text), 50);
  for (let i = 0; i < 25; i++) log("info", `line ${i}`);
  expect(lines).toHaveLength(10);
  await expect.poll(() => lines.at(-1)).toMatch(/^15 more lines were left out/);
  log("info", "again");
  expect(lines.at(-1)).toBe("again");
});
