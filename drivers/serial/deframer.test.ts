import * as fc from "fast-check";
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { checksumOf, isChecksum, writeChecksum } from "./checksum.ts";
import { FrameCollector, PromptCollector } from "./collector.ts";
import { Deframer } from "./deframer.ts";
import type { Framing } from "./grammar.ts";
import { grammar } from "./grammar.ts";
import { hasPython, latin1 } from "./testing.ts";

const framingOf = (given: Record<string, unknown>): Framing =>
  grammar.parse({ dialect: "test", framing: given }).framing;

const nmea = framingOf({
  start: "$",
  end: "\r\n",
  lengthMax: 128,
  checksum: { kind: "xor", over: "body", place: "body", digits: 2, after: "*" },
});
const gesytec = framingOf({
  start: "\x02",
  end: "\x03",
  tail: 2,
  lengthMax: 256,
  checksum: { kind: "xor", over: "frame", place: "tail", digits: 2 },
});
const ama = framingOf({
  start: "\x02",
  lengthAt: 1,
  end: "\x03",
  tail: 2,
  lengthMax: 300,
  checksum: { kind: "xor", over: "frame", place: "tail", digits: 2 },
});
const lines = framingOf({ end: "\r\n", lengthMax: 64 });
const columns = framingOf({ end: "\r\n", size: 8, lengthMax: 64 });
const marked = framingOf({ start: "\x02", end: "\x03", lengthMax: 64 });
const all = { nmea, gesytec, ama, lines, columns, marked };

/** Written here by hand, so that a mistake in the driver's own encoder is not made twice. */
const xor = (text: string): string => {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum ^= text.charCodeAt(i);
  return (sum < 16 ? "0" : "") + sum.toString(16).toUpperCase();
};
const encode: Record<keyof typeof all, (body: string) => string> = {
  nmea: (body) => `$${body}*${xor(body)}\r\n`,
  gesytec: (body) => `\x02${body}\x03${xor(`\x02${body}\x03`)}`,
  ama: (body) => {
    const framed = `\x02${String.fromCharCode(body.length)}${body}\x03`;
    return framed + xor(framed);
  },
  lines: (body) => `${body}\r\n`,
  columns: (body) => `${body}\r\n`,
  marked: (body) => `\x02${body}\x03`,
};
const kinds = Object.keys(all) as (keyof typeof all)[];
const bodyOf = (kind: keyof typeof all): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(..."ABCDEFGH0123456789,.+- ".split("")), {
      minLength: 8,
      maxLength: kind === "columns" ? 8 : 30,
    })
    .map((letters) => letters.join(""));

const texts = (framing: Framing, chunks: readonly (string | Uint8Array)[]): string[] => {
  const deframer = new Deframer(framing);
  return chunks.flatMap((chunk) =>
    deframer.push(typeof chunk === "string" ? latin1(chunk) : chunk).map(({ text }) => text),
  );
};

describe.each(kinds)("%s frames", (kind) => {
  const framing = all[kind];
  const write = encode[kind];

  test("are found however they are cut into pieces", () => {
    fc.assert(
      fc.property(
        fc.array(bodyOf(kind), { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(200)),
        (bodies, cuts) => {
          const bytes = latin1(bodies.map(write).join(""));
          const places = [
            0,
            ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b),
            bytes.length,
          ];
          const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
          expect(texts(framing, pieces)).toEqual(bodies);
          expect(
            texts(
              framing,
              [...bytes].map((byte) => Uint8Array.of(byte)),
            ),
          ).toEqual(bodies);
        },
      ),
    );
  });

  test("noise before and between them costs no whole frame", () => {
    const noise = fc
      .uint8Array({ maxLength: 60 })
      .filter((bytes) => kind !== "ama" || !bytes.includes(2))
      // Without a start the first frame after noise is spoilt: the noise ends with a line of its own.
      .map((bytes) =>
        kind === "lines" || kind === "columns"
          ? `${Buffer.from(bytes).toString("latin1")}\r\n`
          : Buffer.from(bytes).toString("latin1"),
      );
    fc.assert(
      fc.property(fc.array(fc.tuple(noise, bodyOf(kind)), { maxLength: 4 }), (parts) => {
        const found = texts(framing, [parts.map(([before, body]) => before + write(body)).join("")]);
        for (const [, body] of parts) expect(found.filter((one) => one.endsWith(body))).not.toEqual([]);
      }),
    );
  });

  test("random bytes never throw and are not kept", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 20 }), (chunks) => {
        const deframer = new Deframer(framing);
        for (const chunk of chunks) {
          deframer.push(chunk);
          expect(deframer.pendingBytes).toBeLessThanOrEqual(framing.lengthMax);
        }
      }),
      { numRuns: 50 },
    );
    const deframer = new Deframer(framing);
    for (let i = 0; i < 300; i++)
      deframer.push(new Uint8Array(10_000).fill(framing.start?.charCodeAt(0) ?? 65));
    expect(deframer.pendingBytes).toBeLessThanOrEqual(framing.lengthMax);
    expect(deframer.garbageBytes).toBeGreaterThan(2_900_000);
  });
});

test("a frame that another one cuts is dropped, the other one is found, and the loss is counted", () => {
  for (const kind of ["nmea", "gesytec", "marked"] as const) {
    const [first, second] = [encode[kind]("AAAAAAAA,1"), encode[kind]("BBBBBBBB,2")];
    for (let cut = 1; cut < first.length - 1; cut++) {
      const deframer = new Deframer(all[kind]);
      const found = deframer.push(latin1(first.slice(0, cut) + second)).map(({ text }) => text);
      expect(found, `${kind} cut at ${cut}`).toEqual(
        ["BBBBBBBB,2"].filter(() => kind !== "marked" || cut < first.length),
      );
      expect(deframer.garbageBytes).toBe(cut);
    }
  }
});

test("a frame with one wrong bit is none", () => {
  for (const kind of ["nmea", "gesytec", "ama"] as const) {
    const right = latin1(encode[kind]("WIMWV,214.8,R,0.1,M,A"));
    for (let at = 0; at < right.length; at++) {
      for (let bit = 0; bit < 7; bit++) {
        const wrong = Buffer.from(right);
        wrong[at]! ^= 1 << bit;
        // The digits of a checksum may be written in either case.
        const isCase = wrong.toString("latin1").toUpperCase() === right.toString("latin1").toUpperCase();
        const isDigit = at >= right.length - (kind === "nmea" ? 4 : 2) && isCase;
        if (!isDigit) expect(texts(all[kind], [wrong]), `${kind} byte ${at} bit ${bit}`).toEqual([]);
      }
    }
  }
});

test("the line feed of the line before is no part of the next one", () => {
  const returns = framingOf({ end: "\r", lengthMax: 64 });
  const deframer = new Deframer(returns);
  expect(deframer.push(latin1("MD01\r\nMD02\r\n\r\n")).map(({ text }) => text)).toEqual(["MD01", "MD02"]);
  expect(deframer.garbageBytes).toBe(0);
});

test("a line with noise glued to it is still read where its columns have a fixed width", () => {
  expect(texts(columns, ["\xff\x80?ABCDEFGH\r\n"])).toEqual(["ABCDEFGH"]);
});

describe("checksums", () => {
  const known = latin1("123456789");

  test("have the check values of the catalogue for 123456789", () => {
    expect(checksumOf("crc16", known)).toBe(0xbb3d);
    expect(checksumOf("crc16-modbus", known)).toBe(0x4b37);
    expect(checksumOf("crc16-ccitt", known)).toBe(0x29b1);
    expect(checksumOf("sum8", known)).toBe(0xdd);
    expect(writeChecksum({ kind: "crc16", as: "sdi12", digits: 3 }, latin1("0+3.14"))).toBe("OqZ");
    expect(writeChecksum({ kind: "sum16", as: "decimal", digits: 5 }, known)).toBe("00477");
    expect(isChecksum({ kind: "crc16", as: "binary", digits: 2 }, known, "\x3d\xbb")).toBe(true);
  });

  test.skipIf(!hasPython("crcmod", "binascii"))("agree with python's crcmod and binascii", () => {
    const samples = fc
      .sample(fc.uint8Array({ minLength: 1, maxLength: 200 }), 60)
      .map((one) => Buffer.from(one));
    const script = [
      "import sys, binascii, crcmod.predefined as p",
      "from functools import reduce",
      "arc, modbus = p.mkCrcFun('crc-16'), p.mkCrcFun('modbus')",
      "for line in sys.stdin:",
      "  b = binascii.unhexlify(line.strip())",
      "  print(arc(b), modbus(b), binascii.crc_hqx(b, 0xFFFF), reduce(lambda x, y: x ^ y, b, 0), sum(b) & 0xFFFF)",
    ].join("\n");
    const input = samples.map((one) => one.toString("hex")).join("\n");
    const { stdout } = spawnSync("/usr/bin/python3", ["-c", script], { input, encoding: "utf8" });
    const ours = samples.map((one) =>
      (["crc16", "crc16-modbus", "crc16-ccitt", "xor", "sum16"] as const)
        .map((kind) => checksumOf(kind, one))
        .join(" "),
    );
    expect(stdout.trim().split("\n")).toEqual(ours);
  });
});

const collect = (sent: string, chunks: readonly string[]) => {
  const collector = new FrameCollector<string>(lines, latin1(sent), 1, ({ text }) => text);
  for (const chunk of chunks) collector.push(latin1(chunk));
  return collector;
};

describe("what follows a request", () => {
  test("is heard with and without an echo, at every cut", () => {
    const answer = "0+3.14\r\n";
    for (const heard of [answer, `0D0!${answer}`]) {
      for (let cut = 0; cut <= heard.length; cut++) {
        const collector = collect("0D0!", [heard.slice(0, cut), heard.slice(cut)]);
        expect(collector.result, `${heard} cut at ${cut}`).toBe("0+3.14");
        expect(collector.heardBytes).toBe(answer.length);
      }
    }
  });

  test("an echo alone is silence", () => expect(collect("0D0!", ["0D0!"]).heardBytes).toBe(0));

  test("a prompt is found wherever it stands, and a flood before it is not kept", () => {
    const collector = new PromptCollector("*>", latin1("\r\r\r"));
    for (let i = 0; i < 1000; i++) collector.push(latin1("x".repeat(1000)));
    collector.push(latin1("*"));
    expect(collector.isDone).toBe(false);
    collector.push(latin1(">"));
    expect(collector.isDone).toBe(true);
  });
});

test("a flood of starts before one end costs no more than its length", () => {
  const deframer = new Deframer(
    framingOf({
      start: "\x02",
      end: "\x03",
      tail: 4,
      lengthMax: 4096,
      checksum: { kind: "crc16", over: "frame", place: "tail", digits: 4 },
    }),
  );
  const begunAt = performance.now();
  for (let i = 0; i < 32; i++) deframer.push(latin1(`${"\x02".repeat(4090)}\x03ZZZZ`));
  // One by one they would be 130,000 checksums over 2 kB each.
  expect(performance.now() - begunAt).toBeLessThan(1000);
  const body = "\x02A\x03";
  const text = `${"\x02".repeat(20)}${body}${writeChecksum({ kind: "crc16", as: "hex", digits: 4 }, latin1(body))}`;
  expect(deframer.push(latin1(text)).map((one) => one.text)).toEqual(["A"]);
});
