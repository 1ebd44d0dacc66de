import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { FrameSplitter } from "../outbox/frames.ts";
import { Handover } from "./handover.ts";
import { Line } from "./line.ts";

const body = (n: number, bytes = 100) => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUInt32LE(n);
  return buffer;
};

function setUp(creditBytes: number, ringBytesMax: number) {
  const stream = new PassThrough({ highWaterMark: 1 << 26 });
  const drops: number[] = [];
  const handover = new Handover(stream, {
    creditBytes,
    ringBytesMax,
    dropped: (events) => drops.push(events),
  });
  const splitter = new FrameSplitter();
  const taken = () => {
    const bytes = stream.read() as Buffer | null;
    return bytes === null ? [] : splitter.push(bytes).map((frame) => Buffer.from(frame.body).readUInt32LE());
  };
  return { handover, drops, taken };
}

describe("the hand-over from host to outbox", () => {
  it("keeps order, gathers telemetry, and lets an urgent event through at once with all before it", () => {
    const { handover, taken } = setUp(1 << 20, 1 << 20);
    handover.push(1, body(1));
    handover.push(1, body(2));
    expect(taken()).toEqual([]);
    handover.push(0, body(3));
    expect(taken()).toEqual([1, 2, 3]);
  });

  it("sends no more than its credit, and goes on where it stopped", () => {
    const { handover, taken, drops } = setUp(100_000, 1 << 22);
    for (let i = 0; i < 10_000; i++) handover.push(1, body(i));
    handover.flush();
    const first = taken();
    expect(first.length).toBeGreaterThan(900);
    expect(first.length).toBeLessThan(3000);
    let all = first;
    while (all.length < 10_000) {
      handover.credit(50_000);
      const more = taken();
      if (more.length === 0) handover.credit(1_000_000);
      all = [...all, ...more];
    }
    expect(all).toEqual(Array.from({ length: 10_000 }, (_, i) => i));
    expect(drops).toEqual([]);
  });

  it("drops the oldest when nobody takes anything, and counts each event that it drops", () => {
    const { handover, taken, drops } = setUp(1, 500_000);
    for (let i = 0; i < 20_000; i++) handover.push(1, body(i));
    handover.flush();
    expect(handover.ringBytes).toBeLessThanOrEqual(500_000);
    handover.credit(1 << 30);
    const all = taken();
    for (let more = taken(); more.length > 0; more = taken()) all.push(...more);
    while (handover.ringBytes > 0) {
      handover.credit(1 << 30);
      all.push(...taken());
    }
    const dropped = drops.reduce((sum, events) => sum + events, 0);
    expect(dropped).toBe(handover.droppedEvents);
    expect(dropped).toBeGreaterThan(10_000);
    expect(all.length + dropped).toBe(20_000);
    expect(all.at(-1)).toBe(19_999);
  });

  it("tells who asks when there is room again", async () => {
    const { handover } = setUp(1, 100_000);
    expect(handover.room(50)).toBeUndefined();
    for (let i = 0; i < 2000; i++) handover.push(1, body(i));
    handover.flush();
    const asked = handover.room(10_000);
    expect(asked).toBeInstanceOf(Promise);
    handover.credit(1 << 30);
    handover.credit(1 << 30);
    await asked;
  });

  it("takes events larger than its block", () => {
    const { handover, taken } = setUp(1 << 30, 1 << 30);
    handover.push(1, body(1, 200_000));
    handover.push(0, body(2, 300_000));
    expect(taken()).toEqual([1, 2]);
  });
});

describe("frames", () => {
  it("come out whole wherever the stream is cut", () => {
    const { handover, taken: _ } = setUp(1 << 20, 1 << 20);
    void handover;
    const stream = new PassThrough();
    const source = new Handover(stream, { creditBytes: 1 << 20, ringBytesMax: 1 << 20, dropped: () => {} });
    for (let i = 0; i < 50; i++) source.push(i % 2 === 0 ? 0 : 1, body(i, 4 + i * 7));
    source.flush();
    const bytes = stream.read() as Buffer;
    for (const step of [1, 3, 7, 64, 1000]) {
      const splitter = new FrameSplitter();
      const frames = [];
      for (let at = 0; at < bytes.length; at += step)
        frames.push(...splitter.push(bytes.subarray(at, at + step)));
      expect(
        frames.map((frame) => [Buffer.from(frame.body).readUInt32LE(), frame.lane, frame.body.length]),
      ).toEqual(Array.from({ length: 50 }, (_unused, i) => [i, i % 2, 4 + i * 7]));
    }
  });

  it("refuse a length that no host writes", () => {
    expect(() => new FrameSplitter().push(Buffer.from("ffffffff00", "hex"))).toThrow(RangeError);
  });
});

describe("a shared line", () => {
  it("is given to one at a time, in order", async () => {
    const line = new Line();
    const order: number[] = [];
    const release = await line.acquire();
    const others = [1, 2, 3].map(async (n) => {
      const done = await line.acquire();
      order.push(n);
      done();
    });
    expect(order).toEqual([]);
    release();
    await Promise.all(others);
    expect(order).toEqual([1, 2, 3]);
  });

  it("lets dead units use a fifth of the time, all together", () => {
    const line = new Line();
    line.spent(1000, 0);
    expect(line.deadWaitMs(0)).toBe(4000);
    line.spent(1000, 0);
    expect(line.deadWaitMs(0)).toBe(8000);
    expect(line.deadWaitMs(8000)).toBe(0);
  });
});
