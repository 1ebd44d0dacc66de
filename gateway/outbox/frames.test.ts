import { describe, expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import { FrameGuard, frameHeadBytes, FrameSplitter, writeFrame } from "./frames.ts";

/** Equal on every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

function frames(count: number, next: () => number): Buffer {
  const writer = new EventWriter();
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => {
      writer.begin("telemetry", 1 + (i % 7), 1_790_000_000_000 + i, i, "synced");
      const points = 1 + Math.floor(next() * 40);
      writer.count(points);
      for (let point = 0; point < points; point++) writer.reading(point, Math.floor(next() * 1e6), 1);
      const body = Uint8Array.from(writer.bytes());
      const frame = Buffer.alloc(frameHeadBytes + body.length);
      writeFrame(frame, 0, i % 3 === 0 ? 0 : 1, body);
      return frame;
    }),
  );
}

function cut(bytes: Buffer, next: () => number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + Math.floor(next() ** 3 * 400);
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

describe("a stream of frames", () => {
  it("is good wherever a pipe cuts it", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const next = random(seed);
      const guard = new FrameGuard();
      for (const part of cut(frames(30, next), next)) expect(guard.good(part)).toBe(part.length);
    }
  });

  it.each([
    ["text", Buffer.from("debug: 12 V\n")],
    ["a short text", Buffer.from("x: 1\n")],
    ["seven bytes", Buffer.from("hello!\n")],
    ["a frame too long", Buffer.from([1, 0, 16, 0, 1, 1, 0, 0])],
    ["a frame without an event", Buffer.from([3, 0, 0, 0, 1, 1, 0, 0])],
    ["a class that there is not", Buffer.from([40, 0, 0, 0, 3, 1, 0, 0])],
    ["an event of another form", Buffer.from([40, 0, 0, 0, 1, 2, 0, 0])],
  ])("ends before %s, and nothing after it is good", (_, junk) => {
    for (let seed = 1; seed <= 50; seed++) {
      const next = random(seed);
      const before = frames(5, next);
      const guard = new FrameGuard();
      const splitter = new FrameSplitter();
      const parts = cut(Buffer.concat([before, junk, ...(seed % 2 === 0 ? [frames(5, next)] : [])]), next);
      const handedOn = parts.flatMap((part) => splitter.push(part.subarray(0, guard.good(part))));
      expect(handedOn).toEqual(new FrameSplitter().push(before));
      expect(guard.good(frames(1, next))).toBe(0);
    }
  });
});
