import { expect, test } from "vitest";
import type { Browsed } from "../../driver.ts";
import { browseLines } from "./browse-table.ts";

test("what a device tells is no command that it takes", () => {
  const entries: Browsed[] = [
    { what: "record", path: ["tns1:Device", "Trigger"], address: { topic: "tns1:Device/Trigger" } },
    { what: "command", path: ["Reset"], access: "none" },
  ];
  const shown = (language: "en" | "vi") => browseLines(entries, language).join("\n");
  expect(shown("en")).toMatch(/Trigger +record +.*Reset +\(command\)/s);
  expect(shown("vi")).toMatch(/Trigger +bản ghi +.*Reset +\(lệnh\)/s);
});
