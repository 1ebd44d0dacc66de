import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { reasonInVietnamese } from "./vietnamese.ts";

/** The texts behind these words of the source, with something in the place of what is filled in. */
function textsAfter(file: string, before: RegExp): string[] {
  const source = readFileSync(new URL(file, import.meta.url), "utf8");
  return [...source.matchAll(before)].map(([, text = ""]) =>
    text
      .slice(1, -1)
      .replaceAll(/\$\{((?:[^{}]|\{[^{}]*\})*)\}/g, (_, inside: string) =>
        inside.includes("?") || inside === "why" ? "" : "7",
      ),
  );
}

const text = '("[^"]+"|`[^`]+`)';
const said = [
  ...textsAfter("engine.ts", new RegExp(`ChangeRefused\\("KERB[^,]+, ${text}`, "g")),
  ...textsAfter("engine.ts", new RegExp(`#revert\\(${text}`, "g")),
  ...textsAfter("engine.ts", new RegExp(`const (?:reason|text) = ${text};`, "g")).filter(
    (one) => !/ was taken back, | is wrong /.test(one),
  ),
  ...textsAfter("gate.ts", new RegExp(`return ${text};`, "g")),
  ...textsAfter("gate.ts", new RegExp(`[?:] ${text}\\n`, "g")),
  ...textsAfter("gate.ts", new RegExp(`: (\`\\$\\{gone[^\\n]+\`);`, "g")),
];

it("finds the sentences", () => expect(said.length).toBeGreaterThanOrEqual(10));

it.each(said)("%s", (english) => {
  const vietnamese = reasonInVietnamese(english);
  expect(vietnamese).not.toBe(english);
  expect(vietnamese).not.toMatch(/\b(the|was|is|not|ended|before|generation)\b/);
});

it.each([
  [
    "meter-01 was online before and is not: no answer within 2 s",
    "meter-01 trước đó trực tuyến mà giờ không: no answer within 2 s",
  ],
  [
    "2 devices were online before and are not (a, b): x",
    "2 thiết bị trước đó trực tuyến mà giờ không (a, b): x",
  ],
  [
    'the host of the driver "modbus" ended (signal SIGKILL)',
    'tiến trình của driver "modbus" đã kết thúc (signal SIGKILL)',
  ],
  ["it could not be carried out: the gateway stops", "không thực hiện được: gateway đang dừng"],
])("%s", (english, vietnamese) => expect(reasonInVietnamese(english)).toBe(vietnamese));
