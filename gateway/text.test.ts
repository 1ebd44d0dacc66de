import { describe, expect, it } from "vitest";
import { decodingLines, decodings } from "./cli/read/decodings.ts";
import { tellingReadings } from "./cli/simulate/demo-screen.ts";
import { dictionary, languageOf } from "./cli/language.ts";
import { shownReason, shownState } from "./cli/status.ts";
import { cut, displayWidth, grouped, pad, shownValue, span, table, isColour } from "./text.ts";

describe("widths", () => {
  it.each([
    ["meter-01", 8],
    ["Công tơ tủ chiếu sáng", 21],
    ["Công tơ tủ chiếu sáng".normalize("NFD"), 21],
    ["Đầu đo mực nước", 15],
    ["✓ online", 8],
    ["水位", 4],
    ["\u001b[31mlost\u001b[39m", 4],
    ["", 0],
  ])("%j takes %d columns", (text, columns) => {
    expect(displayWidth(text)).toBe(columns);
  });

  it("cuts and fills by columns, never in the middle of a letter", () => {
    const name = "Trạm gió cầu Thị Nghè".normalize("NFD");
    for (let columns = 1; columns < 21; columns++) {
      const short = cut(name, columns);
      expect(displayWidth(short)).toBe(columns);
      expect(name.startsWith(short.slice(0, -1)) && short.endsWith("…")).toBe(true);
      expect(/^\p{M}/u.test(name.slice(short.length - 1))).toBe(false);
    }
    expect(cut(name, 21)).toBe(name);
    expect(cut("水位", 3)).toBe("水…");
    expect(displayWidth(pad(cut(name, 5), 8))).toBe(8);
    expect(pad("12", 4, "right")).toBe("  12");
  });

  it("lines up a table with Vietnamese names", () => {
    const rows = [
      ["Trạm gió", "1"],
      ["Đầu đo mực nước".normalize("NFD"), "22"],
    ];
    const lines = table([{ title: "NAME" }, { title: "N", side: "right" }], rows);
    expect(lines.map((line) => displayWidth(line))).toEqual([19, 19, 19]);
  });
});

describe("values", () => {
  it.each([
    [18_442, "kW.h", 0, "18 442 kWh"],
    [-1_234_567.891, "W", 1, "-1 234 567.9 W"],
    [231.4, "V", 1, "231.4 V"],
    [230, "V", 1, "230.0 V"],
    [123, "deg", 0, "123°"],
    [0.95, "1", 2, "0.95"],
    [3.792, "m/s", 6, "3.792 m/s"],
    [21.5, "Cel", undefined, "21.5 °C"],
    [12, "ug/m3", 0, "12 µg/m³"],
    [true, "1", 0, "on"],
    [null, "V", 1, "-"],
    ["open\u001b[2J", "1", 0, "open\ufffd[2J"],
  ])("%j %s with %s decimals is shown as %s", (value, unit, decimals, shown) => {
    expect(shownValue(value, unit, decimals)).toBe(shown);
  });

  it("groups thousands", () => {
    expect([0, 999, 1000, 1_000_000].map((value) => grouped(value))).toEqual([
      "0",
      "999",
      "1 000",
      "1 000 000",
    ]);
  });

  it.each([
    [-5, "0.0 s"],
    [400, "0.4 s"],
    [34_000, "34 s"],
    [180_000, "3 min"],
    [7_200_000, "2 h"],
    [300_000_000, "3 d"],
  ])("%d ms are %s", (ms, text) => {
    expect(span(ms)).toBe(text);
  });
});

describe("decodings", () => {
  it("reads four bytes in every order and type", () => {
    const float = Buffer.alloc(4);
    float.writeFloatBE(231.4);
    const swapped = Buffer.from([float[2] ?? 0, float[3] ?? 0, float[0] ?? 0, float[1] ?? 0]);
    const list = decodings(swapped.toString("hex"));
    expect(list.map(({ order }) => order)).toEqual(["ABCD", "CDAB", "BADC", "DCBA"]);
    expect(list[1]?.values["float32"]).toBeCloseTo(231.4, 3);
    expect(decodings("fffffffe")[0]?.values).toMatchObject({ uint32: 4_294_967_294, int32: -2 });
    expect(decodings("01020304").map(({ values }) => values["uint32"]?.toString(16))).toEqual([
      "1020304",
      "3040102",
      "2010403",
      "4030201",
    ]);
  });

  it("reads two bytes, and nothing of any other length", () => {
    expect(decodings("fffe")).toEqual([
      { order: "AB", values: { uint16: 65_534, int16: -2 } },
      { order: "BA", values: { uint16: 65_279, int16: -257 } },
    ]);
    expect(["", "01", "010203", "0102030405060708"].map((hex) => decodings(hex).length)).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it("aligns its lines", () => {
    const widths = decodingLines("43658a3d").map((line) => line.length);
    expect(new Set(widths).size).toBe(1);
  });
});

describe("language", () => {
  it("has every word in both languages", () => {
    expect(Object.keys(dictionary.vi).toSorted()).toEqual(Object.keys(dictionary.en).toSorted());
    for (const { states, ...words } of Object.values(dictionary)) {
      const all = Object.entries<string>({ ...words, ...states });
      expect(all.filter(([, text]) => text.trim() === "")).toEqual([]);
    }
  });

  it.each([
    [{ LANG: "vi_VN.UTF-8" }, "vi"],
    [{ LANG: "en_US.UTF-8", LC_ALL: "vi" }, "vi"],
    [{ LANG: "vi_VN.UTF-8", LC_ALL: "C" }, "en"],
    [{ LANG: "vigo" }, "en"],
    [{}, "en"],
  ])("%j speaks %s", (environment, language) => {
    expect(languageOf(undefined, environment)).toBe(language);
    expect(languageOf("en", environment)).toBe("en");
  });
});

it("shows what says most about a device: totals first, no unit twice", () => {
  const readings = (
    [
      "voltage.L1 V",
      "voltage.L2 V",
      "powerFactor.L1 1",
      "current.L1 A",
      "activePower.L1 W",
      "activePower.total W",
    ] as const
  ).map((text) => {
    const [point = "", unit = ""] = text.split(" ");
    return { point, unit, value: 1, status: "good" as const, timeMs: 0, address: "", decimals: 0 };
  });
  expect(tellingReadings(readings, 3).map(({ point }) => point)).toEqual([
    "activePower.total",
    "voltage.L1",
    "current.L1",
  ]);
});

it("says that a device is quarantined and why, in both languages", () => {
  const device = {
    state: "quarantined",
    enabled: true,
    code: "quarantined",
    reason: "signal SIGSEGV",
  } as const;
  expect(shownState(device, dictionary.en).text).toBe("‖ quarantined");
  expect(shownState(device, dictionary.vi).text).toBe("‖ bị cách ly");
  expect(shownReason(device, dictionary.en)).toBe("KERB-DEV-QUARANTINED  signal SIGSEGV");
  expect(shownReason(device, dictionary.vi)).toBe("KERB-DEV-QUARANTINED  tín hiệu SIGSEGV");
  const lost = { state: "lost", reason: "the modbus host has ended: no heartbeat for 6 s" } as const;
  expect(shownReason(lost, dictionary.vi)).toBe(
    "đã dừng cùng tiến trình driver modbus: không còn nhịp báo trong 6 s",
  );
});

describe("colours", () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [false, { CLICOLOR_FORCE: "1" }, true],
    [false, { CLICOLOR_FORCE: "0" }, false],
    [true, { NO_COLOR: "1", CLICOLOR_FORCE: "1" }, false],
    [true, { CLICOLOR: "0" }, false],
    [true, { TERM: "dumb" }, false],
  ])("on a terminal %s with %j: %s", (isTTY, environment, wanted) => {
    expect(isColour({ isTTY }, environment)).toBe(wanted);
  });
});
