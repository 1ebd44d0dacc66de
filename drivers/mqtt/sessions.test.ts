import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { KeptSession } from "./sessions.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-sessions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The session of a file that holds this text. */
function sessionOf(text: string, nth: number): KeptSession | undefined {
  const model = join(folder, "model");
  KeptSession.of(model, "one");
  const own = join(folder, String(nth));
  mkdirSync(own);
  writeFileSync(join(own, readdirSync(model)[0]!), text);
  return KeptSession.of(own, "one");
}

test("a session is what its file says", () => {
  const session = sessionOf(JSON.stringify({ own: "0123abcd", filters: ["a/+", "b"] }), 1);
  expect(session?.own).toBe("0123abcd");
  expect([...(session?.filters ?? [])]).toEqual(["a/+", "b"]);
});

test.each(
  [
    "",
    "null",
    "[]",
    '{"own":"0123ABCD","filters":[]}',
    '{"own":"0123abcd"}',
    '{"own":"0123abcd","filters":"a"}',
    '{"own":"0123abcd","filters":["a",1]}',
  ].map((text, index) => [text, index + 2] as const),
)("a file with %s is none", (text, nth) => {
  const session = sessionOf(text, nth);
  expect(session?.own).toMatch(/^[0-9a-f]{8}$/);
  expect(session?.own).not.toBe("0123abcd");
  expect(session?.filters.size).toBe(0);
});
