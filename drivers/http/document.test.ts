import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError, parseDocument, type Format } from "./document.ts";
import { parsePick, pick, pickAll } from "./pick.ts";
import { settings } from "./settings.ts";
import { answerOf, parseTime, type Document } from "./values.ts";

const csv = { separator: ",", csvHeader: true } as const;
const parse = (text: string, format: Format, how: { separator: ","; csvHeader: boolean } = csv) =>
  parseDocument(Buffer.from(text), format, how);
const at = (root: unknown, text: string) => pick(root, parsePick(text)!);

describe("picks", () => {
  const tree = JSON.parse(
    '{"a":{"b c":[1,2,{"id":7,"x":"seven"},{"id":"8","x":"eight"}]},"__proto__":{"y":1},"n":null,"f":false}',
  ) as unknown;

  it.each([
    ['$.a["b c"][0]', 1],
    ['$.a["b c"][-3]', 2],
    ['$.a["b c"][?id=7].x', "seven"],
    ['$.a["b c"][?id=8].x', "eight"],
    ['$.a["b c"][?id=9].x', undefined],
    ["$.__proto__.y", 1],
    ["$.constructor", undefined],
    ["$.a.toString", undefined],
    ["$.a.length", undefined],
    ["$.n", null],
    ["$.f", false],
    ["$.n.x", undefined],
  ])("%s", (text, expected) => expect(at(tree, text)).toEqual(expected));

  it("that are none are refused", () => {
    for (const text of [
      "",
      "a",
      "$.",
      "$..a",
      "$[",
      "$[1",
      "$[?a]",
      "$[*]",
      "$.a b",
      "$[?a>1]",
      `$${".a".repeat(17)}`,
    ])
      expect(parsePick(text), text).toBeUndefined();
  });

  it("take a list of any length", () => {
    const list = Array.from({ length: 300_000 }, () => ({ t: 1 }));
    expect(pickAll({ list }, parsePick("$.list[?t=1]")!, Infinity)).toHaveLength(300_000);
  });

  it("give every item for which a filter holds, within their bound", () => {
    const items = Array.from({ length: 500 }, (_, i) => ({ type: i % 2 === 0 ? "a" : "b", i }));
    const steps = parsePick("$.list[?type=a]")!;
    expect(pickAll({ list: items }, steps, 3)).toEqual([items[0], items[2], items[4]]);
  });
});

describe("JSON", () => {
  it("keeps a member named __proto__ a member, and pollutes nothing", async () => {
    const tree = await parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
      "json",
    );
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(at(tree, "$.constructor.prototype.polluted")).toBe(true);
  });

  it("is at most 64 levels deep, brackets in texts not counted", async () => {
    await expect(parse(`${"[".repeat(65)}${"]".repeat(65)}`, "json")).rejects.toThrow(/levels deep/);
    await expect(parse("[".repeat(200_000), "json")).rejects.toThrow(FormatError);
    expect(await parse(JSON.stringify("[".repeat(500)), "json")).toBe("[".repeat(500));
  });

  it("says what came instead", async () => {
    await expect(parse("<html><body>502", "json")).rejects.toThrow('it is not JSON: "<html><body>502"');
    await expect(parseDocument(Uint8Array.of(0xff, 0xfe), "json", csv)).rejects.toThrow("it is not UTF-8");
  });
});

describe("XML", () => {
  it("has attributes, texts and lists, and a list of one", async () => {
    const tree = await parse('<m><v id="a">1</v><v id="b">2 &lt; 3</v><one x="y"/></m>', "xml");
    expect(at(tree, "$.m.v[?@id=b].#text")).toBe("2 &lt; 3");
    expect(at(tree, "$.m.one[0].@x")).toBe("y");
    expect(at(tree, "$.m.one[?@x=y].@x")).toBe("y");
  });

  it.each([
    ["a DOCTYPE", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ["an external entity", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'],
    ["nested too deep", `${"<a>".repeat(100_000)}${"</a>".repeat(100_000)}`],
    ["cut off", "<a><b>1</b>"],
    ["none", "voltage: 230"],
    ["empty", ""],
  ])("is refused: %s", async (_, text) => {
    await expect(parse(text, "xml")).rejects.toThrow(FormatError);
  });

  it("pollutes nothing by an element's name", async () => {
    await parse("<a><__proto__><polluted>1</polluted></__proto__></a>", "xml").catch(() => {});
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("CSV", () => {
  it("has quotes, empty cells, both line ends and a mark of byte order", async () => {
    const tree = await parse('\uFEFFname,"a ""b""",c\r\n"x,y",1,\n"line\nbreak",2,3', "csv");
    expect(tree).toEqual([
      { name: "x,y", 'a "b"': "1", c: "" },
      { name: "line\nbreak", 'a "b"': "2", c: "3" },
    ]);
    expect(at(tree, "$[-1].c")).toBe("3");
  });

  it("has lines that end with CR alone", async () => {
    expect(await parse("a,b\r1,2\r3,4", "csv")).toEqual([
      { a: "1", b: "2" },
      { a: "3", b: "4" },
    ]);
  });

  it("may have no line of names", async () => {
    expect(await parse("1,2\n3,4\n", "csv", { separator: ",", csvHeader: false })).toEqual([
      ["1", "2"],
      ["3", "4"],
    ]);
  });

  it.each(["a,b\n1\n", 'a\n"1', "", "<html>\n<body>\n"])("is refused when it is none: %j", async (text) => {
    await expect(parse(text, "csv")).rejects.toThrow(FormatError);
  });

  it("is bounded in rows and columns", async () => {
    await expect(parse("a\n".repeat(30_000), "csv")).rejects.toThrow(/rows/);
    await expect(parse(",".repeat(1000), "csv")).rejects.toThrow(/columns/);
  });
});

const as = (bytes: Buffer, format: Format, type?: string, charset?: string) =>
  parseDocument(bytes, format, { ...csv, charset }, type);

describe("character sets", () => {
  const latin = Buffer.from("n,v\nnhi\xeat \xb0C,1\n", "latin1");
  const rows = [{ n: "nhiêt °C", v: "1" }];

  it("are what the answer says, or the document, or the settings", async () => {
    expect(await as(latin, "csv", "text/csv; charset=ISO-8859-1")).toEqual(rows);
    expect(await as(latin, "csv", 'text/csv; header=present; charset="windows-1252"')).toEqual(rows);
    expect(await as(latin, "csv", "text/csv", "windows-1252")).toEqual(rows);
    await expect(as(latin, "csv")).rejects.toThrow("it is not UTF-8");
    await expect(as(latin, "csv", "text/csv; charset=klingon")).rejects.toThrow(/"klingon" is not known/);
    const xml = Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xb0</a>', "latin1");
    expect(await as(xml, "xml")).toEqual({ a: "°" });
    expect(await as(Buffer.from("\uFEFFn,v\nê,1\n", "utf16le"), "csv")).toEqual([{ n: "ê", v: "1" }]);
  });

  it("of JSON are UTF-8 whatever is said of it", async () => {
    const type = "application/json; charset=iso-8859-1";
    expect(await as(Buffer.from('\uFEFF{"n":"ê"}'), "json", type)).toEqual({ n: "ê" });
    await expect(as(Buffer.from('{"n":"\xea"}', "latin1"), "json", type)).rejects.toThrow("not UTF-8");
  });
});

it.each(["json", "xml", "csv"] as const)(
  "whatever comes as %s gives a tree or a FormatError",
  async (format) => {
    const piece = fc.constantFrom(
      "<a>",
      "</a>",
      "{",
      "}",
      "[",
      "]",
      '"',
      ",",
      "\n",
      "<!--",
      "]]>",
      "&#0;",
      "1",
      " ",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 60 }).map((parts) => parts.join("")),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(text, async (given) => {
        await parse(given, format).catch((error: unknown) => expect(error).toBeInstanceOf(FormatError));
      }),
      { numRuns: 500 },
    );
  },
);

describe("values", () => {
  const rules = { decimal: ".", utcOffset: undefined, staleAfter: undefined } as const;
  const answer = async (text: string, type: "number" | "boolean" | "text", more = {}) => {
    const tree = await parse(text, "json");
    const document: Document = { tree, format: "json", madeMs: undefined };
    return answerOf(
      document,
      document.tree,
      {
        value: parsePick("$.v")!,
        time: text.includes('"t"') || "time" in more ? parsePick("$.t")! : undefined,
        type,
      },
      { ...rules, ...more },
    );
  };

  it.each([
    ['{"v":1.5}', "number", 1.5],
    ['{"v":" 1.5e3 "}', "number", 1500],
    ['{"v":"-0.5"}', "number", -0.5],
    ['{"v":true}', "number", 1],
    ['{"v":9007199254740993}', "number", 9007199254740993n],
    ['{"v":"9007199254740993"}', "number", 9007199254740993n],
    ['{"v":"0012"}', "text", "0012"],
    ['{"v":12}', "text", "12"],
    ['{"v":"1"}', "boolean", true],
    ['{"v":"FALSE"}', "boolean", false],
  ] as const)("%s as %s", async (text, type, expected) => expect(await answer(text, type)).toEqual(expected));

  it.each([
    ['{"v":null}', "number", "no-value"],
    ['{"v":{}}', "number", "not-a-value"],
    ['{"v":""}', "number", "not-a-number"],
    ['{"v":"1,5"}', "number", "not-a-number"],
    ['{"v":"0x10"}', "number", "not-a-number"],
    ['{"v":1e999}', "number", "not-a-number"],
    ['{"v":"on"}', "boolean", "not-a-boolean"],
    ['{"w":1}', "number", "not-found"],
  ] as const)("%s as %s is bad: %s", async (text, type, code) =>
    expect(await answer(text, type)).toMatchObject({ value: null, status: "bad", code }),
  );

  it("read a decimal comma where the settings say so, and then no full stop, which stands for thousands", async () => {
    expect(await answer('{"v":"1,5"}', "number", { decimal: "," })).toBe(1.5);
    for (const text of ["1.234", "1.234,5", "1,234,5"])
      expect(await answer(`{"v":"${text}"}`, "number", { decimal: "," })).toMatchObject({
        code: "not-a-number",
      });
  });

  it("of 64 bits are exact, each for itself, and beyond them what a number holds", async () => {
    const tree = await parse(
      '{"a":9007199254740993,"b":9007199254740992,"c":18446744073709551615,"d":-9223372036854775808,"e":1e30}',
      "json",
    );
    expect(tree).toEqual({
      a: 9007199254740993n,
      b: 9007199254740992n,
      c: 18446744073709551615n,
      d: -9223372036854775808n,
      e: 1e30,
    });
    expect(at({ l: [{ id: 9007199254740993n, v: 1 }] }, "$.l[?id=9007199254740993].v")).toBe(1);
    expect(await answer('{"v":9007199254740993}', "text")).toBe("9007199254740993");
    expect(await answer('{"v":"100000000000000000000000000"}', "number")).toBe(1e26);
  });

  it("whose time is not there, or none, are uncertain: they may have stood there for days", async () => {
    const doubted = { value: 1, status: "uncertain", code: "no-time" };
    expect(await answer('{"v":1,"t":"2026-11-22 11:00:00"}', "number")).toMatchObject(doubted);
    expect(await answer('{"v":1,"t":"yesterday"}', "number")).toMatchObject(doubted);
    expect(await answer('{"v":1}', "number", { time: true })).toMatchObject(doubted);
    const ahead = new Date(Date.now() + 7 * 3_600_000).toISOString();
    expect(await answer(`{"v":1,"t":"${ahead}"}`, "number", { staleAfter: 4000 })).toMatchObject(doubted);
  });

  it("carry the device's time, and are uncertain when it is long ago", async () => {
    const now = Date.now();
    const text = `{"v":1,"t":${now - 5000}}`;
    expect(await answer(text, "number")).toEqual({
      value: 1,
      status: "good",
      sourceTimeMs: now - 5000,
    });
    expect(await answer(text, "number", { staleAfter: 4000 })).toMatchObject({
      status: "uncertain",
      code: "stale",
    });
  });

  it.each([
    ["2026-11-22T04:00:00Z", undefined, "2026-11-22T04:00:00.000Z"],
    ["2026-11-22 11:00:00.25", "+07:00", "2026-11-22T04:00:00.250Z"],
    ["2026-11-22T11:00+0700", undefined, "2026-11-22T04:00:00.000Z"],
    [1795320000, undefined, "2026-11-22T04:00:00.000Z"],
    ["1795320000000", undefined, "2026-11-22T04:00:00.000Z"],
    ["2026-11-22 11:00:00", undefined, undefined],
    ["22/11/2026 11:00", "+07:00", undefined],
    ["2026-13-99T99:99:99Z", undefined, undefined],
  ])("take %j with offset %s", (found, offset, expected) => {
    const ms = parseTime(found, offset);
    expect(ms === undefined ? undefined : new Date(ms).toISOString()).toBe(expected);
  });
});

/** Bodies kept as they came, each with a head: format, settings, where to look and what must be found. */
describe("golden bodies", () => {
  const folder = new URL("frames/", import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

  it.each(files)("%s", async (name) => {
    const [head = "", ...rest] = readFileSync(new URL(name, folder), "utf8").split("\n---\n");
    const fields = new Map(
      head.split("\n").map((line) => [line.split(": ")[0] ?? "", line.split(": ").slice(1).join(": ")]),
    );
    const format = fields.get("format") as Format;
    const given = settings.parse({ host: "h", ...(JSON.parse(fields.get("settings") ?? "{}") as object) });
    const body = rest.join("\n---\n");
    const tree = await parseDocument(Buffer.from(body), format, given);
    const document: Document = { tree, format, madeMs: undefined };
    const wanted = [...fields].filter(([key]) => key.startsWith("$"));
    expect(wanted.length).toBeGreaterThan(0);
    for (const [place, expected] of wanted) {
      const value = parsePick(place)!;
      const type = expected.startsWith('"') ? "text" : /true|false/.test(expected) ? "boolean" : "number";
      expect(answerOf(document, tree, { value, time: undefined, type }, given), place).toEqual(
        JSON.parse(expected),
      );
    }
  });
});
