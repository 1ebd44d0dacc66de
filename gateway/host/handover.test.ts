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

const gapMark = 1_000_000;

function setUp(creditBytes: number, ringBytesMax: number) {
  const stream = new PassThrough({ highWaterMark: 1 << 26 });
  const told: number[] = [];
  const toldOf: Record<number, number>[] = [];
  const handover = new Handover(stream, {
    creditBytes,
    ringBytesMax,
    gapEvent: ({ events, devices }) => {
      told.push(events);
      toldOf.push(Object.fromEntries(devices));
      return body(gapMark + events);
    },
  });
  const splitter = new FrameSplitter();
  const taken = () => {
    const bytes = stream.read() as Buffer | null;
    return bytes === null ? [] : splitter.push(bytes).map((frame) => Buffer.from(frame.body).readUInt32LE());
  };
  return { handover, told, toldOf, taken, stream };
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
    const { handover, taken, told } = setUp(100_000, 1 << 22);
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
    expect(told).toEqual([]);
  });

  it("drops the oldest when nobody takes anything, and counts each event that it drops", () => {
    const { handover, taken, told } = setUp(1, 500_000);
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
    const dropped = handover.droppedEvents;
    expect(dropped).toBeGreaterThan(10_000);
    expect(told).toEqual([dropped]);
    expect(all.filter((n) => n >= gapMark)).toEqual([gapMark + dropped]);
    const events = all.filter((n) => n < gapMark);
    expect(events.length + dropped).toBe(20_000);
    expect(events.at(-1)).toBe(19_999);
  });

  it("accounts for each event however often the ring overflows, with the gap events that it drops", () => {
    const { handover, taken } = setUp(1, 200_000);
    const all: number[] = [];
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 5000; i++) handover.push(1, body(i));
      handover.flush();
      // Enough for a gap event to enter the ring, not for it to leave.
      handover.credit(120_000);
      handover.credit(120_000);
      all.push(...taken());
    }
    while (handover.ringBytes > 0) {
      handover.credit(1 << 30);
      all.push(...taken());
    }
    const events = all.filter((n) => n < gapMark).length;
    const told = all.filter((n) => n >= gapMark).reduce((sum, n) => sum + n - gapMark, 0);
    expect(told).toBe(handover.droppedEvents);
    expect(events + told).toBe(100_000);
  });

  it("counts what it drops by device, also in what it tells", () => {
    const { handover, toldOf, taken } = setUp(1, 200_000);
    // The fourth byte of an event names its device.
    for (let i = 0; i < 6000; i++) handover.push(1, body((7 + (i % 3)) * 2 ** 24 + i));
    handover.flush();
    while (handover.ringBytes > 0) {
      handover.credit(1 << 30);
      taken();
    }
    const dropped = Object.fromEntries(handover.droppedOf);
    expect(Object.keys(dropped)).toEqual(["7", "8", "9"]);
    expect(Object.values(dropped).reduce((sum, count) => sum + count, 0)).toBe(handover.droppedEvents);
    expect(toldOf).toEqual([dropped]);
  });

  it("tells at its end what the outbox did not take, and ends when all is in the pipe", async () => {
    const { handover, taken, stream } = setUp(1, 500_000);
    for (let i = 0; i < 20_000; i++) handover.push(1, body(i));
    handover.push(0, body(7));
    const written = taken().length;
    await handover.end(30);
    expect(stream.writableFinished).toBe(true);
    expect(taken()).toEqual([gapMark + 20_001 - written]);
    handover.push(0, body(1));
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
    const source = new Handover(stream, {
      creditBytes: 1 << 20,
      ringBytesMax: 1 << 20,
      gapEvent: () => body(0),
    });
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

  it("lets a healthy unit wait for one suspect at most, and those wait for their budget", async () => {
    const line = new Line();
    const order: string[] = [];
    const probe = async (name: string) => {
      const done = await line.acquire({ isSuspect: true, aliveMs: 0 });
      order.push(name);
      line.spent(20, performance.now());
      done();
    };
    const read = async (name: string, aliveMs: number) => {
      const done = await line.acquire({ isSuspect: false, aliveMs });
      order.push(name);
      done();
    };
    const release = await line.acquire();
    const startedMs = performance.now();
    const all = [probe("dead 1"), probe("dead 2"), probe("dead 3"), read("old", 1), read("new", 2)];
    release();
    await Promise.all(all);
    // While there is debt the unit that was seen alive last goes first.
    expect(order).toEqual(["dead 1", "new", "old", "dead 2", "dead 3"]);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(160);
  });

  it("is not waited for after an abort", async () => {
    const line = new Line();
    const release = await line.acquire();
    const stop = new AbortController();
    const waiting = line.acquire({ isSuspect: false, aliveMs: 0, signal: stop.signal });
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
    release();
    (await line.acquire())();
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

describe("custody", () => {
  it("is had when the outbox has committed all that was pushed, not when it is in the pipe", async () => {
    const { handover, taken } = setUp(1 << 20, 1 << 20);
    const seen: string[] = [];
    handover.push(1, body(1));
    const from = handover.mark();
    handover.push(1, body(2));
    handover.push(0, body(3));
    void handover.held(from).then((isHeld) => seen.push(`first ${isHeld}`));
    const next = handover.mark();
    handover.push(1, body(4));
    void handover.held(next).then((isHeld) => seen.push(`second ${isHeld}`));
    expect(taken()).toEqual([1, 2, 3, 4]);
    handover.credit(314);
    await Promise.resolve();
    expect(seen).toEqual([]);
    handover.credit(1);
    await Promise.resolve();
    expect(seen).toEqual(["first true"]);
    handover.credit(105);
    await Promise.resolve();
    expect(seen).toEqual(["first true", "second true"]);
    expect(await handover.held(handover.mark())).toBe(true);
  });

  it("says where a device waits with what it still has to tell", () => {
    const stream = new PassThrough();
    const handover = new Handover(stream, {
      creditBytes: 1 << 20,
      ringBytesMax: 1 << 20,
      gapEvent: () => body(0),
    });
    handover.push(1, body(1));
    handover.push(1, body(2));
    void handover.held(0, true);
    handover.push(1, body(3));
    void handover.held(1);
    const frames = new FrameSplitter().push(stream.read() as Buffer);
    expect(frames.map(({ lane, isPressing = false }) => [lane, isPressing])).toEqual([
      [1, false],
      [1, true],
      [1, false],
    ]);
  });

  it("is not had of anything on the way when the outbox has dropped some of it, and of what comes later it is", async () => {
    const { handover, taken } = setUp(1 << 20, 1 << 20);
    const [first, second] = [1, 2].map((n) => {
      const from = handover.mark();
      handover.push(1, body(n));
      return handover.held(from);
    });
    expect(taken()).toEqual([1, 2]);
    // The second one; by the count of bytes it would be the first.
    handover.credit(105, true);
    expect(await Promise.all([first, second])).toEqual([false, false]);
    const from = handover.mark();
    handover.push(1, body(3));
    const later = handover.held(from);
    handover.credit(105);
    handover.credit(105);
    expect(await later).toBe(true);
  });

  it("is not had of what was dropped, nor after the end", async () => {
    const { handover, taken } = setUp(100, 1000);
    handover.push(0, body(1));
    const from = handover.mark();
    handover.push(0, body(2));
    const held = handover.held(from);
    const late = handover.mark();
    for (let i = 3; i < 20; i++) handover.push(0, body(i));
    expect(await held).toBe(false);
    const newest = handover.held(late);
    const last = handover.mark();
    handover.push(0, body(20));
    const kept = handover.held(last);
    expect(await newest).toBe(false);
    taken();
    for (let i = 0; i < 40; i++) {
      handover.credit(105);
      taken();
    }
    expect(await kept).toBe(true);
    const open = handover.mark();
    handover.push(0, body(21));
    const unsaid = handover.held(open);
    await handover.end(10);
    expect(await unsaid).toBe(false);
    expect(await handover.held(handover.mark())).toBe(false);
  });
});
