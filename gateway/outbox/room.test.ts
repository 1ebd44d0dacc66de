import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { makeRoom, withRoom } from "./room.ts";
import { OutboxStore, type RowLane } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-room-"));
const store = new OutboxStore({ path: join(folder, "outbox.db"), bytesMax: 64 * 1024 * 1024 });

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

it("on a disk that others fill evicts nothing before a commit fails, and telemetry only while there is some", () => {
  store.register([{ id: "gw-1", type: "gateway", profile: "", points: [] }]);
  store.space.limit(0);
  expect(store.space.isShort).toBe(true);
  const body = Buffer.concat([Buffer.from([0x93, 1, 1, 1]), Buffer.alloc(1000, 7)]);
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
