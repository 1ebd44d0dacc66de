import * as fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { DeviceError, type Connection, type Sink } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import type { Address } from "./settings.ts";
import { context, parseExchange, pointsOf, replay, settingsAt, type Exchange } from "./testing.ts";

const folder = new URL("frames/", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
const exchangeIn = (file: string): Exchange => parseExchange(readFileSync(new URL(file, folder), "utf8"));

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const patient = (): AbortSignal => new AbortController().signal;

/** What a subscription hands on until it ends, by point; at most until there are `enough` and a moment more. */
async function heardOn(
  connection: Connection<Address>,
  points: Exchange["points"],
  timeoutMs: number,
  enough: number,
): Promise<unknown[]> {
  const heard: unknown[] = [];
  const stop = new AbortController();
  const end = setTimeout(() => stop.abort(), timeoutMs);
  const look = (): void => {
    if (heard.length >= enough) setTimeout(() => stop.abort(), 50);
  };
  const sink: Sink = {
    alive: () => {},
    readings: (values) => {
      heard.push(...values.map(({ index, answer }) => [index, answer]));
      look();
    },
    record: () => {},
    poll: (index) => heard.push([index, "polled"]),
  };
  const [last, ...first] = pointsOf(...points).toReversed();
  const record = { ...last!, name: "record", fields: first };
  const ended = await connection.subscribe!({
    points: first.toReversed(),
    records: [record],
    sink,
    signal: stop.signal,
  }).catch((error: unknown) => error);
  clearTimeout(end);
  if (ended !== undefined && (ended as DeviceError).code !== "hung-up") throw ended;
  return heard;
}

async function valuesOf(
  { settings, points, listens, values: expected }: Exchange,
  answers: readonly Buffer[],
  timeout = 150,
) {
  const server = await replay(answers);
  open.push(server);
  const connection = await driver.connect(
    settingsAt(server.port, { timeout, ...settings }),
    context(),
    patient(),
  );
  open.push(connection);
  const values = listens
    ? await heardOn(connection, points, timeout, Array.isArray(expected) ? expected.length : 0)
    : points.length === 0
      ? await connection.identify(patient())
      : (await connection.read(pointsOf(...points), { signal: patient() })).answers;
  return { values, requests: server.requests };
}

/** 64-bit values as the file has them. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `${one}n` : one)));

/** Type and size of a message; the rest of it holds times and random numbers. */
const shapeOf = (message: Buffer): string => `${message.toString("latin1", 0, 4)} ${message.length}`;

describe("golden frames", () => {
  test("there are some", () => expect(files.length).toBeGreaterThan(2));

  test.each(files)("%s", async (file) => {
    const exchange = exchangeIn(file);
    const { values, requests } = await valuesOf(exchange, exchange.answers, 5000);
    expect(plain(values)).toEqual(exchange.values);
    const isSame = (i: number): boolean => shapeOf(requests[i]!) === shapeOf(exchange.requests[i]!);
    // HEL and CreateSession name host and device, whose lengths differ.
    const fixed = requests.map((_, i) => i).filter((i) => i !== 0 && i !== 2 && i !== 3);
    expect(fixed.filter((i) => !isSame(i))).toEqual([]);
  });
});

test("whatever a server answers, nothing but a DeviceError is thrown", { timeout: 120_000 }, async () => {
  const exchanges = files.map(exchangeIn);
  const codes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...exchanges),
      fc.nat({ max: 11 }),
      fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      async (exchange, which, changes, keepsLength) => {
        const answers = exchange.answers.map((answer) => Buffer.from(answer));
        const answer = answers[which % answers.length]!;
        for (const [at, byte] of changes) {
          const place = keepsLength ? 8 + (at % Math.max(1, answer.length - 8)) : at % answer.length;
          answer[place] = byte;
        }
        const code = await valuesOf(exchange, answers).then(
          () => "answered",
          (error: unknown) => (error instanceof DeviceError ? error.code : `thrown: ${String(error)}`),
        );
        for (const thing of open.splice(0).reverse()) await thing.close();
        codes.add(code);
        expect(code).not.toContain("thrown");
      },
    ),
    { numRuns: 150 },
  );
  expect(codes.size).toBeGreaterThan(2);
});
