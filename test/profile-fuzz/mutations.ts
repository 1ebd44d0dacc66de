import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { parse, stringify } from "yaml";
import { listProfiles, profileFolder } from "../../gateway/profiles/profiles.ts";

/** Profiles of the library with something done to them: to their tree, to their lines, to their bytes. */

const files = listProfiles().map((id) => readFileSync(join(profileFolder, `${id}.yaml`), "utf8"));

/** What a text becomes where regular expressions look at it. */
const longTexts = [
  "x".repeat(100_000),
  " ".repeat(50_000),
  ".".repeat(50_000),
  `${".".repeat(50_000)}x`,
  "a.".repeat(30_000),
  "0".repeat(50_000),
  `${"1".repeat(50_000)}x`,
  `>=${"1.".repeat(30_000)}`,
  ">=1 ".repeat(20_000),
  `${"/a".repeat(30_000)}/`,
  `$${".a".repeat(30_000)}`,
  `$${"[0]".repeat(20_000)}`,
  `$${"[?a=1]".repeat(10_000)}x`,
  "{".repeat(50_000),
  "{a".repeat(20_000),
  "{number}".repeat(10_000),
  "*a".repeat(20_000),
  "+/#/".repeat(10_000),
  "1.3.6.1.".repeat(10_000),
  `i=${"1".repeat(50_000)}`,
  `nsu=${"a;".repeat(20_000)}`,
  "manual: p. 1; ".repeat(5000),
  "a:".repeat(20_000),
  "(a+)+$",
  `${"a".repeat(40)}!`,
  "^(([a-z])+.)+[A-Z]([a-z])+$",
  "\u{0}",
  "\u{202e}abc",
  "\ud800",
  "é".normalize("NFD").repeat(10_000),
];
const numbers = [
  0,
  -0,
  -1,
  0.1,
  1e-323,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 64,
  1e9,
  65_535,
  65_536,
  1000,
  1001,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const keys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "",
  "0",
  "a.b.c.d",
  "each",
  "derive",
  "{number}",
  "x".repeat(10_000),
];

const nested = (depth: number, isList: boolean): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = isList ? [value] : { a: value };
  return value;
};

/** What may stand anywhere in a tree. */
const evil: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...longTexts),
  fc.constantFrom(...numbers),
  fc.constantFrom<unknown>(null, true, false, "", [], {}, "*", "any", "{id}", "${env:HOME}", "${secret:x}"),
  fc
    .constantFrom(...keys)
    .map((key) => JSON.parse(`{ ${JSON.stringify(key)}: { "polluted": 1 } }`) as unknown),
  fc.nat(400).map((depth) => nested(depth, depth % 2 === 0)),
  fc.nat(20_000).map((length) => Array.from({ length }, (_, i) => i)),
  fc.nat(5000).map((length) => Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, i]))),
);

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null;
/** Somewhere in the tree: which of its maps and lists, and which entry of that. */
interface Where {
  inner: number;
  entry: number;
}
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const where: fc.Arbitrary<Where> = fc.record({ inner: share, entry: share });

function innersOf(tree: unknown): Tree[] {
  const found: Tree[] = [];
  const look = (value: unknown): void => {
    if (!isTree(value)) return;
    found.push(value);
    Object.values(value).forEach(look);
  };
  look(tree);
  return found;
}

/** One entry of the tree; undefined where there is none. */
function entryOf(tree: unknown, { inner, entry }: Where): { of: Tree; key: string } | undefined {
  const inners = innersOf(tree).filter((one) => Object.keys(one).length > 0);
  const of = inners[Math.floor(inner * inners.length)];
  const own = Object.keys(of ?? {});
  const key = own[Math.floor(entry * own.length)];
  return of === undefined || key === undefined ? undefined : { of, key };
}

type Edit = (tree: Tree) => void;
const at =
  (place: Where, change: (of: Tree, key: string) => void): Edit =>
  (tree) => {
    const found = entryOf(tree, place);
    if (found !== undefined) change(found.of, found.key);
  };

const treesOf = (text: string): Tree => parse(text) as Tree;

const pointsOf = (tree: Tree): Tree => (isTree(tree["points"]) ? tree["points"] : {});

/** Points made of points, round in circles or without end. */
const derivations = fc
  .record({
    circle: fc.integer({ min: 1, max: 40 }),
    how: fc.constantFrom("sum", "difference", "ratio"),
    wide: fc.boolean(),
  })
  .map(({ circle, how, wide }): Edit => (tree) => {
    const points = pointsOf(tree);
    for (let i = 0; i < circle; i++) {
      const [one, other] = [
        `native.d${(i + 1) % circle}`,
        wide ? `native.d${(i + 2) % circle}` : `native.d${i}`,
      ];
      points[`native.d${i}`] = { derive: { [how]: [one, other] }, label: { en: "D", vi: "Đ" } };
    }
  });

const factors = fc.nat(30).map((count): Edit => (tree) => {
  const names = Object.keys(pointsOf(tree)).slice(0, count);
  for (const [i, name] of names.entries()) {
    const point = pointsOf(tree)[name];
    if (isTree(point)) point["scaleFactor"] = names[(i + 1) % names.length];
  }
});

/** As many copies of one point as a file may hold, each for one part of many. */
const crowds = fc
  .record({
    place: where,
    count: fc.integer({ min: 10, max: 60_000 }),
    parts: fc.constantFrom(0, 8, 255, 1000, 1e9),
  })
  .map(({ place, count, parts }): Edit => (tree) => {
    const points = pointsOf(tree);
    const found = Object.values(points)[Math.floor(place.entry * Object.keys(points).length)];
    const point =
      parts === 0 ? found : { ...(isTree(found) ? found : {}), each: { setting: "parts", as: "P" } };
    const most = Math.min(count, Math.floor(900_000 / (JSON.stringify(point ?? 1).length + 20)));
    for (let i = 0; i < most; i++) points[`native.c${i}`] = point;
    if (parts > 0 && isTree(tree["settings"])) tree["settings"]["parts"] = parts;
  });

const each = fc
  .record({
    place: where,
    setting: fc.constantFrom("unit", "port", "timeout", "signalGroups", "functions", "host"),
    many: fc.constantFrom<unknown>(
      1e12,
      255,
      -1,
      Number.NaN,
      Array.from({ length: 2000 }, () => "a"),
      [null],
      [{}],
      [{ name: "a" }, { name: "a" }],
    ),
  })
  .map(({ place, setting, many }): Edit => (tree) => {
    const points = pointsOf(tree);
    const found = Object.values(points)[Math.floor(place.entry * Object.keys(points).length)];
    if (isTree(found)) found["each"] = { setting, as: "P" };
    if (isTree(tree["settings"])) tree["settings"][setting] = many;
  });

const treeEdit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(where, evil).map(([place, value]) => at(place, (of, key) => (of[key] = value))),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(where, fc.constantFrom(...numbers))
      .map(([place, value]) => at(place, (of, key) => (of[key] = value))),
  },
  { weight: 2, arbitrary: where.map((place) => at(place, (of, key) => delete of[key])) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(where, fc.constantFrom(...keys), evil)
      .map(([place, name, value]) =>
        at(place, (of) =>
          Object.defineProperty(of, name, { value, enumerable: true, configurable: true, writable: true }),
        ),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(where, where).map(([from, to]): Edit => (tree) => {
      const found = entryOf(tree, from);
      at(to, (of, key) => (of[key] = structuredClone(found?.of[found.key])))(tree);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(where, where, fc.constantFrom(...files)).map(([from, to, other]): Edit => (tree) => {
      const found = entryOf(treesOf(other), from);
      at(to, (of, key) => (of[key] = found?.of[found.key]))(tree);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...files).map(
      (other): Edit =>
        (tree) =>
          void Object.assign(tree, {
            settings: treesOf(other)["settings"],
            driver: treesOf(other)["driver"],
          }),
    ),
  },
  { weight: 1, arbitrary: derivations },
  { weight: 1, arbitrary: factors },
  { weight: 1, arbitrary: crowds },
  { weight: 1, arbitrary: each },
);

const bomb = (head: string): string =>
  [
    `${head}:`,
    "  a: &a [x, x, x, x, x, x, x, x, x, x]",
    ..."bcdefgh".split("").map((one, i) => {
      const before = `*${"abcdefg"[i]}`;
      return `  ${one}: &${one} [${Array(10).fill(before).join(", ")}]`;
    }),
  ].join("\n");

const values = [
  "1e999",
  ".nan",
  ".inf",
  "-0",
  "0x7fffffffffffffff",
  "0o777",
  "999999999999999999999999",
  "|",
  "*nowhere",
  "&a b",
  "!!binary x",
  "!!js/regexp /(a+)+$/",
  "{ __proto__: { polluted: 1 } }",
  '"\\u0000"',
  "[".repeat(500),
  `${"[".repeat(90)}${"]".repeat(90)}`,
  "{ a: ".repeat(300),
  "{number}",
  '"{id}"',
  "? x",
  "@",
  "`",
  "%YAML 1.1",
];
const lines = [
  "  __proto__: { polluted: 1 }",
  "\t",
  "---",
  "...",
  "unknown: 1",
  "? [a]",
  "- x",
  "points: {}",
  "<<: *a",
  "%TAG ! tag:x,2000:",
  "    scaleFactor: toString",
  "    values: { __proto__: x }",
  "class: constructor",
  "driver: ../modbus",
  "driver: valueOf",
  bomb("settings"),
  bomb("records"),
  bomb("x"),
  "  signalGroups: 1e12",
  "a: &a { b: *a }",
  "    limits: [.inf, -.inf]",
  "    scale: 1e308",
  "    decimals: -1",
  '    when: "<0"',
  `    ${"- ".repeat(2000)}x`,
  `${" ".repeat(5000)}x: 1`,
  `? ${"? ".repeat(500)}`,
];

type LineEdit = (text: string[]) => void;
const lineAt = (text: readonly string[], place: number): number => Math.floor(place * text.length);
const lineEdit: fc.Arbitrary<LineEdit> = fc.oneof(
  share.map(
    (place): LineEdit =>
      (text) =>
        void text.splice(lineAt(text, place), 1),
  ),
  fc.tuple(share, fc.constantFrom(...values)).map(([place, value]): LineEdit => (text) => {
    const line = lineAt(text, place);
    // In a flow map the last value, else the value of the line.
    text[line] = (text[line] ?? "").replace(/: [^:{}]*?(?=( \})?$)/, () => `: ${value}`);
  }),
  fc.tuple(share, fc.constantFrom(...lines)).map(
    ([place, line]): LineEdit =>
      (text) =>
        void text.splice(lineAt(text, place), 0, line),
  ),
  fc.tuple(share, share).map(([from, to]): LineEdit => (text) => {
    const moved = text.splice(lineAt(text, from), 1 + Math.floor(from * 8));
    text.splice(lineAt(text, to), 0, ...moved);
  }),
  fc.tuple(share, fc.nat(6)).map(([place, spaces]): LineEdit => (text) => {
    const line = lineAt(text, place);
    text[line] = " ".repeat(spaces) + (text[line] ?? "").trimStart();
  }),
);

type ByteEdit = (bytes: Buffer) => Buffer;
const byteEdit: fc.Arbitrary<ByteEdit> = fc.oneof(
  fc.tuple(share, fc.nat(255)).map(([place, byte]): ByteEdit => (bytes) => {
    const copy = Buffer.from(bytes);
    copy[Math.floor(place * copy.length)] = byte;
    return copy;
  }),
  fc
    .tuple(share, fc.uint8Array({ minLength: 1, maxLength: 30 }))
    .map(([place, more]): ByteEdit => (bytes) => {
      const middle = Math.floor(place * bytes.length);
      return Buffer.concat([bytes.subarray(0, middle), more, bytes.subarray(middle)]);
    }),
  fc.tuple(share, share).map(([from, length]): ByteEdit => (bytes) => {
    const start = Math.floor(from * bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + Math.floor(length * 200))]);
  }),
  share.map(
    (place): ByteEdit =>
      (bytes) =>
        bytes.subarray(0, Math.floor(place * bytes.length)),
  ),
  fc
    .tuple(
      share,
      fc.constantFrom("\n", " ", "[", "{", ",", "- ", "'", '"', "\u{feff}", "\u{2028}"),
      fc.nat(2000),
    )
    .map(([place, what, times]): ByteEdit => (bytes) => {
      const middle = Math.floor(place * bytes.length);
      return Buffer.concat([
        bytes.subarray(0, middle),
        Buffer.from(what.repeat(times)),
        bytes.subarray(middle),
      ]);
    }),
);

/** Whole files that no edit comes to. */
const wholes = fc.constantFrom(
  "",
  "\u{feff}",
  "- ".repeat(300_000),
  "[".repeat(500_000),
  "{a: ".repeat(200_000),
  "a: ".repeat(200_000),
  "? ".repeat(300_000),
  "x".repeat(1_040_000),
  `"${"\\u0041".repeat(150_000)}"`,
  "\n".repeat(1_040_000),
  "&a ".repeat(200_000),
  `a: &a ${"[".repeat(60)}x${"]".repeat(60)}\n${Array.from({ length: 50_000 }, (_, i) => `k${i}: *a`).join("\n")}`,
  Array.from({ length: 90_000 }, (_, i) => `k${i}: 1`).join("\n"),
  Array.from({ length: 100_000 }, () => "a: 1").join("\n"),
  `points:\n${Array.from({ length: 60_000 }, (_, i) => `  p${i}: {}`).join("\n")}`,
  "#".repeat(1_040_000),
  "- |\n".repeat(200_000),
  "'".repeat(1_000_001),
);

function cut(bytes: Buffer): Buffer {
  return bytes.length > 1_100_000 ? bytes.subarray(0, 1_100_000) : bytes;
}

/** One profile file with one to four things done to it. */
export const fuzzedProfile: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc
      .tuple(fc.constantFrom(...files), fc.array(treeEdit, { minLength: 1, maxLength: 3 }))
      .map(([text, edits]) => {
        const tree = treesOf(text);
        for (const one of edits) one(tree);
        return cut(Buffer.from(stringify(tree, { lineWidth: 0, aliasDuplicateObjects: false })));
      }),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...files), fc.array(lineEdit, { minLength: 1, maxLength: 4 }))
      .map(([text, edits]) => {
        const changed = text.split("\n");
        for (const one of edits) one(changed);
        return Buffer.from(changed.join("\n"));
      }),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...files), fc.array(byteEdit, { minLength: 1, maxLength: 4 }))
      .map(([text, edits]) => {
        let bytes: Buffer = Buffer.from(text);
        for (const one of edits) bytes = one(bytes);
        return cut(bytes);
      }),
  },
  { weight: 1, arbitrary: wholes.map((text) => Buffer.from(text)) },
);
