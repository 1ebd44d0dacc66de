import { expect, test } from "vitest";
import fc from "fast-check";
import { encode, parse, unsupportedTags, withoutDiacritics } from "./multi.ts";

const textOf = (multi: string): string =>
  parse(multi)
    .characters.map(({ code }) => String.fromCodePoint(code))
    .join("");

const names = (bitmap: string, multi: string): string[] =>
  unsupportedTags(parse(multi), Buffer.from(bitmap, "hex")).map(({ name }) => name);

test("text without its tags; doubled brackets are brackets", () => {
  expect(textOf("[jp3]NGAP NUOC[nl]DI CHAM")).toBe("NGAP NUOCDI CHAM");
  expect(textOf("A[[B]]C")).toBe("A[B]C");
  expect(textOf("[hc41][hc2a]")).toBe("A*");
  expect(textOf("[mvcl100,1,5,AB]C")).toBe("ABC");
});

test("all tags of the standard are known, in either case", () => {
  const all =
    "[cb1][cb1,2,3][cf][fl][flt5o5][/fl][fo3][fo220,B62F][g1][g1,2,3,ABCD][hc41][jl3][jp3][ms1,x][mvcl9,1,1,x][nl][nl2][np][pt30o0][sc2][/sc][f1][f13,2][tr1,1,9,9][cr1,1,2,2,3][pb0][JP3]";
  expect(parse(all).problem).toBeUndefined();
  expect(parse(all).pages).toBe(2);
});

test.each([
  ["[zz]", "no tag"],
  ["[f14]", "no tag"],
  ["ABC[jp3", "not closed"],
  ["A]B", "bracket"],
  ["A\0B", "NUL"],
  ["[hc]", "no tag"],
  ["[hczz]", "no tag"],
  ["[hc41x]", "no tag"],
  ["[hc110000]", "no tag"],
  ["[hc0]", "NUL"],
  ["[fox]", "no tag"],
  ["[fo256]", "no tag"],
  ["[/jp3]", "no tag"],
])("%j is refused, with its place", (multi, what) => {
  expect(parse(multi).problem).toContain(what);
  expect(parse(multi).problem).toMatch(/offset \d/);
});

test("tags that a sign's bitmap leaves out: bit 0 is the lowest of the first octet", () => {
  expect(names("ffffff3f", "[cb1][cf1][fl][f1][f13][tr1,1,1,1][cr1,1,1,1,1][pb1][nl][np]X")).toEqual([]);
  expect(names("80040000", "[jp3][nl]X")).toEqual([]);
  expect(names("80040000", "[jp3][jl3][nl][np]X")).toEqual(["jl", "np"]);
  expect(names("00400000", "[f1][f2]")).toEqual(["f2"]);
});

test("each character knows its font", () => {
  const { characters } = parse("A[fo2]B[fo]C");
  expect(characters.map(({ font }) => font)).toEqual([undefined, 2, undefined]);
});

test("Vietnamese without its marks, and what Latin-1 has not", () => {
  expect(withoutDiacritics("Đường ngập nước, đi chậm! Ưu tiên")).toBe("Duong ngap nuoc, di cham! Uu tien");
  expect(encode("Đường", "latin1").missing).toEqual(["Đ", "ư", "ờ"]);
  expect(encode("café", "latin1")).toEqual({ bytes: Buffer.from("café", "latin1"), missing: [] });
});

test("each character of what it takes can be named", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^(A|\[hc[0-9a-fx]{0,7}\]|\[fo[0-9x]{0,4}\]){1,4}$/), (text) => {
      const { characters, problem } = parse(text);
      if (problem !== undefined) return;
      for (const { code } of characters) expect(() => String.fromCodePoint(code)).not.toThrow();
    }),
  );
});

test("no text makes it throw", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parse(text)));
  fc.assert(fc.property(fc.stringMatching(/^[[\]a-z0-9,/]{0,30}$/), (text) => void parse(text)));
});
