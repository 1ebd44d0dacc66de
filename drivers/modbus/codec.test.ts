import * as fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { crc16, findRtuAnswer, frameRtu, judge, MbapReader, readPdu } from "./codec.ts";
import { codeOf, connectTo, patient, pointsOf, rtuFrame, scriptedServer, settingsOf } from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("golden frames", () => {
  const folder = new URL("frames/", import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));

  test("there are some", () => expect(files.length).toBeGreaterThan(5));

  test.each(files)("%s", async (file) => {
    const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? "";
    const kind = field("transport") === "tcp" ? "tcp" : "rtu";
    const server = await scriptedServer(kind, (_, socket) => void socket.write(bytesOf(field("answer"))));
    open.push(server);
    const more = { unit: Number(field("unit")), timeout: 500 };
    const connection = await connectTo(
      settingsOf(server.port, more, kind === "tcp" ? "tcp" : "rtu-over-tcp"),
    );
    open.push(connection);
    const points = JSON.parse(field("points") || "[]") as Record<string, unknown>[];
    if (points.length === 0) {
      expect(await connection.identify(patient())).toEqual(JSON.parse(field("values")));
    } else {
      const { answers } = await connection.read(pointsOf(...points), { signal: patient() });
      expect(answers).toEqual(JSON.parse(field("values")));
    }
    expect(server.requests.map((request) => request.toString("hex"))).toEqual([
      bytesOf(field("request")).toString("hex"),
    ]);
  });
});

test("the CRC agrees with one that is computed bit by bit", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 253 }), (pdu) => {
      expect(Buffer.from(frameRtu(7, pdu))).toEqual(rtuFrame(7, [...pdu]));
    }),
  );
  expect(crc16(Uint8Array.of(1, 3, 0, 1, 0, 1), 0, 6)).toBe(0xcad5);
});

const request = frameRtu(1, readPdu("holding", 0, 2));
const expected = { functionCode: 3, dataBytes: 4 };

test("an RTU answer is found behind any noise", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.boolean(),
      (noise, data, isEchoed) => {
        const bytes = Buffer.concat([
          noise,
          isEchoed ? request : Buffer.alloc(0),
          rtuFrame(1, [3, 4, ...data]),
        ]);
        const found = findRtuAnswer(bytes, bytes.length, expected, request);
        expect(found).toEqual({ at: bytes.length - 8, length: 6, exception: 0 });
        expect(findRtuAnswer(bytes, bytes.length - 1, expected, request)).toBeUndefined();
      },
    ),
  );
});

test("no part of an echo is taken for an answer, not even where its CRC fits", () => {
  const asked = frameRtu(4, readPdu("input", 689, 1));
  const wanted = { functionCode: 4, dataBytes: 2 };
  const answer = rtuFrame(4, [4, 2, 0x12, 0x34]);
  const bytes = Buffer.concat([asked, answer]);
  for (let end = 0; end < bytes.length; end++)
    expect(findRtuAnswer(bytes, end, wanted, asked)).toBeUndefined();
  expect(findRtuAnswer(bytes, bytes.length, wanted, asked)).toEqual({ at: 9, length: 4, exception: 0 });
  const same = rtuFrame(4, [4, 2, 0xb1, 0]);
  expect([...same]).toEqual([...asked.subarray(0, 7)]);
  expect(findRtuAnswer(same, 7, wanted, asked)).toBeUndefined();
  expect(findRtuAnswer(same, 7, wanted, asked, { isLast: true })).toEqual({ at: 1, length: 4, exception: 0 });
});

test("a flipped bit is never taken", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat({ max: 71 }), (data, bit) => {
      const bytes = rtuFrame(1, [3, 4, ...data]);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(findRtuAnswer(bytes, bytes.length, expected, request)).toBeUndefined();
    }),
  );
});

describe("random bytes throw nothing", () => {
  const anyRequest = fc.constantFrom(expected, { functionCode: 43, dataBytes: undefined });
  const bytes = fc.uint8Array({ maxLength: 400 });
  const nearly = fc
    .tuple(fc.constantFrom([1, 3, 4], [1, 43, 14, 1, 1, 0, 0], [1, 131], [0, 1, 0, 0, 0, 7, 1, 3, 4]), bytes)
    .map(([head, rest]) => Uint8Array.of(...head, ...rest));

  test("in the parsers", () => {
    fc.assert(
      fc.property(fc.oneof(bytes, nearly), anyRequest, fc.nat({ max: 50 }), (chunk, wanted, cut) => {
        findRtuAnswer(chunk, chunk.length, wanted, request);
        if (chunk.length > 0) judge(wanted, chunk, 0, chunk.length);
        const frames: number[] = [];
        const reader = new MbapReader(400, (_transaction, _unit, _bytes, at, length) =>
          frames.push(at, length),
        );
        if (reader.push(chunk.subarray(0, cut), Math.min(cut, chunk.length)) === undefined) {
          reader.push(chunk.subarray(cut), Math.max(0, chunk.length - cut));
        }
        expect(reader.partialBytes).toBeLessThan(660);
      }),
      { numRuns: 1000 },
    );
  });

  test.each(["tcp", "rtu-over-tcp"] as const)("but DeviceError over %s", async (type) => {
    const points = pointsOf({ register: 0, type: "float32" });
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.boolean(),
        async (answer, identifies) => {
          const server = await scriptedServer(type === "tcp" ? "tcp" : "rtu", (asked, socket) => {
            // Half of them begin as an answer would, so that they get past the head.
            const head =
              type === "tcp"
                ? [...asked.subarray(0, 4), 0, answer.length + 2, ...asked.subarray(6, 8)]
                : [...asked.subarray(0, 2)];
            if (answer.length % 2 === 0) socket.write(Buffer.from([...head, ...answer]));
            else socket.end(answer);
          });
          const connection = await connectTo(settingsOf(server.port, { timeout: 20 }, type));
          const code = await codeOf(
            identifies ? connection.identify(patient()) : connection.read(points, { signal: patient() }),
          );
          await connection.close();
          await server.close();
          codes.add(code);
          expect(code).not.toContain("not a DeviceError");
        },
      ),
      { numRuns: 100 },
    );
    expect([...codes]).toContain("garbage");
  });
});
