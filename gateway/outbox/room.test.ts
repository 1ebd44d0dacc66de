import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { makeRoom, withRoom } from "./room.ts";
import { OutboxStore, type RowLane } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-room-"));
let store: OutboxStore;

function open(bytesMax: number): void {
  const path = join(mkdtempSync(join(folder, "box-")), "outbox.db");
  store = new OutboxStore({ path, bytesMax });
  store.register([{ id: "gw-1", type: "gateway", profile: "", points: [] }]);
}

afterEach(() => store.close());
afterAll(() => rmSync(folder, { recursive: true }));

const bodyOf = (bytes: number) => Buffer.concat([Buffer.from([0x93, 1, 1, 1]), Buffer.alloc(bytes - 4, 7)]);

it("takes a burst that is larger than what the site's own budget has left", () => {
  open(262_144);
  const body = bodyOf(400);
  const burst = (count: number) => {
    const events = Array.from({ length: count }, () => ({ lane: 1 as const, body }));
    makeRoom(store);
    withRoom(
      store,
      count * body.length,
      () => {},
      () => store.commit(events),
    );
  };
  let taken = 0;
  for (; store.space.pressure < 0.85; taken++) burst(1);
  burst(120);
  const { live } = store.accounts.books();
  expect(live).toMatchObject({ accepted: taken + 120, kept: taken + 120 - live.dropped });
  expect(live.dropped).toBeGreaterThan(0);
});

it("on a disk that others fill evicts nothing before a commit fails, and telemetry only while there is some", () => {
  open(64 * 1024 * 1024);
  store.space.limit(0);
  expect(store.space.isShort).toBe(true);
  const body = bodyOf(1004);
  const take = (lane: RowLane) => {
    makeRoom(store);
    withRoom(
      store,
      body.length,
      () => {},
      () => store.commit([{ lane, body }]),
    );
  };
  for (let i = 0; i < 7; i++) take(i % 2 === 0 ? 0 : 1);
  expect(store.accounts.books()).toMatchObject({ event: { dropped: 0 }, live: { dropped: 0 } });
  expect(store.fill()).toBeLessThan(0.01);
  let taken = 0;
  for (; taken < 1000; taken++) take(1);
  const { event, live } = store.accounts.books();
  expect(event.dropped).toBe(0);
  expect(live.dropped).toBeGreaterThan(0);
  expect(live.kept).toBeGreaterThan(0);
  for (let i = 0; i < 300; i++) take(0);
  const after = store.accounts.books();
  expect(after.live.kept).toBe(0);
  expect(after.event.dropped).toBeGreaterThan(0);
});
