import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { CommandDesk } from "./desk.ts";
import { LocalOrders, type LocalRequest } from "./local.ts";
import type { CommandState } from "./state.ts";
import { signed, Site, topicOf } from "./testing.ts";

const noHost = () => Promise.reject(new Error("no host"));

let folder: string;
let site: Site;
let desk: CommandDesk;
let orders: LocalOrders;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "kerb-local-"));
  site = new Site(folder);
  orders = new LocalOrders([], site.policy, noHost, () => desk);
  desk = await site.open({ tell: (state) => orders.moved(state) });
});
afterEach(async () => {
  await desk.close();
  rmSync(folder, { recursive: true, force: true });
});

async function write(request: Partial<LocalRequest>): Promise<CommandState[]> {
  const states: CommandState[] = [];
  const order = { device: "light-01", args: { dim: 45 }, by: "minh", ...request };
  for await (const state of orders.write(order, new AbortController().signal)) states.push(state);
  return states;
}

it("shows each of two orders that are the same its own states", async () => {
  const both = await Promise.all([write({}), write({})]);
  expect(both.map((states) => states.map(({ state }) => state))).toEqual([
    ["accepted", "running", "done"],
    ["accepted", "running", "done"],
  ]);
  const ids = both.map((states) => [...new Set(states.map(({ id }) => id))]);
  expect(ids.map(({ length }) => length)).toEqual([1, 1]);
  expect(ids[0]).not.toEqual(ids[1]);
});

it("takes two names of people on site for no two people", async () => {
  const barrier = { device: "barrier-01", args: { open: true } };
  const [armed] = (await write({ ...barrier, by: "minh", mode: "arm" })).slice(-1);
  const [refused] = (await write({ ...barrier, by: "lan", mode: "commit", arm: armed?.arm ?? "" })).slice(-1);
  expect(refused).toMatchObject({ state: "rejected", code: "KERB-CMD-TWO-PERSON" });
  expect(site.field.writes).toEqual([]);
});

it("lets somebody on site be one of two people, where the other has signed", async () => {
  const barrier = { dev: "barrier-01", args: { open: true }, role: "traffic" };
  const armed = await desk.take(signed(site.content({ ...barrier, mode: "arm" })), topicOf("barrier-01"));
  const { args } = barrier;
  const done = await write({ device: "barrier-01", args, by: "lan", mode: "commit", arm: armed.arm ?? "" });
  expect(done.at(-1)).toMatchObject({ state: "done" });
  expect(site.field.writes).toHaveLength(1);
});
