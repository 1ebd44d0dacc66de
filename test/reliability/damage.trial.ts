import { randomInt } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OutboxRig, type Received } from "./outbox-rig.ts";
import type { Outcome, Scale, Trial } from "./trial.ts";

/** Of the files that kerb makes. */
const pageBytes = 2048;
const files = ["outbox.db", "outbox.db-wal", "epoch", "dictionary"];

function temporary(): string {
  return mkdtempSync(join(tmpdir(), "kerb-damage-"));
}

/** What a power cut would leave: the files as they are while the outbox has them open. */
function snapshot(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const file of files) if (existsSync(join(from, file))) copyFileSync(join(from, file), join(to, file));
}

interface Verdict {
  started: boolean;
  firstAcceptedMs: number;
  quarantined: boolean;
  salvageTold: boolean;
  /** Of the events fed before: come back right, declared, and not a word about. */
  right: number;
  declared: number;
  lost: number;
  altered: number;
  books: boolean;
}

/** Starts the outbox on a folder that holds `fed` numbered events, and counts what the IOC gets of them. */
async function judge(folder: string, fed: number, drainMs = 20_000): Promise<Verdict> {
  const rig = await OutboxRig.start({ folder });
  try {
    rig.fed = fed;
    rig.feed(20);
    await rig.until(() => rig.firstAcceptedMs !== undefined, 5000);
    // The check of all pages begins half a second after the start; what it finds shows then.
    await sleep(900);
    const isAside = () => readdirSync(folder).some((name) => name.includes("damaged-"));
    await rig.until(() => !isAside(), drainMs);
    const drained = await rig.drained(drainMs);
    let { books } = await rig.stats();
    // The last loss may be declared only now, and that event is on its way.
    for (let tries = 0; tries < 50 && books.event.kept + books.live.kept > 0; tries++) {
      await sleep(100);
      ({ books } = await rig.stats());
    }
    const old = [...rig.received.values()].filter(({ value }) => value !== undefined && value <= fed);
    const aside = readdirSync(folder).some((name) => /damaged-|salvaged-/.test(name));
    const altered =
      rig.contradictions.length + old.filter((event) => !isOriginal(event)).length + duplicates(old).length;
    const right = new Set(old.map(({ value }) => value)).size;
    return {
      started: rig.died === undefined && rig.firstAcceptedMs !== undefined,
      firstAcceptedMs: rig.firstAcceptedMs ?? Infinity,
      quarantined: aside,
      salvageTold: !aside || rig.told().some(({ state }) => state === "storage-salvaged"),
      right,
      declared: rig.declared(),
      lost: fed - right,
      altered,
      books: drained && books.event.kept + books.live.kept === 0,
    };
  } finally {
    await rig.stop();
  }
}

/** In the first life, the number of the source is the number of the event, but for what the outbox told itself. */
function isOriginal({ value }: Received): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

function duplicates(events: Received[]): Received[] {
  const seen = new Set<number>();
  return events.filter(({ value }) => {
    if (seen.has(value as number)) return true;
    seen.add(value as number);
    return false;
  });
}

/** A folder with `events` rows that nobody has fetched, closed cleanly (all in the file) or cut off. */
async function backlog(events: number, cutOff: boolean, padding = 0): Promise<string> {
  const folder = temporary();
  const rig = await OutboxRig.start({ folder: join(folder, "state"), online: false, padding });
  await rig.feedAll(events);
  if (cutOff) snapshot(join(folder, "state"), join(folder, "base"));
  await rig.stop();
  if (!cutOff) renameSync(join(folder, "state"), join(folder, "base"));
  rmSync(join(folder, "state"), { recursive: true, force: true });
  return folder;
}

/** A disk that says "flushed" and keeps its last writes to itself: part of them never happened, some are torn. */
function lie(older: string, newer: string, target: string): void {
  mkdirSync(target, { recursive: true });
  for (const file of files) {
    if (!existsSync(join(newer, file))) continue;
    const now = readFileSync(join(newer, file));
    const then = existsSync(join(older, file)) ? readFileSync(join(older, file)) : Buffer.alloc(0);
    if (file === "epoch" || file === "dictionary") {
      writeFileSync(join(target, file), Math.random() < 0.1 ? then : now);
      continue;
    }
    for (let at = 0; at < now.length; at += pageBytes) {
      const fresh = now.subarray(at, at + pageBytes);
      const stale = Buffer.alloc(fresh.length);
      if (at < then.length) then.copy(stale, 0, at, at + pageBytes);
      if (fresh.equals(stale) || Math.random() < 0.5) continue;
      const torn = Math.random() < 0.2 ? 512 * randomInt(8) : 0;
      if (torn < stale.length) stale.copy(fresh, torn, torn);
    }
    const cut = Math.random() < 0.1 ? randomInt(now.length + 1) : now.length;
    writeFileSync(join(target, file), now.subarray(0, cut));
  }
}

async function lyingDisk(scale: Scale, say: (text: string) => void): Promise<Outcome> {
  const images = scale === "short" ? 10 : 300;
  const folder = temporary();
  const verdicts: Verdict[] = [];
  try {
    const rig = await OutboxRig.start({ folder: join(folder, "state"), online: false, padding: 60 });
    await rig.feedAll(3000);
    snapshot(join(folder, "state"), join(folder, "older"));
    await rig.feedAll(9000);
    snapshot(join(folder, "state"), join(folder, "newer"));
    await rig.stop();
    for (let image = 0; image < images; image++) {
      const target = join(folder, `image-${image}`);
      lie(join(folder, "older"), join(folder, "newer"), target);
      verdicts.push(await judge(target, 12_000));
      rmSync(target, { recursive: true, force: true });
      if (image % 50 === 49) say(`${image + 1} images`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return summary(verdicts, "lying disk", (verdict) => verdict.firstAcceptedMs <= 5000 && verdict.salvageTold);
}

function isBad(verdict: Verdict, more: (verdict: Verdict) => boolean): boolean {
  return !verdict.started || verdict.altered > 0 || !verdict.books || !more(verdict);
}

function summary(verdicts: Verdict[], what: string, more: (verdict: Verdict) => boolean): Outcome {
  const sum = (pick: (verdict: Verdict) => number) =>
    verdicts.reduce((total, verdict) => total + pick(verdict), 0);
  const bad = verdicts.filter((verdict) => isBad(verdict, more));
  const slowest = Math.max(...verdicts.map(({ firstAcceptedMs }) => firstAcceptedMs));
  return {
    trials: verdicts.length,
    figure:
      `${what}: ${sum(({ quarantined }) => Number(quarantined))} put aside and salvaged; ` +
      `${sum(({ right }) => right)} of ${sum(({ right, lost }) => right + lost)} events delivered right, ` +
      `${sum(({ declared }) => declared)} declared lost, ${sum(({ altered }) => altered)} altered; first event ` +
      `taken after ${(slowest / 1000).toFixed(1)} s at most` +
      (bad.length === 0 ? "" : `; failed: ${JSON.stringify(bad[0])}`),
    passed: bad.length === 0,
  };
}

function near(heads: readonly number[], bytes: number): number {
  return (heads[randomInt(heads.length)] ?? 0) + randomInt(bytes);
}

/** One bit anywhere; of every second copy in the head of a page or in a tree's inner page, where it hides many rows. */
function place(original: Buffer, copy: number): { at: number; bit: number } {
  const heads = Array.from({ length: original.length / pageBytes }, (_, page) => page * pageBytes);
  const inner = heads.filter((head) => [2, 5].includes(original[head === 0 ? 100 : head] ?? 0));
  const at =
    copy % 2 === 0 ? randomInt(original.length) : copy % 4 === 1 ? near(heads, 60) : near(inner, pageBytes);
  return { at, bit: randomInt(8) };
}

async function bitRot(scale: Scale, say: (text: string) => void): Promise<Outcome> {
  const copies = scale === "short" ? 24 : 1000;
  const events = 2000;
  const folder = await backlog(events, false);
  const keep = process.env["KERB_KEEP"];
  const verdicts: Verdict[] = [];
  try {
    const original = readFileSync(join(folder, "base", "outbox.db"));
    let next = 0;
    const lane = async () => {
      for (let copy = next++; copy < copies; copy = next++) {
        const target = join(folder, `copy-${copy}`);
        snapshot(join(folder, "base"), target);
        const altered = Buffer.from(original);
        const { at, bit } = place(original, copy);
        altered[at] = (altered[at] ?? 0) ^ (1 << bit);
        writeFileSync(join(target, "outbox.db"), altered);
        const verdict = await judge(target, events);
        if (isBad(verdict, isDeclared)) {
          say(`bit ${bit} of byte ${at} of page ${Math.floor(at / pageBytes)}: ${JSON.stringify(verdict)}`);
          if (keep !== undefined) writeFileSync(join(keep, `bit-${at}-${bit}.db`), altered);
        }
        verdicts.push(verdict);
        rmSync(target, { recursive: true, force: true });
        if (copy % 100 === 99) say(`${copy + 1} copies`);
      }
    };
    // Trials beside this one need the disk, too.
    await Promise.all(Array.from({ length: scale === "short" ? 2 : 5 }, lane));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return summary(verdicts, "one bit flipped", isDeclared);
}

const isDeclared = ({ lost, declared }: Verdict): boolean => lost <= declared;

async function pageLoss(scale: Scale): Promise<Outcome> {
  const copies = scale === "short" ? 4 : 60;
  const events = scale === "short" ? 6000 : 50_000;
  const folder = await backlog(events, false, 60);
  const verdicts: Verdict[] = [];
  try {
    const original = readFileSync(join(folder, "base", "outbox.db"));
    for (let copy = 0; copy < copies; copy++) {
      const target = join(folder, `copy-${copy}`);
      snapshot(join(folder, "base"), target);
      const altered = Buffer.from(original);
      // The first page and the root of all rows are among the pages that are tried.
      const page = copy === 0 ? 0 : copy === 1 ? 3 : randomInt(altered.length / pageBytes);
      for (let i = 0; i < pageBytes; i += 4) altered.writeInt32LE(randomInt(2 ** 31), page * pageBytes + i);
      writeFileSync(join(target, "outbox.db"), altered);
      // As after a crash: what is not checked now is found when it is read.
      verdicts.push(await judge(target, events, 60_000));
      rmSync(target, { recursive: true, force: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return summary(
    verdicts,
    "one page overwritten",
    // What the page itself held is gone: 0.1 % of 50,000 rows.
    ({ declared, lost }) => lost <= 50 && declared >= lost,
  );
}

async function logDeleted(scale: Scale): Promise<Outcome> {
  const rounds = scale === "short" ? 3 : 20;
  let lost = 0;
  let slowest = 0;
  const faults: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const folder = temporary();
    const state = join(folder, "state");
    const rig = await OutboxRig.start({ folder: state, online: false });
    try {
      await rig.feedAll(1000 + randomInt(500));
      const victim = round % 3 === 2 ? "outbox.db" : "outbox.db-wal";
      unlinkSync(join(state, victim));
      const deletedMs = performance.now();
      rig.feed(50);
      if (!(await rig.until(() => rig.failures.some((text) => text !== undefined), 5000)))
        faults.push(`${victim}: not detected`);
      slowest = Math.max(slowest, performance.now() - deletedMs);
      if (
        !(await rig.until(() => rig.acceptedBytes >= rig.fedBytes && rig.failures.at(-1) === undefined, 5000))
      )
        faults.push(`${victim}: not recovered`);
      // The proof is a cut of the power now: what is in the files counts.
      snapshot(state, join(folder, "after"));
      const { fed } = rig;
      await rig.stop();
      const verdict = await judge(join(folder, "after"), fed);
      lost += verdict.lost;
      if (!verdict.started || verdict.altered > 0 || verdict.lost > verdict.declared)
        faults.push(JSON.stringify(verdict));
    } finally {
      await rig.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return {
    trials: rounds,
    figure:
      `noticed after ${(slowest / 1000).toFixed(1)} s at most; ${lost} events lost` +
      (faults.length === 0 ? "" : `; ${faults[0]}`),
    passed: faults.length === 0 && slowest <= 5000,
  };
}

export const trials: Trial[] = [
  {
    id: "R4",
    name: "lying disk",
    passLine:
      "never crash-loops; a fresh file and the first event within 5 s; salvage reported; nothing altered",
    needs: [],
    run: lyingDisk,
  },
  {
    id: "R9",
    name: "bit rot",
    passLine: "100 % of altered rows refused and counted, neighbours delivered",
    needs: [],
    run: bitRot,
  },
  {
    id: "R10",
    name: "page loss salvage",
    passLine: ">= 99.9 % of rows, automatic, the rest declared",
    needs: [],
    run: pageLoss,
  },
  {
    id: "R11",
    name: "`-wal` or the file itself deleted while running",
    passLine: "detected <= 5 s, saved or bounded and reported",
    needs: [],
    run: logDeleted,
  },
];
