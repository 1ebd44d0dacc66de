import type Database from "better-sqlite3";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inflate } from "../uplink/encoding.ts";
import type { Seal } from "../uplink/seal.ts";
import { type Certificate } from "./certificates.ts";
import {
  at,
  box,
  certificates,
  receiver,
  reopen,
  restartReceiver,
  start,
  stop,
  tamper,
} from "./test-certificates.ts";

/** Whatever happens on the way: a certificate is complete if and only if nothing was altered. */

const isWhole = ({ state }: Certificate): boolean => state.startsWith("complete");

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("accept" as const),
      count: fc.integer({ min: 1, max: 9 }),
      lane: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("send" as const), losing: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("acknowledge" as const, "seal" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), hours: fc.constantFrom(0.1, 0.4, 1, 2) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("restart" as const, "receiver" as const, "evict" as const),
    }),
  },
);
/** What is done to the receiver's database: nothing, or one of these. */
const change = fc.constantFrom("none", "value", "delete", "copy", "swap", "seal", "no-seal");

describe("certificates over random schedules", () => {
  it("are complete if and only if nothing was altered", { timeout: 120_000 }, async () => {
    let runs = 0;
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 30, size: "max" }),
      fc.constantFrom("columnar" as const, "cloudevents" as const),
      change,
      fc.nat(1000),
      async (steps, encoding, alteration, choice) => {
        const name = `run-${++runs}`;
        at(0);
        reopen(`${name}.db`);
        const begin = () => start([encoding], [receiver], `${name}.outbox`);
        begin();
        let hour = 0.01;
        let evicted = false;
        let coin = 0;
        for (const one of steps) {
          at(hour);
          if (one.kind === "accept") box.accept(one.count, one.lane);
          else if (one.kind === "send") box.send(() => one.losing && ++coin % 2 === 0);
          else if (one.kind === "acknowledge") box.acknowledge();
          else if (one.kind === "seal") box.sendSeals(() => ++coin % 3 === 0);
          else if (one.kind === "wait") hour += one.hours;
          else if (one.kind === "evict") {
            evicted = true;
            const last = box.store.lastId - box.store.base;
            box.evict(Math.max(1, last - 3), last);
          } else if (one.kind === "restart") {
            stop(box);
            begin();
          } else {
            restartReceiver(`${name}.db`);
          }
        }
        hour = Math.ceil(hour) + 0.5;
        at(hour);
        box.accept(3);
        for (let i = 0; i < 4; i++) {
          // A receiver that starts again has everything that it lacks sent once more.
          restartReceiver(`${name}.db`);
          for (const uplink of box.uplinks) {
            uplink.lanes.disconnect();
            uplink.lanes.connect(20, 32_768);
          }
          box.acknowledge();
          box.settle();
        }
        hour += 1;
        at(hour);
        box.accept(1);
        for (let i = 0; i < 3; i++) box.settle();
        const hours = Math.floor(hour);
        const sealed = async () => (await certificates(hours + 1)).filter(({ seals }) => seals.length > 0);
        const before = await sealed();
        expect(before.length).toBeGreaterThan(0);
        expect(before.filter((one) => !isWhole(one) && one.to <= new Date().toISOString())).toEqual([]);
        if (!evicted) expect(before.every(({ lost }) => lost.length === 0)).toBe(true);

        if (alteration !== "none") {
          const changed = alter(`${name}.db`, alteration, choice);
          const after = await sealed();
          const was = new Set(before.filter(isWhole).map(({ from }) => from));
          const left = after.filter(isWhole).filter(({ from }) => was.has(from));
          if (changed) expect(left.length).toBeLessThan(was.size);
        }
        stop(box);
        stop(receiver);
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });
});

/** Alters one stored thing that a finished period is made of; false when there is none of the kind. */
function alter(name: string, alteration: string, choice: number): boolean {
  let changed = false;
  tamper((database) => (changed = alterSealed(database, alteration, choice)), name);
  return changed;
}

function alterSealed(database: Database.Database, alteration: string, choice: number): boolean {
  const seals = (
    database.prepare("SELECT ep, no, body FROM seal WHERE to_ms > from_ms").all() as {
      ep: number;
      no: number;
      body: string;
    }[]
  ).map((row) => ({ ...row, seal: JSON.parse(row.body) as Seal }));
  const full = seals.filter(({ seal }) => seal.n > 0 && seal.toMs <= Date.now());
  const target = full[choice % Math.max(1, full.length)];
  if (target === undefined) return false;
  const { ep, no, seal } = target;
  if (alteration === "no-seal")
    return database.prepare("DELETE FROM seal WHERE ep = ? AND no = ?").run(ep, no).changes > 0;
  if (alteration !== "seal") return alterBatch(database, alteration, seal);
  const body = JSON.stringify({ ...seal, n: seal.n - 1, tomb: [[seal.to, seal.to, "evicted"]] });
  return database.prepare("UPDATE seal SET body = ? WHERE ep = ? AND no = ?").run(body, ep, no).changes > 0;
}

function alterBatch(database: Database.Database, alteration: string, seal: Seal): boolean {
  const sealedTo = (n: number) => seal.tomb.every(([a, b]) => n < a || n > b);
  const rows = database
    .prepare("SELECT id, first, last, take, body FROM batch WHERE ep = ? AND first BETWEEN ? AND ?")
    .all(seal.ep, seal.from, seal.to) as {
    id: number;
    first: number;
    last: number;
    take: string | null;
    body: Buffer;
  }[];
  const row = rows.find(({ first, take }) => take === null && sealedTo(first));
  if (row === undefined) return false;
  if (alteration === "delete")
    return database.prepare("DELETE FROM batch WHERE id = ?").run(row.id).changes > 0;
  if (alteration === "copy") {
    if (row.last === row.first) return false;
    const copy =
      "INSERT OR IGNORE INTO batch (gw, ep, first, last, lane, dict, received_ms, take, body) SELECT gw, ep, first + 1, last, lane, dict, received_ms, take, body FROM batch WHERE id = ?";
    return database.prepare(copy).run(row.id).changes > 0;
  }
  const json = JSON.parse(Buffer.from(inflate(row.body)).toString("utf8")) as never;
  const put = () =>
    database.prepare("UPDATE batch SET body = ? WHERE id = ?").run(Buffer.from(JSON.stringify(json)), row.id)
      .changes > 0;
  if (Array.isArray(json)) {
    const list = json as { data: { measurements?: { value: number }[] } }[];
    const [a, b] = list;
    if (alteration === "value") {
      const reading = a?.data.measurements?.[0];
      if (reading === undefined) return false;
      reading.value += 1;
    } else {
      if (a?.data.measurements === undefined || b?.data.measurements === undefined) return false;
      if (list.length !== 2 && !sealedTo(row.first + 1)) return false;
      [a.data, b.data] = [b.data, a.data];
    }
    return put();
  }
  const { x, k } = json as { x: number[]; k: number[] };
  if (k[0] !== 2 || (alteration === "swap" && k[1] !== 2)) return false;
  if (alteration === "value") x[0] = (x[0] ?? 0) + 1;
  else [x[0], x[2]] = [x[2] ?? 0, x[0] ?? 0];
  return put();
}
