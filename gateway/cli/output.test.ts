import { afterEach, expect, it, vi } from "vitest";
import { styleText } from "node:util";
import { hint, printLines } from "./output.ts";

afterEach(() => vi.restoreAllMocks());

function said(work: () => void): string {
  const written: string[] = [];
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, "write").mockImplementation((text) => written.push(String(text)) > 0);
  work();
  vi.restoreAllMocks();
  return written.join("");
}

it.each([
  ["the title of the window", "\u001b]0;pwn\u0007"],
  ["the screen", "\u001b[2J\u001b[H"],
  ["the line that was there", "\rok\u001b[K"],
  ["text that is hidden", "\u001b[8m"],
  ["text in the colour of the ground", "\u001b[38;5;0m"],
  ["the direction of writing", "\u202e"],
  ["eight-bit controls", "\u009b2J\u0085"],
])("what somebody forgot to make printable does not change %s", (_, text) => {
  const shown = said(() => {
    printLines([`device ${text}`]);
    hint(`device ${text}`);
  });
  // oxlint-disable-next-line no-control-regex
  expect(shown).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  expect(shown).toContain("\ufffd");
});

it("colours stay, and tabs and lines", () => {
  const formats = ["bold", "dim", "red", "green", "yellow", "cyan", "inverse", "redBright"] as const;
  const text = formats.map((format) => styleText(format, "x\t1", { validateStream: false })).join("\n");
  expect(said(() => printLines([text]))).toBe(`${text}\n`);
  expect(said(() => hint(text))).toBe(`${text}\n`);
});
