import { describe, expect, it } from "vitest";
import { deviceErrorCode, describeError, type ErrorCode, errorTable } from "./errors.ts";

function typed(text: string): string[] {
  return (text.match(/`[a-z]\w*[^`]*`/gi) ?? []).map((one) => one.split(" ")[0] ?? "");
}

describe("the table of errors", () => {
  it("says everything in both languages", () => {
    for (const [code, { title, likely, do: remedy }] of Object.entries(errorTable)) {
      for (const text of [title, likely, remedy]) {
        expect(text.en.length, code).toBeGreaterThan(5);
        expect(text.vi.length, code).toBeGreaterThan(5);
        expect(text.vi, code).not.toBe(text.en);
        expect(text.vi, code).toBe(text.vi.normalize("NFC"));
        // What the reader must type is the same in both languages.
        expect(typed(text.vi), code).toEqual(typed(text.en));
      }
    }
    const titles = Object.values(errorTable).map(({ title }) => title.en);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it("describes a driver's code", () => {
    const code: ErrorCode = deviceErrorCode("hung-up");
    expect(describeError(code, "vi")).toMatchObject({
      code: "KERB-DEV-HUNG-UP",
      title: "Thiết bị đã ngắt kết nối",
      retry: true,
    });
  });
});
