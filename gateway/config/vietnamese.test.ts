import { expect, it } from "vitest";
import { sentenceInVietnamese } from "./vietnamese.ts";

it.each([
  ['unknown key "unt" - did you mean "unit"?', 'không có khóa "unt" - có phải ý bạn là "unit"?'],
  ['unknown key "x" - known here: id, name', 'không có khóa "x" - ở đây có: id, name'],
  ["expected a whole number from 0 to 255, found 300", "cần số nguyên từ 0 đến 255, đang là 300"],
  [
    'expected text such as "60s", found 60 - put it in quotes',
    'cần chữ như "60s", đang là 60 - hãy đặt trong dấu nháy',
  ],
  ['"unit" has no value: expected a number', '"unit" chưa có giá trị: cần số'],
  ['missing key "devices.host"', 'thiếu khóa "devices.host"'],
  [
    'unknown driver "modbuss" - did you mean "modbus"?',
    'driver không có giá trị "modbuss" - có phải ý bạn là "modbus"?',
  ],
  ['expected "even", "odd" or "none"', 'cần "even", "odd" hoặc "none"'],
  ['the key "a" is written twice: first on line 3', 'khóa "a" được viết hai lần: lần đầu ở dòng 3'],
  ["a sentence that nobody has put into Vietnamese", "a sentence that nobody has put into Vietnamese"],
])("%s", (english, vietnamese) => {
  expect(sentenceInVietnamese(english)).toBe(vietnamese);
});
