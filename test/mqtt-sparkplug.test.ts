import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { loadCodec } from "../drivers/mqtt/sparkplug.ts";
import { payloadBytes, sparkplugSpeech, type Metric } from "../simulators/mqtt/sparkplug-speech.ts";
import type { Said } from "../simulators/mqtt/speech.ts";
import { MqttRig, settle, until, type Listening } from "./mqtt-rig.ts";

/** Sparkplug B: what a node's births, sequence and deaths do to the values of its devices. */

const type = {
  int8: 1,
  int16: 2,
  int32: 3,
  int64: 4,
  uint32: 7,
  uint64: 8,
  float: 9,
  double: 10,
  boolean: 11,
};
const int = (value: number | bigint): Metric["value"] => ({ field: 11, of: value });
const small = (value: number): Metric["value"] => ({ field: 10, of: value });
const double = (value: number): Metric["value"] => ({ field: 13, of: value });

/** An edge node by hand: every byte and every number is the test's own. */
class Node {
  readonly rig: MqttRig;
  seq = 0;
  bdSeq = 3;
  constructor(rig: MqttRig) {
    this.rig = rig;
  }
  publish(
    kind: string,
    metrics: Metric[],
    device?: string,
    seq: number | undefined = this.seq++ % 256,
  ): void {
    const topic = `spBv1.0/g/${kind}/n${device === undefined ? "" : `/${device}`}`;
    this.rig.publish(topic, payloadBytes(1_772_000_000_000, seq, metrics));
  }
  born(own: Metric[] = []): void {
    this.seq = 0;
    this.publish("NBIRTH", [{ name: "bdSeq", type: type.uint64, value: int(this.bdSeq) }, ...own]);
  }
  died(bdSeq = this.bdSeq): void {
    const death = payloadBytes(1_772_000_000_000, undefined, [
      { name: "bdSeq", type: type.uint64, value: int(bdSeq) },
    ]);
    this.rig.publish("spBv1.0/g/NDEATH/n", death);
  }
}

async function open(): Promise<{ rig: MqttRig; node: Node }> {
  const rig = await MqttRig.open();
  return { rig, node: new Node(rig) };
}

const of = (device?: string) => ({
  format: "sparkplug-b",
  variables: { group: "g", node: "n", ...(device === undefined ? {} : { device }) },
});
const metric = (name: string) => ({ metric: name });
const asked = (rig: MqttRig) => rig.heard.filter(({ topic }) => topic === "spBv1.0/g/NCMD/n").length;
const heard = (one: Listening, count: number, index = 0) =>
  until(`${count} values`, () => one.of(index).length >= count);

describe("values", () => {
  test("of every type, by the datatype of the birth, in DATA that has an alias only", async () => {
    const { rig, node } = await open();
    const wanted: [string, number, Metric["value"], unknown][] = [
      ["i8", type.int8, small(0xff), -1],
      ["i16", type.int16, small(0xfffe), -2],
      ["i32", type.int32, small(0xffff_fffd), -3],
      ["i64", type.int64, int(-5n), -5],
      ["wide", type.int64, int(-(2n ** 60n)), -(2n ** 60n)],
      ["u32", type.uint32, int(4_000_000_000), 4_000_000_000],
      ["u64", type.uint64, int(2n ** 63n), 2n ** 63n],
      ["f", type.float, { field: 12, of: 0.5 }, 0.5],
      ["d", type.double, double(12.25), 12.25],
      ["b", type.boolean, { field: 14, of: false }, false],
      ["s", 12, { field: 15, of: "text" }, "text"],
      ["time", 13, int(1_772_000_000_000), 1_772_000_000_000],
      ["table", 16, { field: 15, of: "" }, "bad unsupported-type"],
      ["other", type.int32, { field: 15, of: "1" }, "bad wrong-type"],
      ["none", type.int32, null, "bad null"],
    ];
    const listening = await rig.listen(
      of(),
      wanted.map(([name]) => metric(name)),
    );
    node.born(wanted.map(([name, kind, value], i) => ({ name, alias: i, type: kind, value })));
    node.publish(
      "NDATA",
      wanted.map(([, , value], alias) => ({ alias, value })),
    );
    await heard(listening, 2, wanted.length - 1);
    expect(wanted.map(([name], i) => [name, ...listening.of(i)])).toEqual(
      wanted.map(([name, , , value]) => [name, value, value]),
    );
  });

  test("with their time, their quality, and history with the time that it had", async () => {
    const { rig, node } = await open();
    const listening = await rig.listen(of(), [metric("x")]);
    node.born([{ name: "x", alias: 1, type: type.double, value: double(1) }]);
    node.publish("NDATA", [
      { alias: 1, timestampMs: 1_771_000_000_000, isHistorical: true, value: double(2) },
      { alias: 1, timestampMs: 1_772_000_000_500, quality: 500, value: double(3) },
      { alias: 1, quality: 0, value: double(4) },
      { alias: 1, quality: 192, value: double(5) },
    ]);
    await heard(listening, 5);
    expect(listening.of()).toEqual([1, 2, "uncertain stale", "bad quality-bad", 5]);
    expect(listening.readingsTold[1]?.answer).toMatchObject({ sourceTimeMs: 1_771_000_000_000, past: true });
    expect(listening.readingsTold[4]?.answer).toMatchObject({ sourceTimeMs: 1_772_000_000_000 });
  });

  test("two devices of one node each get their own, also where names are the same", async () => {
    const { rig, node } = await open();
    const [a, b] = [await rig.listen(of("a"), [metric("x")]), await rig.listen(of("b"), [metric("x")])];
    node.born();
    node.publish("DBIRTH", [{ name: "x", alias: 1, type: type.double, value: double(1) }], "a");
    node.publish("DBIRTH", [{ name: "x", alias: 2, type: type.int32, value: small(2) }], "b");
    node.publish("DDATA", [{ alias: 2, value: small(22) }], "b");
    // An alias of the neighbour's is nobody's value.
    node.publish("DDATA", [{ alias: 2, value: small(99) }], "a");
    node.publish("DDATA", [{ name: "x", value: double(11) }], "a");
    await heard(a, 2);
    expect([a.of(), b.of()]).toEqual([
      [1, 11],
      [2, 22],
    ]);
    expect(asked(rig)).toBe(1);
  });
});

describe("sequence and births", () => {
  test("a subscription asks for the births that it has missed, once for the whole node", async () => {
    const { rig, node } = await open();
    const [a] = [await rig.listen(of("a"), [metric("x")]), await rig.listen(of("b"), [metric("x")])];
    await until("the question", () => asked(rig) === 1);
    node.publish("DDATA", [{ alias: 1, value: double(5) }], "a");
    node.publish("DDATA", [{ name: "x", type: type.double, value: double(6) }], "a");
    await heard(a, 1);
    expect([a.of(), asked(rig)]).toEqual([["uncertain no-birth"], 1]);
  });

  test("a gap makes values uncertain until the next birth", async () => {
    const { rig, node } = await open();
    const listening = await rig.listen(of("a"), [metric("x")]);
    node.born();
    node.publish("DBIRTH", [{ name: "x", alias: 1, type: type.double, value: double(1) }], "a");
    node.publish("DDATA", [{ alias: 1, value: double(2) }], "a");
    node.seq++;
    node.publish("DDATA", [{ alias: 1, value: double(3) }], "a");
    node.publish("DDATA", [{ alias: 1, value: double(4) }], "a");
    node.born();
    node.publish("DBIRTH", [{ name: "x", alias: 1, type: type.double, value: double(5) }], "a");
    await heard(listening, 5);
    expect(listening.of()).toEqual([1, 2, "uncertain sequence-gap", "uncertain sequence-gap", 5]);
  });

  test("the count goes over 255 without a gap, and counts what other devices of the node say", async () => {
    const { rig, node } = await open();
    const listening = await rig.listen(of("a"), [metric("x")]);
    node.born();
    node.publish("DBIRTH", [{ name: "x", alias: 1, type: type.double, value: double(0) }], "a");
    for (let i = 1; i <= 300; i++)
      node.publish("DDATA", [{ alias: 1, value: double(i) }], i % 3 === 0 ? "b" : "a");
    await heard(listening, 201);
    expect(listening.of().filter((value) => typeof value !== "number")).toEqual([]);
  });

  test("where it is not allowed to ask it does not, whichever device of the node forbids it", async () => {
    const { rig, node } = await open();
    const [b] = await Promise.all([
      rig.listen(of("b"), [metric("x")]),
      rig.listen({ ...of("a"), rebirth: false }, [metric("x")]),
    ]);
    node.publish("DDATA", [{ alias: 1, value: double(5) }], "b");
    await until("a sign", () => b.signs === 1);
    await settle();
    expect(asked(rig)).toBe(0);
  });

  test("a new connection, which knows no birth, asks again; DATA with an alias only is understood after it", async () => {
    const { rig, node } = await open();
    const births = (): void => {
      node.born();
      node.publish(
        "DBIRTH",
        [{ name: "door", alias: 1, type: type.boolean, value: { field: 14, of: false } }],
        "a",
      );
    };
    const first = await rig.listen(of("a"), [metric("door")]);
    births();
    await heard(first, 1);
    rig.broker.fault({ kind: "drop-connections" });
    await until("the end", () => first.ended === "hung-up");
    const second = await rig.listen(of("a"), [metric("door")]);
    await until("the question", () => asked(rig) === 2);
    births();
    node.publish("DDATA", [{ alias: 1, value: { field: 14, of: true } }], "a");
    await heard(second, 2);
    expect(second.of()).toEqual([false, true]);
    await sleep(2500);
    expect(asked(rig)).toBe(2);
  });
});

describe("deaths", () => {
  test("NDEATH of this session is the end, that of an earlier one is nothing", async () => {
    const { rig, node } = await open();
    const listening = await rig.listen(of("a"), [metric("x")]);
    node.born();
    node.died(2);
    await settle();
    expect(listening.ended).toBeUndefined();
    node.died();
    await until("the end", () => listening.ended !== undefined);
    expect([listening.ended, listening.message]).toEqual(["hung-up", expect.stringContaining("NDEATH")]);
  });

  test("DDEATH ends its device and no other", async () => {
    const { rig, node } = await open();
    const [a, b] = [await rig.listen(of("a"), [metric("x")]), await rig.listen(of("b"), [metric("x")])];
    node.born();
    node.publish("DDEATH", [], "a");
    await until("the end of a", () => a.ended === "hung-up");
    node.publish("DDATA", [{ name: "x", type: type.double, value: double(1) }], "b");
    await heard(b, 1);
    expect([b.of(), b.ended]).toEqual([[1], undefined]);
  });

  test("payloads that are none: five in a row end who sent them, and nobody else", async () => {
    const { rig, node } = await open();
    const [a, b] = [await rig.listen(of("a"), [metric("x")]), await rig.listen(of("b"), [metric("x")])];
    node.born();
    for (let i = 0; i < 5; i++) rig.publish("spBv1.0/g/DDATA/n/a", Buffer.from([0xff, 0xff, i]));
    // Templates in templates, deeper than a stack.
    rig.publish("spBv1.0/g/DDATA/n/b", nested(4000));
    await until("the end of a", () => a.ended !== undefined);
    await settle();
    expect([a.ended, b.ended]).toEqual(["garbage", undefined]);
  });
});

test("the pretend node counts its sessions: a restart is one, a rebirth is none", async () => {
  const codec = await loadCodec();
  const speech = sparkplugSpeech({ variables: { group: "g", node: "n" } });
  const bdSeqOf = ([said]: Said[]): unknown =>
    codec.decode(said?.payload as Buffer).metrics.find(({ name }) => name === "bdSeq")?.wire.longValue;
  const [birth, rebirth, death] = [speech.hello([], 1), speech.hello([], 1), speech.goodbye()].map(bdSeqOf);
  expect([rebirth, death]).toEqual([birth, birth]);
  expect(bdSeqOf(speech.hello([], 1))).not.toEqual(birth);
});

describe("payloads are bounded before anything is made of them", () => {
  test("by the smallest payloadBytesMax of the node's devices", async () => {
    const { rig, node } = await open();
    const settings = { ...of("a"), payloadBytesMax: 200 };
    const [a, b] = [await rig.listen(settings, [metric("x")]), await rig.listen(of("b"), [metric("x")])];
    node.born();
    const long = [{ name: "y".repeat(300), type: type.double, value: double(1) }];
    for (let i = 0; i < 5; i++) node.publish("DDATA", long, "a");
    await until("the end of a", () => a.ended === "garbage");
    expect(a.message).toContain("more than 200 bytes");
    expect(b.ended).toBeUndefined();
  });

  test("by the count of metrics", async () => {
    const { rig, node } = await open();
    const listening = await rig.listen({ ...of(), payloadBytesMax: 1_048_576 }, [metric("x")]);
    node.born();
    await until("the birth", () => listening.signs === 1);
    const beforeBytes = process.memoryUsage().heapUsed;
    // Two bytes are a metric.
    for (let i = 0; i < 5; i++)
      rig.publish("spBv1.0/g/NDATA/n", Buffer.alloc(1_000_000, Buffer.from([0x12, 0])));
    await until("the end", () => listening.ended === "garbage");
    expect(listening.message).toContain("more than 10000 metrics");
    expect(process.memoryUsage().heapUsed - beforeBytes).toBeLessThan(60 * 1_048_576);
  });
});

const wrap = (field: number, inner: Buffer) => {
  const length: number[] = [];
  for (let rest = inner.length; ; rest >>= 7) {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    if (rest <= 0x7f) break;
  }
  return Buffer.concat([
    Buffer.from([field * 8 + 2 > 127 ? 0x92 : field * 8 + 2, ...(field > 15 ? [0x01] : [])]),
    Buffer.from(length),
    inner,
  ]);
};

/** A metric whose template holds a metric whose template … */
function nested(depth: number): Buffer {
  let body = Buffer.alloc(0);
  for (let i = 0; i < depth; i++) body = wrap(2, wrap(18, body));
  return body;
}
