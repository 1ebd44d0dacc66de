import Database from "better-sqlite3";
import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EventReader, EventWriter } from "../event.ts";
import { accountKey, keptOf } from "./accounts.ts";
import { OutboxStore, type RowLane } from "./store.ts";

let folder = "";
let path = "";
let store: OutboxStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-accounts-"));
  path = join(folder, "outbox.db");
  start();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(): void {
  store = new OutboxStore({ path, bytesMax: 64 * 1024 * 1024 });
}

const writer = new EventWriter();
function event(lane: RowLane, device: number): { lane: RowLane; body: Buffer } {
  writer.begin("telemetry", device, 1_795_000_000_000, 7, "synced");
  writer.count(1);
  writer.reading(1, device, 0);
  return { lane, body: Buffer.from(writer.bytes()) };
}

function dataOf(body: Uint8Array | undefined): Record<string, unknown> {
  const reader = new EventReader();
  reader.open(body ?? new Uint8Array());
  return reader.object();
}

/** Runs the audit to its end; every account that does not hold the rows that are there. */
function unbalanced(step = 500): unknown[] {
  let audit = store.auditStep(step);
  while (audit === undefined) audit = store.auditStep(step);
  const { counted } = audit;
  const accounts = store.accounts.list();
  const known = new Set(accounts.map(({ lane, device }) => accountKey(lane, device)));
  const strange = [...counted.keys()].filter((key) => counted.get(key) !== 0 && !known.has(key));
  const wrong = accounts.filter(
    (account) => keptOf(account) !== (counted.get(accountKey(account.lane, account.device)) ?? 0),
  );
  return [...strange, ...wrong];
}

/** Flips bits of a stored row behind the store's back. */
function damage(id: number, change: { device: number | undefined; lane: boolean }): void {
  store.close();
  const database = new Database(path);
  const body = database.prepare("SELECT body FROM event WHERE id = ?").pluck().get(id) as Buffer | undefined;
  if (body !== undefined) {
    if (change.device === undefined) body[body.length - 1] = (body.at(-1) ?? 0) ^ 16;
    else body[3] = change.device;
    database.prepare("UPDATE event SET body = ? WHERE id = ?").run(body, id);
    if (change.lane) database.prepare("UPDATE event SET lane = 1 - lane WHERE id = ?").run(id);
  }
  database.close();
  start();
}

// 200 needs two bytes in the form, 20,000 three.
const device = fc.constantFrom(1, 2, 3, 200, 20_000);
const step = fc.oneof(
  fc.record({
    do: fc.constant("commit" as const),
    rows: fc.array(fc.tuple(fc.constantFrom<RowLane>(0, 1, 1, 1), device), { maxLength: 30 }),
  }),
  fc.record({ do: fc.constant("release" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant("drop" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant("evict" as const) }),
  fc.record({ do: fc.constant("restart" as const) }),
  fc.record({ do: fc.constant("audit step" as const) }),
  fc.record({
    do: fc.constant("corrupt" as const),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    device: fc.option(fc.nat(255), { nil: undefined }),
    lane: fc.boolean(),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(one: Step): void {
  const nth = (share: number) => 1 + Math.floor(share * store.lastId);
  if (one.do === "commit") store.commit(one.rows.map(([lane, of]) => event(lane, of)));
  else if (one.do === "release")
    for (const record of store.epochs) {
      const last = store.lastIdOf(record) - record.base;
      while (store.release("ioc", record.epoch, Math.floor(last * one.share), ["ioc"], 7));
    }
  else if (one.do === "drop") store.drop(store.rows(1, nth(one.share), nth(one.share) + 5), "too-large");
  else if (one.do === "evict") store.evict();
  else if (one.do === "audit step") store.auditStep(10);
  else if (one.do === "restart") {
    store.close();
    start();
  } else damage(nth(one.share), one);
}

describe("the accounts of devices and classes", () => {
  it("close after any sequence of commits, releases, drops, evictions, restarts and damaged rows", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        store.close();
        rmSync(folder, { recursive: true, force: true });
        start();
        const accepted = new Map<number, number>();
        for (const one of steps) {
          take(one);
          if (one.do !== "commit") continue;
          for (const [lane, of] of one.rows)
            accepted.set(accountKey(lane, of), (accepted.get(accountKey(lane, of)) ?? 0) + 1);
        }
        expect(unbalanced(13)).toEqual([]);
        const books = store.accounts
          .list()
          .filter((account) => account.accepted > 0)
          .map((account) => [accountKey(account.lane, account.device), account.accepted]);
        expect(new Map(books as [number, number][])).toEqual(accepted);
        const { event: urgent, live } = store.books();
        expect(urgent.kept + live.kept).toBe(store.count().rows);
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("are counted right while rows come, go and are delivered between two steps of an audit", () => {
    store.commit(Array.from({ length: 100 }, (_, i) => event(1, 1 + (i % 3))));
    store.auditStep(40);
    while (store.release("ioc", store.epoch, 20, ["ioc"]));
    store.drop(store.rows(1, 35, 60), "too-large");
    store.commit(Array.from({ length: 30 }, () => event(0, 2)));
    store.auditStep(40);
    store.evict();
    expect(unbalanced(40)).toEqual([]);
  });

  it("say which one does not close when rows vanish without a trace", () => {
    store.commit(Array.from({ length: 9 }, (_, i) => event(1, 1 + (i % 3))));
    store.close();
    const database = new Database(path);
    database.prepare("DELETE FROM event WHERE id = 5").run();
    database.close();
    start();
    expect(unbalanced()).toMatchObject([{ lane: 1, device: 2, accepted: 3, delivered: 0 }]);
  });

  it("keep the reasons of what was dropped, after the tombstones are gone too", () => {
    const names = [1, 2, 3, 4, 5].map((n) => ({ id: `dev-${n}`, type: "meter", profile: "", points: [] }));
    store.register(names);
    store.commit(Array.from({ length: 10 }, () => event(1, 5)));
    store.drop(store.rows(1, 1, 2), "too-large");
    store.drop(store.rows(1, 3, 3), "refused");
    const drops = store.dropReport(1);
    expect(dataOf(drops?.body)).toMatchObject({
      cause: "storage",
      lostCount: 3,
      devices: [{ device: "dev-5", lostCount: 3 }],
      dropped: [
        { epoch: store.epoch, from: 1, to: 2, reason: "too-large" },
        { epoch: store.epoch, from: 3, to: 3, reason: "refused" },
      ],
    });
    store.commit([{ lane: 0, body: drops?.body ?? Buffer.alloc(0) }], () => (drops?.mark(), []));
    expect(store.losses.unacknowledged(10)).toMatchObject([
      { first: 1, last: 2, reason: "too-large", reported: true },
      { first: 3, last: 3, reason: "refused", reported: true },
    ]);
    while (store.release("ioc", store.epoch, 11, ["ioc"]));
    expect(store.losses.unacknowledged(10)).toEqual([]);
    const account = store.accounts.list().find(({ device: index, lane }) => index === 5 && lane === 1);
    expect(account?.dropped).toEqual({ "too-large": 2, refused: 1 });
    expect(unbalanced()).toEqual([]);
  });

  it("declare a damaged row whose time is impossible too", () => {
    store.commit([event(1, 1), event(1, 1)]);
    store.close();
    const database = new Database(path);
    database.exec("UPDATE event SET recorded = 1152921504606846976 WHERE id = 1");
    database.close();
    start();
    expect(store.rows(1, 1, 2).map(({ id }) => id)).toEqual([2]);
    const toMs = Date.parse(String(dataOf(store.dropReport(1)?.body)["to"]));
    expect(toMs).toBeLessThanOrEqual(Date.now());
    expect(unbalanced()).toEqual([]);
  });

  it("tell for each drop report which devices lost how many", () => {
    const names = [1, 2, 3].map((n) => ({ id: `dev-${n}`, type: "meter", profile: "", points: [] }));
    store.register(names);
    store.commit(Array.from({ length: 900 }, (_, i) => event(i % 7 === 0 ? 0 : 1, 1 + (i % 3))));
    store.evict();
    const data = dataOf(store.dropReport(1)?.body);
    expect(data["cause"]).toBe("buffer_overflow");
    const devices = data["devices"] as { device: string; lostCount: number }[];
    expect(devices.map(({ device: id }) => id)).toEqual(["dev-1", "dev-2", "dev-3"]);
    const evicted = store.accounts.list().filter(({ lane }) => lane === 1);
    expect(devices.map(({ lostCount }) => lostCount)).toEqual(evicted.map((one) => one.dropped["evicted"]));
    expect(data["lostCount"]).toBe(500);
  });

  it("give numbers that go on after everything was delivered, without SQLite's own counter", () => {
    store.commit([event(1, 1), event(1, 1)]);
    while (store.release("ioc", store.epoch, 2, ["ioc"]));
    for (let i = 0; i < 12; i++) {
      store.close();
      start();
    }
    expect(store.commit([event(1, 1)]).map(({ id }) => id)).toEqual([3]);
    store.close();
    const database = new Database(path);
    expect(database.prepare("SELECT * FROM sqlite_sequence WHERE name = 'event'").all()).toEqual([]);
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    database.close();
    start();
  });
});

describe("a file of the first version", () => {
  beforeEach(() => {
    store.close();
    rmSync(folder, { recursive: true, force: true });
    folder = mkdtempSync(join(tmpdir(), "kerb-accounts-"));
    path = join(folder, "outbox.db");
    // Written by kerb 0.1.0: 90 accepted, 40 delivered, 4 dropped, 46 kept over two epochs, of three devices.
    writeFileSync(path, gunzipSync(readFileSync(new URL("fixtures/outbox-v1.db.gz", import.meta.url))));
    start();
  });

  it("goes on: rows belong to their devices, what was before to device 0, and numbers continue", () => {
    expect(store.books()).toEqual({
      event: { accepted: 8, delivered: 4, dropped: 0, kept: 4 },
      live: { accepted: 82, delivered: 36, dropped: 4, kept: 42 },
    });
    expect(unbalanced()).toEqual([]);
    const accounts = store.accounts.list().filter(({ lane }) => lane === 1);
    expect(accounts).toMatchObject([
      { device: 0, accepted: 40, delivered: 36, dropped: { unknown: 4 } },
      { device: 2, accepted: 12, delivered: 0 },
      { device: 3, accepted: 15, delivered: 0 },
      { device: 4, accepted: 15, delivered: 0 },
    ]);
    expect(store.commit([event(1, 2)]).map(({ id }) => id)).toEqual([91]);
    for (const record of store.epochs) while (store.release("ioc", record.epoch, 1000, ["ioc"]));
    expect(store.books().live).toEqual({ accepted: 83, delivered: 79, dropped: 4, kept: 0 });
    expect(unbalanced()).toEqual([]);
  });
});
