import { afterEach, beforeEach, expect, it } from "vitest";
import type { CommandState } from "../../commands/state.ts";
import { receiverApi } from "../http.ts";
import { Receiver } from "../receiver.ts";
import { batch, birthMessage, dictionaryMessage, type Sent, temporaryFolder } from "../testing.ts";
import type { CommandRow } from "./record.ts";

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
beforeEach(() => {
  folder = temporaryFolder();
  receiver = open();
});
afterEach(() => {
  receiver.close();
  folder.remove();
});

function open(): Receiver {
  const opened = new Receiver({ database: folder.file });
  opened.dictionary("gw-1", dictionaryMessage());
  opened.birth("gw-1", birthMessage(1, 37));
  return opened;
}

const id = (n: number): string => `01JD${String(n).padStart(22, "0")}`;

function state(n: number, stage: CommandState["state"], more: Partial<CommandState> = {}): CommandState {
  return { v: 1, id: id(n), gw: "gw-1", dev: "dev-1", state: stage, at: 1_793_000_000_000 + n, ...more };
}

const answer = (...states: object[]): void => {
  for (const one of states) receiver.answer("gw-1", Buffer.from(JSON.stringify(one)));
};
const event = (seq: number, data: object): Sent => ({
  seq,
  kind: "command-result",
  data: data as Record<string, unknown>,
});
const take = (...events: Sent[]): void =>
  void receiver.take("gw-1", "event", batch(events, { lane: "event" }));

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await receiverApi(receiver).request(path);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function commands(query = ""): Promise<CommandRow[]> {
  return (await get(`/commands${query}`)).body["commands"] as CommandRow[];
}

it("keeps what is answered and what comes as events, each state once, in their order", async () => {
  const done = state(1, "done", { readBack: { dim: 70 } });
  answer(state(1, "running"), state(1, "accepted"), done, { ...done, replay: true });
  take(event(1, state(1, "accepted")), event(2, state(1, "running")));
  const [before] = await commands();
  expect(before).toMatchObject({ id: id(1), gateway: "gw-1", device: "dev-1", certain: false });
  expect(before?.state).toMatchObject({ state: "done", readBack: { dim: 70 } });
  take(event(3, done), event(4, state(2, "rejected", { code: "KERB-CMD-ROLE" })));
  const [second, first] = await commands();
  expect(first?.certain).toBe(true);
  expect(first?.states.map(({ state: told, by }) => [told.state, by])).toEqual([
    ["accepted", ["answer", "event"]],
    ["running", ["answer", "event"]],
    ["done", ["answer", "event"]],
  ]);
  expect(second).toMatchObject({ id: id(2), certain: true, state: { code: "KERB-CMD-ROLE" } });
});

it("puts what was found out at last behind what nobody knew", async () => {
  answer(state(1, "done", { resolved: true, at: 5 }), state(1, "unknown", { at: 9 }));
  const [command] = await commands();
  expect(command?.state).toMatchObject({ state: "done", resolved: true });
});

it("keeps no token, and nothing that nobody has signed or that is no state", async () => {
  answer(state(1, "done", { arm: "a-token-of-22-character", armMs: 15_000 }));
  answer(state(2, "rejected", { unsigned: true }), { ...state(3, "done"), gw: "gw-2" });
  answer({ ...state(4, "done"), id: "x" }, { ...state(5, "done"), state: "fine" }, [], {});
  receiver.answer("gw-1", Buffer.from("{"));
  receiver.answer("gw-9", Buffer.from(JSON.stringify({ ...state(6, "done"), gw: "gw-9" })));
  take(event(1, { nonsense: true }), event(2, state(7, "rejected", { unsigned: true })));
  const all = await commands();
  expect(all.map((one) => one.id)).toEqual([id(1)]);
  expect(JSON.stringify(all)).not.toContain("a-token");
});

it("gives them page by page, of one gateway, and one by its id", async () => {
  answer(...[1, 2, 3, 4, 5].map((n) => state(n, "done")));
  const { body } = await get("/commands?gw=gw-1&limit=2");
  expect((body["commands"] as CommandRow[]).map((one) => one.id)).toEqual([id(5), id(4)]);
  expect(body["next"]).toBe(id(4));
  const rest = await commands(`?limit=10&before=${id(4)}`);
  expect(rest.map((one) => one.id)).toEqual([id(3), id(2), id(1)]);
  expect((await get(`/commands/${id(3)}`)).body).toMatchObject({ id: id(3), state: { state: "done" } });
  expect((await get(`/commands/${id(3)}?gw=gw-1`)).status).toBe(200);
  expect((await get(`/commands/${id(3)}?gw=gw-2`)).status).toBe(404);
  expect(await get(`/commands/${id(9)}`)).toMatchObject({ status: 404 });
  expect((await get("/commands?gw=nobody")).status).toBe(404);
});

it("still has them after a restart", async () => {
  answer(state(1, "done"));
  receiver.close();
  receiver = open();
  expect(await commands()).toHaveLength(1);
});

/** A parser reads it, and whoever writes it down again runs out of stack. */
const deep = `${'{"a":'.repeat(8000)}1${"}".repeat(8000)}`;

it("keeps only what it knows of a state, and is not stopped by one that is nested without end", async () => {
  const told = { ...state(1, "done"), before: 0, note: "x".repeat(2000), reason: "y".repeat(2000) };
  const text = JSON.stringify({ ...told, readBack: { dim: 70, bad: [1] }, args: { dim: 70 } });
  receiver.answer("gw-1", Buffer.from(text.replace('"before":0', `"before":${deep}`)));
  answer(state(2, "done"));
  take(event(1, { ...state(3, "done"), before: [[1]] }), event(2, state(4, "done")));
  const all = await commands();
  expect(all.map((one) => one.id)).toEqual([id(4), id(3), id(2), id(1)]);
  expect(all[3]?.state).toEqual({ ...state(1, "done"), args: { dim: 70 }, reason: "y".repeat(1000) });
});

it("believes an event more than an answer, whatever time that names", async () => {
  answer(state(1, "done", { at: 2_000_000_000_000, readBack: { dim: 1 } }));
  expect((await commands())[0]).toMatchObject({ certain: false, state: { state: "done" } });
  take(event(1, state(1, "failed", { code: "KERB-CMD-INTERLOCK" })));
  expect((await commands())[0]).toMatchObject({ certain: true, state: { state: "failed" } });
});

it("has room for an event where answers have filled it, and none for answers without end", async () => {
  answer(...Array.from({ length: 40 }, (_, n) => state(1, "done", { at: n + 1 })));
  await commands();
  take(event(1, state(1, "failed")));
  const [command] = await commands();
  expect(command).toMatchObject({ certain: true, state: { state: "failed" } });
  expect(command?.states).toHaveLength(32);
  const text = "z".repeat(8000);
  answer(...Array.from({ length: 30 }, (_, n) => state(2, "done", { at: n + 1, args: { text } })));
  expect(JSON.stringify(await get(`/commands/${id(2)}`)).length).toBeLessThan(80_000);
});

it("takes no answer about a command of next week", async () => {
  answer({ ...state(1, "done"), id: `7${"Z".repeat(25)}` }, state(2, "done"));
  expect((await commands()).map((one) => one.id)).toEqual([id(2)]);
});
