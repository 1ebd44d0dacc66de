import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CommandContent, CommandValue } from "./command.ts";
import { checkJournal } from "./journal-check.ts";
import { segmentFile } from "./journal-lines.ts";
import { isFinal, type CommandState } from "./state.ts";
import { sign, take } from "./test-attacks-rights.ts";
import { recordsOf, Site, until } from "./testing.ts";

/** The gateway ends at every moment of a story, and a new desk goes on with what is on the disk. */

const root = mkdtempSync(join(tmpdir(), "kerb-restart-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

interface Line {
  ev: string;
  id?: string;
  dev?: string;
  point?: string;
  value?: CommandValue;
  state?: unknown;
}

let lines: string[] = [];
let records: Line[] = [];
let contents: CommandContent[] = [];
let startedWith = new Map<string, CommandValue>();

/** One command of each kind; no two write the same value. */
async function story(): Promise<void> {
  const site = new Site(join(root, "story"));
  startedWith = new Map(site.field.values);
  const desk = await site.open();
  const tell = async (more: Partial<CommandContent>): Promise<CommandState> => {
    const content = site.content(more);
    contents.push(content);
    return take(desk, content);
  };
  await tell({ args: { dim: 40 } });
  await tell({ args: { dim: 7 } });
  await tell({ args: { lamp: true, scene: "night", "flow.L1": 2.5 } });
  const armed = await tell({ ...sign, mode: "arm" });
  await tell({ ...sign, mode: "commit", arm: armed.arm! });
  site.field.next = async (_, obey) => {
    obey();
    throw new Error("the host has ended");
  };
  await tell({ args: { dim: 55 } });
  await until(() => desk.pending.unknown.length === 0, "it knows");
  await tell({ args: { boost: true }, lease: 20_000 });
  await tell({ args: { dim: 65 }, lease: 20_000 });
  await desk.close();
  lines = readFileSync(join(site.folder, segmentFile(1)), "utf8")
    .split("\n")
    .slice(0, -1);
  records = lines.map((line) => JSON.parse(line) as Line);
}

beforeAll(story);

/** What the devices show when the gateway ends after so many records, and what was surely written by then. */
function fieldAt(count: number, isLastWritten: boolean): Map<string, CommandValue> {
  const values = new Map(startedWith);
  const begun = records.slice(0, count).filter(({ ev }) => ev === "executing");
  const ended = records.slice(0, count).filter(({ ev }) => ev === "wrote");
  begun.forEach(({ id, dev, point, value }) => {
    const isEnded = ended.some((one) => one.id === id && one.point === point);
    if (isEnded || isLastWritten) values.set(`${dev}/${point}`, value!);
  });
  return values;
}

/** A new desk on the journal as it was after so many records (and some bytes of the next one). */
async function restarted(count: number, isLastWritten: boolean, torn = 0) {
  const site = new Site(join(root, String(++folders)));
  mkdirSync(site.folder);
  const next = (lines[count] ?? "").slice(0, torn);
  writeFileSync(
    join(site.folder, segmentFile(1)),
    lines
      .slice(0, count)
      .map((line) => `${line}\n`)
      .join("") + next,
  );
  site.field.values.clear();
  for (const [key, value] of fieldAt(count, isLastWritten)) site.field.values.set(key, value);
  const desk = await site.open({ retryFirstMs: 2 });
  return { site, desk };
}

const key = (id: unknown, point: unknown) => `${String(id)} ${String(point)}`;

async function checkRestart(count: number, isLastWritten: boolean, torn = 0): Promise<void> {
  const at = `after ${count} records (${records[count - 1]?.ev}), ${isLastWritten ? "" : "not "}written`;
  const { site, desk } = await restarted(count, isLastWritten, torn);
  const before = records.slice(0, count);
  const begun = before.filter(({ ev }) => ev === "executing");
  const accepted = new Set(
    before.filter(({ ev }) => ev === "accepted").map(({ state }) => (state as CommandState).id),
  );
  await until(() => desk.pending.unknown.length === 0, `${at}: it knows`);
  // No write of a command that had begun happens again, whoever asks for it.
  expect(site.field.writes, at).toEqual([]);
  for (const content of contents) {
    const wasAccepted = accepted.has(content.id);
    const answer = await take(desk, content);
    expect(isFinal(answer), at).toBe(true);
    if (!wasAccepted) continue;
    expect(answer, at).toMatchObject({ replay: true });
    const mine = begun.filter(({ id }) => id === content.id);
    const points = Object.keys(content.args);
    const done = before.filter((one) => one.ev === "wrote" && one.id === content.id && one.state === "done");
    if (answer.state === "failed" && done.length > 0) expect(answer.code, at).toBe("KERB-CMD-PARTIAL");
    if (content.mode === "arm") expect(answer.state, at).toMatch(/done|failed/);
    else if (answer.state === "done")
      expect(
        mine.map(({ point }) => point),
        at,
      ).toEqual(points);
    else
      expect(answer, at).toMatchObject({
        state: "failed",
        code: expect.stringMatching(/RESTARTED|NOT-WRITTEN|PARTIAL/),
      });
  }
  const written = site.field.writes.map(({ point, value }) => key(point, value));
  expect(new Set(written).size, at).toBe(written.length);
  for (const { point, value } of begun) expect(written, at).not.toContain(key(point, value));
  // What was unknown is what the device shows.
  for (const { id, dev, point, value, ev } of begun) {
    expect(ev).toBe("executing");
    const known = site.told.findLast((state) => state.id === id && isFinal(state));
    const wasKnown = before.some(
      (one) => one.ev === "wrote" && key(one.id, one.point) === key(id, point) && one.state === "done",
    );
    if (known?.resolved !== true || wasKnown) continue;
    const shows = fieldAt(count, isLastWritten).get(`${dev}/${point}`) === value;
    if (!shows) expect(known.state, at).toBe("failed");
  }
  // The leases that had begun are returned once their time is over.
  const leased = begun.filter(({ point, value }) => point === "boost" || value === 65);
  site.pass(20_000);
  desk.deviceChanged("light-01");
  await until(() => desk.pending.leases.length === 0, `${at}: the leases are returned`);
  if (leased.some(({ point }) => point === "boost"))
    expect(site.field.values.get("light-01/boost"), at).toBe(false);
  await desk.close();
  const check = await checkJournal(site.folder);
  expect(check.break, at).toBeUndefined();
}

describe("a desk that is opened anew", () => {
  it("has a story of all kinds of records behind it", () => {
    const kinds = new Set(records.map(({ ev }) => ev));
    expect([...kinds].toSorted()).toEqual([
      "accepted",
      "executing",
      "opened",
      "refused",
      "result",
      "told",
      "wrote",
    ]);
    expect(lines.length).toBeGreaterThan(30);
  });

  it("executes nothing twice and leaves nothing open, whichever record was the last", async () => {
    for (let count = 1; count <= lines.length; count++) {
      await checkRestart(count, true);
      await checkRestart(count, false);
    }
  }, 120_000);

  it("does so behind a line that is torn", async () => {
    for (let count = 1; count < lines.length; count++)
      await checkRestart(count, count % 2 === 0, 1 + ((count * 37) % 200));
  }, 120_000);

  it("does so while it ends again and again before it has found out", async () => {
    const cut = records.findIndex(({ ev, value }) => ev === "executing" && value === 55) + 1;
    const { site, desk } = await restarted(cut, true);
    site.field.canRead = false;
    const { id } = records[cut - 1]!;
    await desk.close();
    for (let i = 0; i < 3; i++) {
      const again = await site.open({ retryFirstMs: 2 });
      expect(again.pending.unknown).toEqual([id]);
      await again.close();
    }
    site.field.canRead = true;
    const last = await site.open({ retryFirstMs: 2 });
    await expect.poll(() => last.pending.unknown).toEqual([]);
    await last.close();
    expect(site.told.filter((state) => state.id === id).map(({ state }) => state)).toEqual([
      "unknown",
      "done",
    ]);
    expect(site.field.writes).toEqual([]);
    expect((await recordsOf(site.folder)).filter(({ ev }) => ev === "result").length).toBeGreaterThan(0);
  });

  it("knows what is under way from the newest segment alone", async () => {
    const site = new Site(join(root, String(++folders)));
    const small = { segmentBytesMax: 6000, segmentsMax: 2, retryFirstMs: 2 };
    const desk = await site.open(small);
    await take(desk, site.content({ args: { boost: true }, lease: 20_000 }));
    site.field.next = async () => ({ state: "unknown" });
    site.field.canRead = false;
    const open = site.content({ args: { lamp: true } });
    await take(desk, open);
    for (let i = 0; i < 30; i++) await take(desk, site.content());
    await desk.close();
    expect(
      JSON.stringify((await recordsOf(site.folder)).filter(({ ev }) => ev === "accepted")),
    ).not.toContain(open.id);
    const copy = join(root, String(++folders));
    cpSync(site.folder, copy, { recursive: true });
    site.field.canRead = true;
    const again = await site.open(small);
    await expect.poll(() => again.pending.unknown).toEqual([]);
    expect(site.told.findLast(({ id }) => id === open.id)).toMatchObject({ state: "failed", resolved: true });
    expect(again.pending.leases).toMatchObject([{ dev: "light-01", point: "boost", leftMs: 20_000 }]);
    await again.close();
  });
});
