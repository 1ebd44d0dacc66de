import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Pending, PendingEvents } from "./pending.ts";

const event = (stream: number, number: number, bytes = 10): Pending => ({
  stream,
  source: `host ${stream}`,
  lane: 1,
  body: Uint8Array.from({ length: bytes }, () => number % 256),
  size: bytes,
});

describe("events that wait for their commit", () => {
  it("gives a stream with little to say its turn in the next transaction, whatever another one pours in", () => {
    const pending = new PendingEvents();
    for (let i = 0; i < 25_000; i++) pending.push(event(1, i));
    for (let i = 0; i < 10; i++) pending.push(event(2, i));
    pending.push(event(3, 0));
    const batch = pending.next(1000, 1e9);
    expect(batch.length).toBe(1000);
    const counts = Object.groupBy(batch, ({ stream }) => String(stream));
    expect(counts["2"]?.length).toBe(10);
    expect(counts["3"]?.length).toBe(1);
  });

  it("lets large events of one stream fill a transaction, and the other streams the next one", () => {
    const pending = new PendingEvents();
    for (let i = 0; i < 5; i++) pending.push(event(1, i, 900));
    pending.push(event(2, 0, 300));
    const first = pending.next(1000, 1000);
    expect(first.map(({ stream }) => stream)).toEqual([1]);
    pending.done(first);
    expect(pending.next(1000, 1000).map(({ stream }) => stream)).toEqual([2]);
  });

  it("hands out every event once and in its stream's order, within the limits", () => {
    const actions = fc.array(
      fc.oneof(
        fc.record({ stream: fc.nat(4), bytes: fc.integer({ min: 1, max: 60 }) }),
        fc.record({ rowsMax: fc.integer({ min: 1, max: 12 }), stored: fc.boolean() }),
      ),
      { maxLength: 120 },
    );
    fc.assert(
      fc.property(actions, (list) => {
        const pending = new PendingEvents();
        const given = new Map<number, Pending[]>();
        const taken = new Map<number, Pending[]>();
        const take = (rowsMax: number, stored: boolean) => {
          const batch = pending.next(rowsMax, 100);
          expect(batch.length).toBeLessThanOrEqual(rowsMax);
          expect(batch.length > 0).toBe(pending.length > 0);
          const bytes = batch.reduce((sum, { body }) => sum + body.length, 0);
          expect(batch.length === 1 || bytes <= 100).toBe(true);
          if (!stored) return;
          pending.done(batch);
          for (const one of batch) taken.set(one.stream, [...(taken.get(one.stream) ?? []), one]);
        };
        list.forEach((action, i) => {
          if ("rowsMax" in action) return take(action.rowsMax, action.stored);
          const one = event(action.stream, i, action.bytes);
          pending.push(one);
          given.set(one.stream, [...(given.get(one.stream) ?? []), one]);
        });
        while (pending.length > 0) take(7, true);
        for (const [stream, events] of given) expect(taken.get(stream)).toEqual(events);
      }),
    );
  });

  it("drop nothing of which nobody knows whether it is in the file", () => {
    const pending = new PendingEvents(1000);
    pending.push(event(1, 0, 100));
    pending.push(event(1, 1, 100));
    const batch = pending.next(10, 1e9);
    pending.unsure = batch;
    const dropped = [2, 3, 4, 5, 6, 7].flatMap((number) => pending.push(event(1, number, 100)));
    expect(dropped.map(({ body }) => body[0])).toEqual([2, 3, 4, 5]);
    pending.done(batch);
    expect(pending.length).toBe(2);
    expect(pending.next(10, 1e9).map(({ body }) => body[0])).toEqual([6, 7]);
  });

  it("keep the order of one host over its starts", () => {
    const pending = new PendingEvents();
    const old = { ...event(1, 1), source: "modbus" };
    const next = { ...event(2, 2), source: "modbus" };
    for (const one of [old, next, event(3, 3)]) pending.push(one);
    const order = pending.next(10, 1000).filter(({ source }) => source === "modbus");
    expect(order.map(({ stream }) => stream)).toEqual([1, 2]);
    pending.done([old]);
    expect(pending.next(10, 1000).filter(({ source }) => source === "modbus")).toEqual([next]);
  });
});
