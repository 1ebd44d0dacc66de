import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkJournal } from "./journal-check.ts";
import { type Entry, headFile, lineOf, segmentFile, segmentsOf } from "./journal-lines.ts";
import { Journal, type JournalOptions } from "./journal.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-journal-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(root, String(++folders));
const now = () => ({ wallMs: 1_793_000_000_000, monoMs: 1000, clock: "synced" as const, boot: "b1" });
const opened = { gw: "gw-01" };

async function opening(folder: string, more: Partial<JournalOptions> = {}) {
  const entries: Entry[] = [];
  let isOpen = false;
  const each = (entry: Entry) => void (isOpen || entries.push(entry));
  const journal = await Journal.open({ folder, now, each, ...more }, opened);
  isOpen = true;
  // The last one says that it was opened.
  return { journal, entries: entries.slice(0, -1) };
}

/** A journal of so many records beside `opened`. */
async function written(records: number, more: Partial<JournalOptions> = {}): Promise<string> {
  const folder = fresh();
  const { journal } = await opening(folder, more);
  for (let i = 1; i <= records; i++) await journal.append({ ev: "note", i, text: "số đo \n" });
  await journal.close();
  return folder;
}

function copyOf(folder: string): string {
  const copy = fresh();
  cpSync(folder, copy, { recursive: true });
  return copy;
}

const segment = (folder: string, number = 1) => join(folder, segmentFile(number));
const linesIn = (folder: string, number = 1) =>
  readFileSync(segment(folder, number), "utf8").split("\n").slice(0, -1);
function rewrite(folder: string, lines: string[], number = 1) {
  writeFileSync(segment(folder, number), lines.map((line) => `${line}\n`).join(""));
}

describe("the journal of commands", () => {
  it("gives back what was appended, in its order, over starts", async () => {
    const folder = await written(3);
    const { journal, entries } = await opening(folder);
    expect(entries.map(({ n, ev, i }) => [n, ev, i])).toEqual([
      [1, "opened", undefined],
      [2, "note", 1],
      [3, "note", 2],
      [4, "note", 3],
    ]);
    expect(entries[1]).toMatchObject({
      at: 1_793_000_000_000,
      mono: 1000,
      clock: "synced",
      text: "số đo \n",
    });
    await journal.close();
    expect(await checkJournal(folder)).toMatchObject({
      records: 5,
      from: 1,
      to: 5,
      declared: [],
      hasHead: true,
    });
    expect((await checkJournal(folder)).break).toBeUndefined();
  });

  it("keeps the order of what is appended at once, and takes what nobody waits for along", async () => {
    const folder = fresh();
    const { journal } = await opening(folder);
    journal.note({ ev: "lazy" });
    const kept = await Promise.all(Array.from({ length: 200 }, (_, i) => journal.append({ ev: "note", i })));
    expect(kept.map(({ n }) => n)).toEqual(Array.from({ length: 200 }, (_, i) => i + 3));
    expect(linesIn(folder)).toHaveLength(202);
    journal.note({ ev: "last" });
    await journal.close();
    expect(linesIn(folder).at(-1)).toContain('"ev":"last"');
    expect((await checkJournal(folder)).break).toBeUndefined();
  });

  it(
    "survives a cut at every byte: whole records stay, the torn end is declared",
    { timeout: 120_000 },
    async () => {
      const folder = await written(4);
      const bytes = readFileSync(segment(folder));
      for (let length = 0; length <= bytes.length; length++) {
        const copy = copyOf(folder);
        truncateSync(segment(copy), length);
        const { journal, entries } = await opening(copy);
        await journal.append({ ev: "after" });
        await journal.close();
        const whole = bytes.subarray(0, length).toString("latin1").split("\n").length - 1;
        const from = bytes.subarray(0, length).lastIndexOf(10) + 1;
        expect(
          entries.map(({ n }) => n),
          `cut at ${length}`,
        ).toEqual(Array.from({ length: whole }, (_, i) => i + 1));
        const check = await checkJournal(copy);
        expect(check.break, `cut at ${length}`).toBeUndefined();
        expect(check.records, `cut at ${length}`).toBe(whole + 2);
        const declared = {
          ...(length === from ? {} : { bytes: length - from }),
          ...(whole === 5 ? {} : { lost: 5 - whole }),
        };
        expect(check.declared, `cut at ${length}`).toEqual(
          whole === 5 ? [] : [{ place: `${segmentFile(1)}:${whole + 1}`, ...declared }],
        );
        rmSync(copy, { recursive: true });
      }
    },
  );

  it("goes on in a new segment where a line in the middle is broken, and cuts nothing", async () => {
    const folder = await written(4);
    const lines = linesIn(folder);
    rewrite(folder, lines.with(2, `${lines[2]!.slice(0, 40)}X${lines[2]!.slice(41)}`));
    const { journal, entries } = await opening(folder);
    expect(entries.map(({ n }) => n)).toEqual([1, 2, 4, 5]);
    await journal.close();
    expect(linesIn(folder)).toHaveLength(5);
    const check = await checkJournal(folder);
    expect(check.break).toMatchObject({ what: "changed", place: `${segmentFile(1)}:3` });
    expect(check.declared).toEqual([{ place: `${segmentFile(2)}:1`, broken: `${segmentFile(1)}:3` }]);
  });

  it("begins new segments, each with what is under way, and keeps only the newest", async () => {
    const more = { segmentBytesMax: 2000, segmentsMax: 4, standing: () => ({ leases: ["x"] }) };
    const folder = await written(60, more);
    const segments = await segmentsOf(folder);
    expect(segments).toHaveLength(4);
    expect(segments[0]).toBeGreaterThan(5);
    for (const one of segments) {
      expect(readFileSync(segment(folder, one)).length).toBeLessThanOrEqual(2000);
      expect(JSON.parse(linesIn(folder, one)[0]!)).toMatchObject({ ev: "standing", leases: ["x"] });
    }
    expect((await checkJournal(folder)).break).toBeUndefined();
    const { journal, entries } = await opening(folder, more);
    expect(entries.at(-1)).toMatchObject({ i: 60 });
    await journal.close();
    expect((await checkJournal(folder)).break).toBeUndefined();
  });

  it("takes records even where what is under way fills a segment", async () => {
    const more = { segmentBytesMax: 2000, standing: () => ({ leases: "x".repeat(3000) }) };
    const folder = await written(10, more);
    expect((await checkJournal(folder)).break).toBeUndefined();
    const all = (await segmentsOf(folder)).flatMap((one) => linesIn(folder, one));
    expect(all.filter((line) => line.includes('"ev":"note"'))).toHaveLength(10);
  });

  it("says so when it cannot be written, goes on when it can be again, and tells no record twice", async () => {
    const folder = fresh();
    const { journal } = await opening(folder, { segmentBytesMax: 600 });
    await journal.append({ ev: "one" });
    mkdirSync(segment(folder, 2));
    await expect(journal.append({ ev: "two", text: "x".repeat(300) })).rejects.toThrow(/EISDIR|directory/);
    await expect(journal.append({ ev: "three", text: "x".repeat(300) })).rejects.toThrow(/EISDIR|directory/);
    rmdirSync(segment(folder, 2));
    await journal.append({ ev: "four", text: "x".repeat(300) });
    await journal.close();
    const check = await checkJournal(folder);
    expect(check).toMatchObject({ records: 3, to: 3 });
    expect(check.break).toBeUndefined();
    await expect(journal.append({ ev: "five" })).rejects.toThrow("closed");
  });
});

describe("the check of a journal", () => {
  it("names a byte that was changed, wherever it is", async () => {
    const folder = await written(3);
    const bytes = readFileSync(segment(folder));
    for (let at = 0; at < bytes.length; at += 7) {
      if (bytes[at] === 10) continue;
      const line = bytes.subarray(0, at).toString("latin1").split("\n").length;
      const changed = Buffer.from(bytes);
      changed[at] = changed[at] === 48 ? 49 : 48;
      writeFileSync(segment(folder), changed);
      expect((await checkJournal(folder)).break, `byte ${at}`).toMatchObject({
        what: "changed",
        segment: 1,
        line,
      });
    }
  });

  it("names a line that was removed, and two that were exchanged", async () => {
    const folder = await written(5);
    const lines = linesIn(folder);
    for (let i = 0; i < lines.length - 1; i++) {
      rewrite(folder, lines.toSpliced(i, 1));
      const { break: removed } = await checkJournal(folder);
      // Without its first record a journal looks like one whose oldest segments were dropped: its number tells.
      if (i > 0) expect(removed, `line ${i + 1}`).toMatchObject({ what: "missing", line: i + 1 });
      else expect(removed).toMatchObject({ what: "missing", line: 1 });
      rewrite(folder, lines.toSpliced(i, 2, lines[i + 1]!, lines[i]!));
      expect((await checkJournal(folder)).break, `line ${i + 1}`).toMatchObject({
        what: "missing",
        line: i + 1,
      });
      rewrite(folder, lines.toSpliced(i, 0, lines[i]!));
      expect((await checkJournal(folder)).break, `line ${i + 2}`).toMatchObject({
        what: "moved",
        line: i + 2,
      });
    }
  });

  it("names the line after one that was made anew with a hash of its own", async () => {
    const folder = await written(5);
    const lines = linesIn(folder);
    const { prev, hash: _, ...entry } = JSON.parse(lines[2]!) as Entry & { prev: string; hash: string };
    const { line } = lineOf({ ...entry, i: 7 }, prev);
    rewrite(folder, lines.with(2, line.trimEnd()));
    expect((await checkJournal(folder)).break).toMatchObject({
      what: "changed",
      place: `${segmentFile(1)}:4`,
    });
  });

  it("tells a tail that was cut off, by the head", async () => {
    const folder = await written(5);
    const lines = linesIn(folder);
    for (let kept = 0; kept < lines.length; kept++) {
      rewrite(folder, lines.slice(0, kept));
      expect((await checkJournal(folder)).break, `${kept} kept`).toMatchObject({ what: "tail-missing" });
    }
    unlinkSync(join(folder, headFile));
    expect(await checkJournal(folder)).toMatchObject({ hasHead: false, records: 5 });
  });

  it("tells a chain that was written anew", async () => {
    const [folder, other] = [await written(5), await written(5)];
    const { journal } = await opening(other);
    await journal.append({ ev: "more" });
    await journal.close();
    const forged = await written(0);
    const again = await opening(forged);
    for (let i = 0; i < 9; i++) await again.journal.append({ ev: "note", i: 100 + i });
    await again.journal.close();
    cpSync(segment(forged), segment(folder));
    expect((await checkJournal(folder)).break).toMatchObject({ what: "rewritten" });
    expect((await checkJournal(other)).break).toBeUndefined();
  });

  it("names a segment that was removed: in the middle, the oldest, the newest", async () => {
    const folder = await written(40, { segmentBytesMax: 2000 });
    const segments = await segmentsOf(folder);
    expect(segments.length).toBeGreaterThan(4);
    const without = async (number: number) => {
      const copy = copyOf(folder);
      unlinkSync(segment(copy, number));
      return (await checkJournal(copy)).break;
    };
    expect(await without(3)).toMatchObject({ what: "segment-missing", segment: 4, line: 1 });
    expect(await without(1)).toMatchObject({ what: "segment-missing", segment: 2, line: 1 });
    expect(await without(segments.at(-1)!)).toMatchObject({ what: "tail-missing" });
  });

  it("takes a line that is being written for no break", async () => {
    const folder = await written(2);
    writeFileSync(segment(folder), `${readFileSync(segment(folder), "utf8")}{"n":4,"at"`);
    const check = await checkJournal(folder);
    expect(check.break).toBeUndefined();
    expect(check.torn).toBe(11);
  });
});
