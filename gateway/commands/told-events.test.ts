import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as settled } from "node:timers/promises";
import { afterAll, expect, it } from "vitest";
import { EventReader } from "../event.ts";
import { FrameSplitter } from "../outbox/frames.ts";
import type { CommandState } from "./state.ts";
import { recordsOf, signed, Site, topicOf } from "./testing.ts";
import { ToldEvents } from "./told-events.ts";

const folder = mkdtempSync(join(tmpdir(), "kerb-told-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const done: CommandState = { v: 1, id: "x", gw: "gw-1", dev: "d", state: "done", at: 1, arm: "secret" };

/** Settled promises by their number. */
function following(promises: Promise<void>[]): string[] {
  const ended: string[] = [];
  for (const [i, promise] of promises.entries())
    promise.then(
      () => ended.push(`${i} told`),
      () => ended.push(`${i} lost`),
    );
  return ended;
}

it("makes an urgent event of a state, without its token, and waits for its commit", async () => {
  const sent: { stream: number; bytes: Uint8Array }[] = [];
  const events = new ToldEvents((stream, bytes) => sent.push({ stream, bytes }));
  const ended = following([1, 2, 3].map((index) => events.tell(done, index)));
  const [first] = sent;
  const [frame] = new FrameSplitter().push(first?.bytes ?? new Uint8Array());
  expect(frame?.lane).toBe(0);
  const reader = new EventReader();
  reader.open(frame?.body ?? new Uint8Array());
  expect([reader.kind, reader.device, reader.object()]).toEqual([
    "command-result",
    1,
    { v: 1, id: "x", gw: "gw-1", dev: "d", state: "done", at: 1 },
  ]);
  const { stream = 0 } = first ?? {};
  const size = frame?.size ?? 0;
  events.accepted(1, 3 * size, false);
  events.accepted(stream, size - 1, false);
  await settled();
  expect(ended).toEqual([]);
  events.accepted(stream, 1 + size, false);
  await settled();
  expect(ended).toEqual(["0 told", "1 told"]);
  events.accepted(stream, size, true);
  await settled();
  expect(ended).toEqual(["0 told", "1 told", "2 lost"]);
});

it("takes so much and no more while the outbox takes nothing", async () => {
  const events = new ToldEvents(() => {});
  for (let i = 0; i < 4096; i++) events.tell(done, 1).catch(() => {});
  await expect(events.tell(done, 1)).rejects.toThrow("outbox");
});

it("a command that the broker had kept is refused unread, on the record, and told", async () => {
  const site = new Site(folder);
  const desk = await site.open();
  const state = await desk.refuseKept(signed(site.content()), topicOf("light-01"));
  await desk.close();
  expect(state).toMatchObject({ id: "", state: "rejected", code: "KERB-CMD-RETAINED", unsigned: true });
  expect(site.field.writes).toEqual([]);
  expect(site.told).toEqual([state]);
  const refused = (await recordsOf(folder)).filter(({ ev }) => ev === "refused");
  expect(refused).toEqual([expect.objectContaining({ code: "KERB-CMD-RETAINED" })]);
});
