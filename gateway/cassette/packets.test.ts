import { describe, expect, it } from "vitest";
import type { Frame } from "./cassette.ts";
import { answersTo, beganMs, Likeness, packetsOf } from "./packets.ts";

const [ours, theirs, now] = ["1", "2", "3"].map((n) => `${n.repeat(8)}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

function frame(from: Frame["from"], ms: number, ...texts: object[]): Frame {
  const bytes = Buffer.from(texts.map((one) => `${JSON.stringify(one)}\f`).join(""));
  return { from, ms, bytes, hidden: new Uint8Array(bytes.length) };
}

const asked = { type: "StatusRequest", mId: ours, cId: "TC" };
const tape = [
  frame("device", 100, { type: "Watchdog", mId: theirs, wTs: "2026-01-01T00:00:00.100Z" }),
  frame("kerb", 110, { type: "MessageAck", oMId: theirs }),
  frame("kerb", 120, asked),
  frame("device", 130, { type: "MessageAck", oMId: ours }),
  frame("device", 140, { type: "Alarm", aTs: "2025-12-31T23:59:00.000Z" }),
  frame("device", 150, { type: "StatusResponse", s: 1 }),
];

describe("packets of a site", () => {
  const packets = packetsOf(tape);
  const [watchdog, acknowledged, request, acknowledgement, alarm, response] = packets;

  it("are cut at form feeds, wherever the frames are", () => {
    const whole = Buffer.concat(tape.filter(({ from }) => from === "device").map(({ bytes }) => bytes));
    const split = Array.from(whole, (_, i) => frame("device", i)).map((one, i) => {
      return { ...one, bytes: whole.subarray(i, i + 1), hidden: new Uint8Array(1) };
    });
    expect(packetsOf(split).map(({ text }) => text)).toEqual(
      packets.filter(({ from }) => from === "device").map(({ text }) => text),
    );
  });

  it("are the same but for ids of ours and times, and answered with the ids of now", () => {
    const likeness = new Likeness(packets);
    expect(likeness.isSame(request!.value, { ...asked, mId: now })).toBe(true);
    expect(likeness.isSame(request!.value, { ...asked, mId: now, cId: "TD" })).toBe(false);
    expect(likeness.isSame(acknowledged!.value, { type: "MessageAck", oMId: theirs })).toBe(true);
    expect(likeness.isSame(acknowledged!.value, { type: "MessageAck", oMId: now })).toBe(false);
    // Nothing is answered that has not been said.
    expect(likeness.told(acknowledgement!, 0)).toBeUndefined();
    likeness.learn(request!.value, { ...asked, mId: now });
    expect(likeness.told(acknowledgement!, 0)).toBe(`{"type":"MessageAck","oMId":"${now}"}\f`);
  });

  it("have times that are as old as they were", () => {
    expect(beganMs(packets)).toBe(Date.parse("2026-01-01T00:00:00.000Z"));
    const told = new Likeness(packets).told(alarm!, 3_600_000);
    expect(told).toContain('"aTs":"2026-01-01T00:59:00.000Z"');
  });

  it("that answer one are those that name it, and the response to a request", () => {
    expect(answersTo(packets, request!)).toEqual([acknowledgement, response]);
    expect(answersTo(packets, acknowledged!)).toEqual([]);
    expect(watchdog?.from).toBe("device");
  });
});
