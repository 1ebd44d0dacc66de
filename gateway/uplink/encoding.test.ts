import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  clockStates,
  EventReader,
  EventWriter,
  quality,
  type DictionaryDevice,
  type KerbEvent,
} from "../event.ts";
import { decodeBatch } from "../receiver/decode.ts";
import { ChainHash, chainStart } from "./canonical.ts";
import { encodeCloudEvents } from "./cloudevents.ts";
import { encodeColumnar } from "./columnar.ts";
import { compress, Dictionary, type BatchHeader, type Row } from "./encoding.ts";

const devices: DictionaryDevice[] = Array.from({ length: 4 }, (_, d) => ({
  index: d + 1,
  id: `dev-${d + 1}`,
  type: "energy-meter",
  profile: d === 3 ? "" : "eastron/sdm630",
  points: Array.from({ length: 50 }, (__, p) => ({
    index: d * 100 + p,
    name: `point.p${p}`,
    unit: p % 2 === 0 ? "V" : "kW.h",
    kind: "number" as const,
    decimals: p % 4,
  })),
}));
const dictionary = new Dictionary("9f3c21aa", devices);
const header: BatchHeader = { city: "hcmc", gateway: "gw-01", epoch: 37, lane: "live", dictionary };

const value = fc.oneof(
  fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  fc.integer({ min: -99999, max: 99999 }).map((n) => n / 100),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
  fc.boolean(),
  fc.string(),
);
const detail = fc.option(fc.record({ code: fc.string(), reason: fc.string({ unit: "grapheme" }) }), {
  nil: undefined,
});
const reading = fc.record({
  point: fc.nat(49),
  value,
  bad: fc.boolean(),
  bits: fc.constantFrom(
    0,
    0,
    0,
    quality.uncertain,
    quality.substituted,
    quality.uncertain | quality.substituted,
  ),
  decimals: fc.nat(8),
  detail,
  offset: fc.oneof(fc.constant(0), fc.integer({ min: -5000, max: 5000 })),
});
/** Nothing but good numbers, as nearly all events are. */
const plain = reading.map((r) => ({
  ...r,
  value: typeof r.value === "number" ? r.value : 23.5,
  bad: false,
  bits: 0,
  detail: undefined,
  offset: 0,
}));
type Reading = typeof reading extends fc.Arbitrary<infer T> ? T : never;
const distinct = { selector: (r: { point: number }) => r.point, minLength: 1, maxLength: 20 };
const event = fc.record({
  kind: fc.constantFrom("telemetry", "telemetry", "alarm", "gap", "device-status"),
  device: fc.integer({ min: 1, max: 4 }),
  time: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
  recorded: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
  clock: fc.constantFrom(...clockStates),
  mono: fc.double({ min: 0, max: 1e11, noNaN: true }),
  skip: fc.constantFrom(0, 0, 0, 1, 7),
  readings: fc.oneof(
    fc.uniqueArray(reading, distinct),
    fc.uniqueArray(plain, distinct) as fc.Arbitrary<Reading[]>,
  ),
  data: fc.dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    fc.oneof(fc.string(), fc.integer(), fc.boolean()),
  ),
});

function rows(events: (typeof event extends fc.Arbitrary<infer T> ? T : never)[]): Row[] {
  const writer = new EventWriter();
  let seq = 48_211_000;
  return events.map((e) => {
    writer.begin(e.kind, e.device, e.time, e.mono, e.clock);
    if (e.kind === "telemetry") {
      writer.count(e.readings.length);
      for (const r of e.readings) {
        const bits = r.bad ? quality.bad : r.bits;
        writer.reading(
          (e.device - 1) * 100 + r.point,
          r.bad ? null : r.value,
          r.decimals,
          bits,
          r.detail,
          r.offset,
        );
      }
    } else writer.object(e.data);
    seq += e.skip + 1;
    return { seq, recordedMs: e.recorded, body: Buffer.from(writer.bytes()) };
  });
}

const reader = new EventReader();
/** Where the chain of seals stands after each of these rows, as hex. */
function rowChain(list: readonly Row[]): string[] {
  const chain = new ChainHash();
  chain.value = chainStart("gw-01", 37);
  return list.map((row) => {
    reader.open(row.body);
    chain.row(reader, dictionary, row.seq, row.recordedMs);
    return chain.value.toString("hex");
  });
}

function eventChain(list: readonly KerbEvent[]): string[] {
  const chain = new ChainHash();
  chain.value = chainStart("gw-01", 37);
  return list.map((one) => {
    chain.event(one);
    return chain.value.toString("hex");
  });
}

/** The chain over one row with these flags: of the row, and of what either encoding makes of it. */
function chainOf(bits: number, emptyDetail: object | undefined): (string | undefined)[] {
  const writer = new EventWriter();
  writer.begin("telemetry", 1, 1_795_000_000_000, 0, "holdover");
  writer.count(2);
  writer.reading(3, 231.2, 1, bits, emptyDetail);
  writer.reading(4, 50, 0);
  const row = { seq: 5, recordedMs: 1_795_000_000_500, body: Buffer.from(writer.bytes()) };
  const decoded = [encodeColumnar(header, [row]), encodeCloudEvents(header, [row])].map((text) =>
    decodeBatch(Buffer.from(text)).events(dictionary),
  );
  return [rowChain([row])[0], ...decoded.map((events) => eventChain(events)[0])];
}

describe("the two encodings of the contract", () => {
  it("decode to identical events and numbers, whatever the rows hold", () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 20 }), (events) => {
        const source = rows(events);
        const columnar = decodeBatch(compress(encodeColumnar(header, source)));
        const cloud = decodeBatch(compress(encodeCloudEvents(header, source)));
        expect(columnar.seqs).toEqual(source.map((row) => row.seq));
        expect(cloud.seqs).toEqual(columnar.seqs);
        const decoded = columnar.events(dictionary);
        expect(cloud.events(undefined)).toEqual(decoded);
        // What a seal is computed over is the same before and after the wire.
        const chain = rowChain(source);
        expect(eventChain(decoded)).toEqual(chain);
        expect(eventChain(cloud.events(undefined))).toEqual(chain);
        for (const [i, e] of events.entries()) {
          expect(decoded[i]).toMatchObject({
            kind: e.kind,
            device: `dev-${e.device}`,
            timeMs: e.time,
            recordedMs: e.recorded,
          });
          expect(decoded[i]?.monoMs).toBe(e.clock === "unsynced" ? Math.round(e.mono) : undefined);
          if (e.kind === "telemetry") {
            expect(decoded[i]?.readings?.map((r) => r.value)).toEqual(
              e.readings.map((r) => (r.bad ? null : r.value)),
            );
          } else expect(decoded[i]?.data).toEqual(e.data);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("give another chain for every change of an event that both can carry", () => {
    const sample: KerbEvent = {
      gateway: "gw-01",
      epoch: 37,
      seq: 5,
      kind: "telemetry",
      device: "dev-1",
      profile: "eastron/sdm630",
      timeMs: 1_795_000_000_000,
      recordedMs: 1_795_000_000_500,
      clock: "holdover",
      readings: [
        { point: "voltage.L1", unit: "V", value: 231.2, quality: 0, timeMs: 1_795_000_000_000 },
        { point: "state", unit: "1", value: "on", quality: 0, timeMs: 1_795_000_000_000 },
      ],
    };
    const [first, second] = sample.readings ?? [];
    const changed = (i: number, change: object): KerbEvent => ({
      ...sample,
      readings: (sample.readings ?? []).map((one, j) => (i === j ? { ...one, ...change } : one)),
    });
    const others: KerbEvent[] = [
      { ...sample, seq: 6 },
      { ...sample, device: "dev-2" },
      { ...sample, profile: "eastron/sdm120" },
      { ...sample, timeMs: sample.timeMs + 1, readings: [] },
      { ...sample, recordedMs: sample.recordedMs + 1 },
      { ...sample, clock: "synced" },
      { ...sample, readings: [second, first].filter((one) => one !== undefined) },
      changed(0, { value: 231.3 }),
      changed(0, { value: null, quality: quality.bad }),
      changed(0, { value: true }),
      changed(0, { value: "231.2" }),
      changed(0, { unit: "mV" }),
      changed(0, { point: "voltage.L2" }),
      changed(0, { quality: quality.uncertain }),
      changed(0, { quality: quality.substituted }),
      changed(0, { detail: { code: "E7" } }),
      changed(0, { timeMs: 1_795_000_000_001 }),
      changed(1, { value: "off" }),
      { ...sample, kind: "alarm", data: { a: 1 } },
      { ...sample, kind: "alarm", data: { a: 2 } },
      { ...sample, kind: "state", data: { a: 1 } },
    ];
    const chains = [sample, ...others].map((one) => eventChain([one])[0]);
    expect(new Set(chains).size).toBe(others.length + 1);
    // A guessed time is no statement; everything else of the event still is.
    const guess = { ...sample, clock: "unsynced" as const };
    expect(eventChain([{ ...guess, recordedMs: 5 }])).toEqual(eventChain([guess]));
    expect(eventChain([{ ...guess, seq: 6 }])).not.toEqual(eventChain([guess]));
  });

  it("give one chain to a row whose flags say nothing, and to one without them", () => {
    const chains = [
      ...chainOf(0, undefined),
      ...chainOf(quality.clockUnsynced, undefined),
      ...chainOf(0, {}),
    ];
    expect(new Set(chains).size).toBe(1);
    expect(chainOf(quality.uncertain, undefined)[0]).not.toBe(chains[0]);
  });

  it("keeps decimal integers of the hot path exact", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 29), max: 2 ** 29 }), fc.nat(8), (integer, decimals) => {
        const writer = new EventWriter();
        writer.begin("telemetry", 1, 1_793_000_000_000, 0, "synced");
        writer.count(1);
        writer.decimal(3, integer, decimals);
        const text = encodeColumnar(header, [{ seq: 1, recordedMs: 0, body: writer.bytes() }]);
        const [decoded] = decodeBatch(Buffer.from(text)).events(dictionary);
        expect(decoded?.readings?.[0]?.value).toBe(integer / 10 ** decimals + 0);
      }),
    );
  });

  it("refuses what is not a batch with one sentence", () => {
    for (const text of [
      "7",
      "[]",
      "{}",
      '{"v":2}',
      '{"v":1,"gw":"a","dict":"b","ep":1,"seq":1,"n":3,"k":[1]}',
      '[{"id":"x"}]',
    ]) {
      expect(() => decodeBatch(Buffer.from(text)), text).toThrow(RangeError);
    }
  });
});
