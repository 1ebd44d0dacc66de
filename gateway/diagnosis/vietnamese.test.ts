import { describe, expect, it } from "vitest";
import { listDrivers } from "../config/drivers.ts";
import { rulesOf } from "./causes.ts";
import { seenInVietnamese } from "./vietnamese.ts";

describe("what was seen, in Vietnamese", () => {
  it("is another text than the English one in each rule that says anything in its own words", () => {
    const rules = listDrivers().flatMap((driver) => rulesOf(driver));
    expect(rules.length).toBeGreaterThan(100);
    const same = rules.filter(
      ({ seen: { en, vi } }) => en === vi && /[a-z]/.test(en.replaceAll(/\{.*?\}/g, "")),
    );
    expect(same.map(({ cause }) => cause)).toEqual([]);
  });

  it.each([
    [
      "10.0.0.7:502 unit 1: no answer to read input 0-75 within 500 ms, only 12 bytes that are none",
      "10.0.0.7:502 unit 1: không trả lời lệnh đọc input 0-75 trong 500 ms, chỉ có 12 byte không phải câu trả lời",
    ],
    ["no answer within 15 s", "không trả lời trong 15 giây"],
    ["the modbus host did not answer within 20 s", "driver modbus không trả lời trong 20 giây"],
    ["meter-01 is not connected", "meter-01 chưa được kết nối"],
    [
      "Eastron SDM630 was here first, Acme X 2 answers: if that is right, kerb identify meter-01 --accept",
      "lúc đầu ở đây là Eastron SDM630, nay Acme X 2 trả lời: nếu đúng là vậy: kerb identify meter-01 --accept",
    ],
    [
      "firmware 2.1.8 is outside the profile's range >=1.0.15 <1.3: kerb identify tlc-1 shows which profile holds",
      "firmware 2.1.8 nằm ngoài khoảng >=1.0.15 <1.3 của hồ sơ: kerb identify tlc-1 cho biết hồ sơ nào đúng",
    ],
    ['tlc-1: SNMPv3 says "Wrong Digest"', 'tlc-1: SNMPv3 báo "Wrong Digest"'],
    ["Bộ điều khiển báo lỗi 7", "Bộ điều khiển báo lỗi 7"],
  ])("%s", (english, vietnamese) => {
    expect(seenInVietnamese(english)).toBe(vietnamese);
  });
});
