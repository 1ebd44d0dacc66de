import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../simulators/simulator.ts";
import { eventKinds, EventWriter } from "../event.ts";
import { OutboxStore, type RowLane, type StoredRow } from "../outbox/store.ts";
import { decodeBatch } from "../receiver/decode.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { Message } from "./flights.ts";
import type { LanesOptions } from "./cuts.ts";
import { Lanes } from "./lanes.ts";

let folder = "";
let store: OutboxStore;
let device = 0;
let point = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-lanes-"));
  restart();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const options: LanesOptions = {
  name: "ioc",
  city: "hcmc",
  gateway: "gw-01",
  encoding: "columnar",
  windowMax: 20,
  bytesMax: 32_768,
  resendAfterMs: 30_000,
};

function restart(): void {
  store = new OutboxStore({ path: join(folder, "outbox.db"), bytesMax: 64 * 1024 * 1024 });
  const points = [{ name: "voltage.L1", unit: "V", kind: "number" as const, decimals: 1 }];
  const [registered] = store.register([{ id: "meter-01", type: "energy-meter", profile: "", points }]);
  device = registered?.index ?? 0;
  point = registered?.points[0]?.index ?? 0;
}

const writer = new EventWriter();
function event(lane: RowLane, filler = ""): { lane: RowLane; body: Buffer } {
  writer.begin(lane === 0 ? "alarm" : "telemetry", device, 1_795_000_000_000, 0, "synced");
  if (lane === 0) writer.object({ state: "active", filler });
  else {
    writer.count(1);
    writer.reading(point, 2312 / 10, 1);
  }
  return { lane, body: Buffer.from(writer.bytes()) };
}

function commit(lanes: Lanes, events: { lane: RowLane; body: Buffer }[]): StoredRow[] {
  let planned: ReturnType<Lanes["planNew"]> = [];
  const rows = store.commit(events, (stored) => {
    planned = lanes.planNew(stored);
    return planned.map((cut) => ({ uplink: options.name, cut }));
  });
  lanes.stored(rows, planned);
  return rows;
}

const many = (count: number, lane: RowLane = 1) => Array.from({ length: count }, () => event(lane));
const seqs = (messages: Message[]) => messages.flatMap((message) => decodeBatch(message.payload).seqs);
const ack = (
  wm: number,
  more: Partial<Acknowledgement["ep"][string]> = {},
  run = "r1",
  sess = 1,
): Acknowledgement => ({
  v: 1,
  ts: 0,
  run,
  sess,
  ep: { [store.epoch]: { wm, ...more } },
});

function release(lanes: Lanes, document: Acknowledgement, session = 1, nowMs = 0): void {
  for (const { epoch, watermark } of lanes.acknowledge(document, session, nowMs)) {
    while (store.release("ioc", epoch, watermark, ["ioc"]));
  }
}

describe("the lanes of an uplink", () => {
  it("send urgent before live before backlog, and the present before the past after an outage", () => {
    const lanes = new Lanes(store, options);
    commit(lanes, many(1200));
    expect(lanes.backlogRows).toBe(1200);
    lanes.connect(20, 32_768);
    commit(lanes, [event(1), event(0), event(1)]);
    const messages = lanes.next(0);
    expect(messages.map((message) => message.lane).slice(0, 3)).toEqual(["event", "live", "fill"]);
    expect(seqs(messages.slice(0, 1))).toEqual([1202]);
    expect(seqs(messages.slice(1, 2))).toEqual([1201, 1203]);
    expect(seqs(messages.slice(2, 3))).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  it("keep rows after the PUBACK and delete them at the watermark", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    const rows = commit(lanes, many(10));
    for (const message of lanes.next(0, rows)) lanes.sent(message.key, 5);
    expect(lanes.inFlight).toBe(0);
    expect(store.count().rows).toBe(10);
    release(lanes, ack(7));
    expect(store.count().rows).toBe(3);
    release(lanes, ack(10));
    expect(store.count().rows).toBe(0);
    expect(store.cuts("ioc")).toEqual([]);
  });

  it("respect the window that the broker grants, and leave half of it to the present", () => {
    const lanes = new Lanes(store, options);
    commit(lanes, many(6000));
    lanes.connect(5, 32_768);
    for (let i = 0; i < 8; i++) commit(lanes, [event(1)]);
    expect(lanes.next(0)).toHaveLength(5);
    lanes.disconnect();
    lanes.connect(20, 32_768);
    for (let nowMs = 0; nowMs < 100; nowMs++) {
      const messages = lanes.next(nowMs);
      expect(messages.length).toBeLessThanOrEqual(10);
      for (const message of messages) lanes.sent(message.key, nowMs + 1);
    }
  });

  it("show the present first when a link was stuck: the oldest live batches step back into fill", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(1, 32_768);
    const [stuck] = lanes.next(0, commit(lanes, [event(1)]));
    for (let i = 0; i < 80; i++) commit(lanes, [event(1)]);
    lanes.sent(stuck?.key ?? 0, 20_000);
    const order: number[] = [];
    for (let [message] = lanes.next(20_000); message !== undefined; [message] = lanes.next(20_000)) {
      order.push(...seqs([message]));
      lanes.sent(message.key, 20_000);
    }
    expect(order).toEqual([...range(18, 81), ...range(2, 17)]);
  });

  it("give the same bytes when a batch is sent again, also after a restart and a new dictionary", () => {
    let lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    const rows = commit(lanes, many(50));
    const [first] = lanes.next(0, rows);
    store.close();
    restart();
    store.register([{ id: "later", type: "x", profile: "", points: [] }]);
    lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    const [again] = lanes.next(0);
    expect(again?.lane).toBe("fill");
    expect(again?.payload.equals(first?.payload ?? Buffer.alloc(0))).toBe(true);
  });

  it("send again at once what the first word of a receiver's run or session does not cover, and only that", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    for (let i = 0; i < 4; i++)
      for (const message of lanes.next(0, commit(lanes, many(10)))) lanes.sent(message.key, 1);
    release(lanes, ack(10, { top: 30, miss: [[11, 20]] }));
    expect(seqs(lanes.next(2)).toSorted((a, b) => a - b)).toEqual([...range(11, 20), ...range(31, 40)]);
    // A retained word of an earlier session is not an answer to this one.
    lanes.disconnect();
    lanes.connect(20, 32_768);
    for (const message of lanes.next(3)) lanes.sent(message.key, 3);
    release(lanes, ack(10, {}, "r1", 1), 2, 4);
    expect(lanes.next(5)).toEqual([]);
    release(lanes, ack(10, { top: 10 }, "r1", 2), 2, 6);
    // Backlog begins with two messages; each acknowledgement allows one more.
    const again = lanes.next(7);
    for (const message of again) lanes.sent(message.key, 8);
    expect(seqs([...again, ...lanes.next(8)])).toEqual(range(11, 40));
  });

  it("send a hole again that the receiver names later, and a batch that stays unconfirmed", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    release(lanes, ack(0));
    for (let i = 0; i < 3; i++)
      for (const message of lanes.next(0, commit(lanes, many(10)))) lanes.sent(message.key, 0);
    release(lanes, ack(10, { top: 30, miss: [[11, 20]] }), 1, 1000);
    expect(lanes.next(1000)).toEqual([]);
    release(lanes, ack(10, { top: 30, miss: [[11, 20]] }), 1, 12_000);
    const again = lanes.next(12_000);
    expect(seqs(again)).toEqual(range(11, 20));
    for (const message of again) lanes.sent(message.key, 12_000);
    // Its next try waits twice as long; the batch above the hole is known to be there and is not repeated.
    lanes.tick(12_000 + 59_000);
    expect(lanes.next(71_000)).toEqual([]);
    lanes.tick(12_000 + 61_000);
    expect(seqs(lanes.next(73_000))).toEqual(range(11, 20));
  });

  it("pause on quota, split what is too large, and lay aside what can never go, saying so", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    const [message] = lanes.next(0, commit(lanes, many(100)));
    lanes.refused(message?.key ?? 0, 0x97, 0);
    expect(lanes.next(500)).toEqual([]);
    const [again] = lanes.next(1500);
    lanes.refused(again?.key ?? 0, 0x95, 1500);
    const halves = lanes.next(1500);
    expect(halves.map((half) => decodeBatch(half.payload).seqs.length)).toEqual([50, 50]);
    lanes.sent(halves[1]?.key ?? 0, 1500);
    let [refused] = halves;
    for (let nowMs = 1500; refused !== undefined; [refused] = lanes.next((nowMs += 60_000))) {
      expect(store.deadLetters.of("ioc")).toEqual([]);
      lanes.refused(refused.key, 0x99, nowMs);
    }
    store.deadLetters.settle(["ioc"]);
    expect(store.books().live.dropped).toBe(50);
    commit(lanes, [event(0, randomText(60_000)), event(0)]);
    const urgent = lanes.next(1_000_000);
    expect(seqs(urgent)).toEqual([102]);
    store.deadLetters.settle(["ioc"]);
    expect(store.books().event.dropped).toBe(1);
  });

  it.each(["columnar", "cloudevents"] as const)(
    "lay aside what is no event, and send all else (%s)",
    (encoding) => {
      const lanes = new Lanes(store, { ...options, encoding });
      const spoilt = (lane: RowLane, kind: number, text = ""): { lane: RowLane; body: Buffer } => {
        const { body } = event(lane, "y".repeat(40));
        body[1] = kind;
        return { lane, body: text === "" ? body.subarray(0, -1) : Buffer.concat([body, Buffer.from(text)]) };
      };
      lanes.connect(20, 32_768);
      const gapKind = eventKinds.indexOf("gap");
      const [cut, junk, broken] = [spoilt(1, 0), spoilt(0, 5, "debug: 12 V\n"), spoilt(0, gapKind)];
      commit(lanes, [event(1), cut, event(0), event(1), junk, broken, event(0), ...many(20)]);
      const sent: Message[] = [];
      for (let nowMs = 0; nowMs < 20_000; nowMs += 100)
        for (const message of lanes.next(nowMs)) {
          sent.push(message);
          lanes.sent(message.key, nowMs);
        }
      const good = range(1, 27).filter((seq) => ![2, 5, 6].includes(seq));
      expect(seqs(sent).toSorted((a, b) => a - b)).toEqual(good);
      expect(store.deadLetters.of("ioc")).toEqual([2, 5, 6]);
      store.deadLetters.settle(["ioc"]);
      expect([store.books().live.dropped, store.books().event.dropped]).toEqual([1, 2]);
      release(lanes, ack(27));
      expect([store.count().rows, store.cuts("ioc")]).toEqual([0, []]);
    },
  );

  it("keep no cut of what was laid aside and has left the queue", () => {
    const lanes = new Lanes(store, { ...options, bytesMax: 100 });
    lanes.connect(20, 100);
    for (let i = 0; i < 30; i++) {
      commit(lanes, [event(1), event(0)]);
      lanes.next(i);
    }
    expect(store.cuts("ioc").length).toBe(60);
    store.deadLetters.settle(["ioc"]);
    expect([store.count().rows, store.cuts("ioc").length]).toEqual([0, 0]);
  });

  it("find the batch on which the broker hangs up, and go on without it", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    const poison = 7;
    const delivered = new Set<number>();
    let hangUps = 0;
    for (let i = 0; i < 12; i++) commit(lanes, [event(1)]);
    for (let nowMs = 0; nowMs < 60_000 && store.deadLetters.of("ioc").length === 0; nowMs += 100) {
      if (!lanes.connected) lanes.connect(20, 32_768);
      if (nowMs % 1000 === 0) commit(lanes, [event(1)]);
      const messages = lanes.next(nowMs);
      const bad = messages.find((message) => seqs([message]).includes(poison));
      for (const message of messages) {
        if (message === bad) {
          hangUps++;
          lanes.disconnect(true);
          break;
        }
        for (const seq of seqs([message])) delivered.add(seq);
        lanes.sent(message.key, nowMs);
      }
    }
    expect(hangUps).toBe(3);
    expect(store.deadLetters.of("ioc")).toEqual([poison]);
    lanes.connect(20, 32_768);
    for (let i = 0; i < 20; i++)
      for (const message of lanes.next(70_000 + i)) {
        for (const seq of seqs([message])) delivered.add(seq);
        lanes.sent(message.key, 70_000 + i);
      }
    expect([...delivered].toSorted((a, b) => a - b)).toEqual(
      range(1, store.lastId).filter((seq) => seq !== poison),
    );
  });

  it("blame no batch while nothing else gets through either, nor for a broker that restarts", () => {
    const lanes = new Lanes(store, options);
    for (let i = 0; i < 10; i++) {
      lanes.connect(20, 32_768);
      if (i === 0) for (let batch = 0; batch < 3; batch++) commit(lanes, [event(1)]);
      lanes.next(i);
      lanes.disconnect(true);
    }
    expect(store.deadLetters.of("ioc")).toEqual([]);
    lanes.connect(20, 32_768);
    const got: number[] = [];
    for (let i = 0; i < 10; i++)
      for (const message of lanes.next(100 + i)) {
        got.push(...seqs([message]));
        lanes.sent(message.key, 100 + i);
      }
    expect(got.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  it("learn a size limit that the broker only shows by hanging up", () => {
    const lanes = new Lanes(store, options);
    commit(lanes, many(400));
    const limit = 1000;
    const got = new Set<number>();
    for (let nowMs = 0; nowMs < 20_000; nowMs += 100) {
      if (!lanes.connected) lanes.connect(20, 32_768);
      for (const message of lanes.next(nowMs)) {
        if (message.payload.length > limit) {
          lanes.disconnect(true);
          break;
        }
        for (const seq of seqs([message])) got.add(seq);
        lanes.sent(message.key, nowMs);
      }
    }
    expect(got.size).toBe(400);
    expect(store.deadLetters.of("ioc")).toEqual([]);
  });

  it("lose no batch and no window when the store fails in the middle", () => {
    const lanes = new Lanes(store, options);
    lanes.connect(20, 32_768);
    for (let i = 0; i < 3; i++) commit(lanes, many(5));
    const read = store.rows.bind(store);
    let left = 2;
    store.rows = (...args) => {
      if (left-- <= 0) throw Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR" });
      return read(...args);
    };
    const errors: unknown[] = [];
    const before = lanes.next(0, [], (error) => errors.push(error));
    expect(errors).toHaveLength(1);
    store.rows = read;
    const after = lanes.next(1, [], (error) => errors.push(error));
    expect(seqs([...before, ...after])).toEqual(range(1, 15));
    expect(lanes.inFlight).toBe(before.length + after.length);
  });

  it("find the backlog at once behind ranges that were evicted", () => {
    const lanes = new Lanes(store, options);
    for (let i = 0; i < 200; i++) {
      lanes.connect(20, 32_768);
      lanes.disconnect();
      commit(lanes, [event(1)]);
      commit(lanes, [event(0)]);
    }
    store.drop(store.rows(1, 0, store.lastId - 2), "evicted");
    lanes.connect(20, 32_768);
    expect(lanes.next(0).some((message) => message.lane === "fill")).toBe(true);
  });

  it("hold fill while the receiver is away, and go on live", () => {
    const lanes = new Lanes(store, options);
    commit(lanes, many(20));
    lanes.connect(20, 32_768);
    lanes.receiver("ioc", false);
    commit(lanes, many(5));
    expect(lanes.next(0).map((message) => message.lane)).toEqual(["live"]);
    lanes.receiver("test", false);
    expect(lanes.next(0)).toEqual([]);
    lanes.receiver("ioc", true);
    expect(lanes.next(0).map((message) => message.lane)).toEqual(["fill"]);
  });
});

describe("whatever the link and the receiver do", () => {
  // A test each: on a busy disk 25 of them take longer than one test may.
  it.for(Array.from({ length: 25 }, (_, i) => i + 1))(
    "every accepted event is stored, and the outbox runs empty (seed %i)",
    hostile,
  );
});

/** A link that loses, swallows and repeats, a receiver that forgets what it had not committed, restarts anywhere. */
function hostile(seed: number): void {
  const random = seededRandom(seed);
  let lanes = new Lanes(store, options);
  let nowMs = 0;
  let session = 0;
  let run = 1;
  const accepted = new Set<string>();
  const durable = new Set<string>();
  let volatile = new Set<string>();
  const flying: Message[] = [];
  const answer = (complete: boolean): Acknowledgement => {
    for (const id of volatile) durable.add(id);
    volatile = new Set();
    const ep: Acknowledgement["ep"] = {};
    for (const { epoch } of store.epochs) {
      const known = [...durable]
        .filter((id) => id.startsWith(`${epoch}:`))
        .map((id) => Number(id.split(":")[1]));
      const has = new Set(known);
      let wm = 0;
      while (has.has(wm + 1)) wm++;
      const top = Math.max(0, ...known);
      const miss: [number, number][] = [];
      for (let n = wm + 1; n < top && miss.length < 64; n++) if (!has.has(n)) miss.push([n, n]);
      ep[epoch] = { wm, top, miss };
    }
    return { v: 1, ts: nowMs, run: `r${run}`, sess: complete ? session : Math.max(0, session - 1), ep };
  };
  const take = (message: Message) => {
    const { epoch, seqs: numbers } = decodeBatch(message.payload);
    for (const seq of numbers) volatile.add(`${epoch}:${seq}`);
  };
  for (let step = 0; step < 150; step++) {
    nowMs += 500;
    const calm = step >= 110;
    const dice = calm ? 0.05 : random();
    if (!calm && random() < 0.7) {
      const rows = commit(lanes, [...many(Math.floor(random() * 40)), ...many(random() < 0.3 ? 2 : 0, 0)]);
      for (const row of rows) accepted.add(`${store.epoch}:${row.id - store.base}`);
    }
    if (lanes.connected) {
      flying.push(...lanes.next(nowMs));
      for (const message of flying.splice(0)) {
        const fate = calm ? 1 : random();
        if (fate < 0.1) continue; // swallowed without a PUBACK: the link will be cut
        if (fate > 0.25) take(message); // else the broker lost it after its PUBACK
        lanes.sent(message.key, nowMs);
      }
      lanes.tick(nowMs);
    }
    if (dice < 0.1 && !lanes.connected) {
      session++;
      lanes.connect(1 + Math.floor(random() * 20), 32_768);
      release(lanes, answer(true), session, nowMs);
    } else if (dice > 0.9) lanes.disconnect();
    else if (dice > 0.86) {
      volatile = new Set();
      run++;
      if (lanes.connected) release(lanes, answer(true), session, nowMs);
    } else if (dice > 0.82) {
      store.close();
      restart();
      lanes = new Lanes(store, options);
    } else if (lanes.connected) release(lanes, answer(false), session, nowMs);
    if (calm && step === 110) lanes.disconnect();
  }
  for (const id of accepted) expect(durable.has(id), `seed ${seed}: event ${id}`).toBe(true);
  expect(store.count().rows, `seed ${seed}`).toBe(0);
  const { event: urgent, live } = store.books();
  expect(urgent.dropped + live.dropped, `seed ${seed}`).toBe(0);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function randomText(length: number): string {
  const random = seededRandom(7);
  return Array.from({ length }, () => String.fromCodePoint(33 + Math.floor(random() * 90))).join("");
}
