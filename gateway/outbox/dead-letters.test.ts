import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import { decodeBatch } from "../receiver/decode.ts";
import { Lanes } from "../uplink/lanes.ts";
import { OutboxStore } from "./store.ts";

let folder = "";
let store: OutboxStore;
const both = ["one", "two"];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-dead-letters-"));
  store = open();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = () => new OutboxStore({ path: join(folder, "outbox.db"), bytesMax: 1 << 26 });

function commit(count: number): void {
  const writer = new EventWriter();
  writer.begin("telemetry", 1, 1_795_000_000_000, 0, "synced");
  writer.count(0);
  store.commit(
    Array.from({ length: count }, () => ({ lane: 1 as const, body: Buffer.from(writer.bytes()) })),
  );
}

const refuse = (uplink: string, id: number) =>
  store.deadLetters.add(uplink, store.rows(1, id, id), "refused", 3);
const declared = () => store.dropReport(1) !== undefined;
const lanesOf = (name: string) =>
  new Lanes(store, {
    name,
    city: "hcmc",
    gateway: "gw-01",
    encoding: "columnar",
    windowMax: 20,
    bytesMax: 32_768,
    resendAfterMs: 30_000,
  });
const books = () => {
  const { accepted, delivered, dropped, kept } = store.books().live;
  expect(accepted).toBe(delivered + dropped + kept);
  expect(store.count().rows).toBe(kept);
  return { delivered, dropped, kept };
};

describe("what one uplink's broker refuses for good", () => {
  it("is dropped and declared when there is no other uplink, and a copy is kept", () => {
    commit(3);
    refuse("one", 2);
    store.deadLetters.settle(["one"]);
    expect(books()).toEqual({ delivered: 0, dropped: 1, kept: 2 });
    expect(declared()).toBe(true);
    expect(store.deadLetters.summary()).toMatchObject({
      counts: { one: 1 },
      newest: [{ uplink: "one", seq: 2, reason: "refused", tries: 3 }],
    });
  });

  it("stays for the other, and is not declared before that one has it", () => {
    commit(3);
    refuse("one", 2);
    store.deadLetters.settle(both);
    expect(books()).toEqual({ delivered: 0, dropped: 0, kept: 3 });
    expect(declared()).toBe(false);
    const lanes = lanesOf("two");
    lanes.connect(20, 32_768);
    expect(lanes.next(0).flatMap(({ payload }) => decodeBatch(payload).seqs)).toEqual([1, 2, 3]);
    while (store.release("two", store.epoch, 3, both));
    store.deadLetters.settle(both);
    expect(books()).toEqual({ delivered: 1, dropped: 0, kept: 2 });
    expect(declared()).toBe(true);
    while (store.release("one", store.epoch, 3, both));
    expect(books()).toEqual({ delivered: 3, dropped: 0, kept: 0 });
  });

  it("is dropped once every uplink has refused it", () => {
    commit(1);
    refuse("one", 1);
    refuse("two", 1);
    store.deadLetters.settle(both);
    expect(books()).toEqual({ delivered: 0, dropped: 1, kept: 0 });
    expect(store.deadLetters.summary().counts).toEqual({ one: 1, two: 1 });
  });

  it("is left out by that uplink after a restart, and no batch reaches over it", () => {
    commit(5);
    refuse("one", 3);
    store.close();
    store = open();
    const lanes = lanesOf("one");
    lanes.connect(20, 32_768);
    const batches: number[][] = [];
    for (let i = 0; i < 5; i++)
      for (const message of lanes.next(i)) {
        batches.push(decodeBatch(message.payload).seqs);
        lanes.sent(message.key, i);
      }
    expect(batches).toEqual([
      [1, 2],
      [4, 5],
    ]);
  });

  it("is forgotten here when it is evicted first: that is what is declared", () => {
    commit(2);
    refuse("one", 1);
    store.evict();
    store.deadLetters.settle(both);
    expect(books()).toEqual({ delivered: 0, dropped: 2, kept: 0 });
    expect(store.deadLetters.summary().counts).toEqual({});
  });

  it("can be sent anew under a new number", () => {
    commit(2);
    refuse("one", 1);
    store.deadLetters.settle(["one"]);
    const { events, remove } = store.deadLetters.takeCopies();
    expect(store.commit(events, () => (remove(), [])).map(({ id }) => id)).toEqual([3]);
    expect(store.deadLetters.summary().counts).toEqual({});
    expect(books()).toEqual({ delivered: 0, dropped: 1, kept: 2 });
  });
});
