import { expect, it } from "vitest";
import { EventWriter } from "../event.ts";
import { OutboxCore } from "./core.ts";
import { frameHeadBytes, writeFrame } from "./frames.ts";
import type { FromWorker } from "./outbox.ts";
import { bytesMax, path } from "./testing.ts";

const options = { commitAfterMs: 10, commitEventsMax: 100, gateway: "gw-01", uplinks: [] };

it("says of events that it has no room for that they are dropped, not that it has them, and tells the gap", async () => {
  const said: FromWorker[] = [];
  const core = new OutboxCore({ ...options, path, bytesMax }, (message) => said.push(message));
  const writer = new EventWriter();
  writer.begin("state", 1, Date.now(), 0, "synced");
  writer.object({ text: "x".repeat(100_000) });
  const body = writer.bytes();
  const bytes = Buffer.alloc(body.length + frameHeadBytes);
  writeFrame(bytes, 0, 1, body);
  const count = 400;
  for (let i = 0; i < count; i++) core.receive({ type: "frames", stream: 1, bytes: Uint8Array.from(bytes) });
  const events = (isDropped: boolean): number => {
    const told = said.filter((one) => one.type === "accepted" && one.dropped === isDropped);
    return told.reduce((all, one) => all + (one.type === "accepted" ? one.bytes : 0), 0) / bytes.length;
  };
  const dropped = events(true);
  expect(dropped).toBeGreaterThan(10);
  core.receive({ type: "tail", on: true });
  await expect.poll(() => events(false), { timeout: 20_000 }).toBe(count - dropped);
  const gaps = () =>
    said.flatMap((one) => (one.type === "tail" ? one.events : [])).filter(({ kind }) => kind === "gap");
  await expect.poll(() => gaps().map(({ data }) => data?.["lostCount"])).toEqual([dropped]);
  core.receive({ type: "request", id: 9, name: "close", args: [] });
});

it("commits what comes while the gateway stops without waiting for company", async () => {
  const said: FromWorker[] = [];
  const slow = { ...options, commitAfterMs: 60_000, path, bytesMax };
  const core = new OutboxCore(slow, (message) => said.push(message));
  const writer = new EventWriter();
  writer.begin("telemetry", 1, Date.now(), 0, "synced");
  writer.count(0);
  const tell = () => {
    const bytes = Buffer.alloc(writer.bytes().length + frameHeadBytes);
    writeFrame(bytes, 0, 1, writer.bytes());
    core.receive({ type: "frames", stream: 1, bytes });
  };
  const taken = () => said.filter(({ type }) => type === "accepted").length;
  tell();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(taken()).toBe(0);
  core.receive({ type: "hurry" });
  await expect.poll(taken).toBe(1);
  tell();
  await expect.poll(taken).toBe(2);
  core.receive({ type: "request", id: 9, name: "close", args: [] });
});
