import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KerbEvent } from "../event.ts";
import type { EpochReport } from "./ledger.ts";
import type { Change } from "./change.ts";
import { Receiver, type ReceiverOptions } from "./receiver.ts";
import {
  batch,
  birthMessage,
  dictionaryMessage,
  numbers,
  sealMessage,
  temporaryFolder,
  type Sent,
} from "./testing.ts";

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
let changes: Change[];

function open(options: Partial<ReceiverOptions> = {}): Receiver {
  receiver = new Receiver({ database: folder.file, log: (change) => changes.push(change), ...options });
  return receiver;
}

/** As after a `kill -9`: nothing is kept but the file. */
function reopen(options: Partial<ReceiverOptions> = {}): Receiver {
  receiver.close();
  return open(options);
}

beforeEach(() => {
  folder = temporaryFolder();
  changes = [];
  open();
});
afterEach(() => {
  receiver.close();
  folder.remove();
});

function epoch(number: number): EpochReport {
  return receiver.acknowledgement("gw-1", true)?.ep[number] as EpochReport;
}

/** Every event of the gateway by small pages. */
function all(gateway = "gw-1", limit = 7): KerbEvent[] {
  const events: KerbEvent[] = [];
  let cursor = { epoch: 0, after: 0 };
  for (;;) {
    const page = receiver.events(gateway, cursor, limit);
    expect(page.events.length).toBeLessThanOrEqual(limit);
    events.push(...page.events);
    if (page.next === null) return events;
    cursor = page.next;
  }
}

function ids(): string[] {
  return all().map((event) => `${event.epoch}:${event.seq}`);
}

describe("Receiver", () => {
  it("stores a batch of either encoding and gives its events back", () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    expect(receiver.take("gw-1", "live", batch([1, 2]))).toBe("stored");
    expect(
      receiver.take(
        "gw-1",
        "event",
        batch([{ seq: 3, kind: "alarm", data: { code: "E7" } }], { encoding: "cloudevents" }),
      ),
    ).toBe("stored");
    expect(epoch(37)).toEqual({ wm: 3, top: 3, miss: [] });
    const events = all();
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3]);
    expect(events[0]?.readings).toMatchObject([
      { point: "point.p0", value: 1, unit: "V" },
      { point: "point.p1", value: 23.5 },
    ]);
    expect(events[2]).toMatchObject({ kind: "alarm", device: "dev-1", data: { code: "E7" } });
  });

  it("stores an event once: duplicates are counted, an overlap contributes what is new", () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    const first = batch(numbers(1, 10));
    expect(receiver.take("gw-1", "live", first)).toBe("stored");
    expect(receiver.take("gw-1", "fill", first)).toBe("duplicate");
    expect(receiver.take("gw-1", "fill", batch(numbers(6, 15)))).toBe("partly-stored");
    expect(receiver.take("gw-1", "fill", batch([3, 4, 14, 18, 19]))).toBe("partly-stored");
    expect(receiver.take("gw-1", "live", batch(numbers(12, 20)))).toBe("partly-stored");
    expect(ids()).toEqual(numbers(1, 20).map((seq) => `37:${seq}`));
    const [gateway] = receiver.summaries("", 10);
    expect(gateway).toMatchObject({ eventsStored: 20, duplicateBatches: 1, duplicateEvents: 10 + 5 + 3 + 6 });
    reopen();
    expect(receiver.take("gw-1", "fill", batch(numbers(1, 20)))).toBe("duplicate");
    expect(ids()).toHaveLength(20);
    expect(receiver.summaries("", 10)[0]).toMatchObject({ eventsStored: 20, duplicateBatches: 2 });
  });

  it("lists holes: the old ones in a periodic acknowledgement, all in an answer, also after a restart", () => {
    receiver.take("gw-1", "live", batch(numbers(1, 120)));
    receiver.take("gw-1", "live", batch(numbers(131, 180)));
    const periodic = receiver.acknowledgement("gw-1", false);
    expect(periodic).toMatchObject({ v: 1, run: receiver.run, ep: { 37: { wm: 120, top: 120, miss: [] } } });
    expect(epoch(37)).toEqual({ wm: 120, top: 180, miss: [[121, 130]] });
    reopen();
    expect(receiver.acknowledgement("gw-1", false)?.ep[37]).toEqual({
      wm: 120,
      top: 180,
      miss: [[121, 130]],
    });
    receiver.take("gw-1", "fill", batch(numbers(121, 130)));
    expect(epoch(37)).toEqual({ wm: 180, top: 180, miss: [] });
  });

  it("takes what a gap event declares as accounted for, and prefers the data if it comes after all", () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    receiver.take("gw-1", "live", batch(numbers(1, 10), { epoch: 36 }));
    receiver.take("gw-1", "live", batch([1, 2, 9]));
    const dropped = [
      { epoch: 37, from: 3, to: 8, reason: "evicted" },
      { epoch: 36, from: 8, to: 15, reason: "corrupt" },
    ];
    const gap: Sent = { seq: 10, kind: "gap", data: { cause: "eviction", dropped } };
    expect(receiver.take("gw-1", "event", batch([gap]))).toBe("stored");
    expect(epoch(37)).toEqual({ wm: 10, top: 10, miss: [] });
    expect(epoch(36)).toEqual({ wm: 15, top: 15, miss: [] });
    reopen();
    expect(epoch(36)).toEqual({ wm: 15, top: 15, miss: [] });
    const lost = () =>
      receiver.summaries("", 10)[0]?.epochs.map(({ epoch: number, lost: count }) => [number, count]);
    expect(lost()).toEqual([
      [37, 6],
      [36, 5],
    ]);
    expect(receiver.take("gw-1", "fill", batch([4, 5, 6]))).toBe("stored");
    expect(lost()).toEqual([
      [37, 3],
      [36, 5],
    ]);
    reopen();
    expect(lost()).toEqual([
      [37, 3],
      [36, 5],
    ]);
    expect(ids().slice(-6)).toEqual(["37:1", "37:2", "37:4", "37:5", "37:6", "37:9", "37:10"].slice(-6));
    expect(receiver.take("gw-1", "fill", batch([4, 5, 6]))).toBe("duplicate");
  });

  it("reads the losses of a gap event in both encodings before any dictionary", () => {
    for (const [i, encoding] of (["columnar", "cloudevents"] as const).entries()) {
      const data = { cause: "eviction", dropped: [{ epoch: 40 + i, from: 1, to: 4, reason: "evicted" }] };
      receiver.take("gw-1", "event", batch([{ seq: 5, kind: "gap", data }], { epoch: 40 + i, encoding }));
      expect(epoch(40 + i)).toEqual({ wm: 5, top: 5, miss: [] });
    }
  });

  it("keeps batches whose dictionary has not arrived, and reads them when it has", () => {
    receiver.take("gw-1", "live", batch([1, 2, 3]));
    expect(epoch(37).wm).toBe(3);
    const page = receiver.events("gw-1", { epoch: 0, after: 0 }, 10);
    expect(page).toMatchObject({
      events: [],
      undecoded: [{ epoch: 37, first: 1, last: 3, dictionary: "9f3c21aa" }],
      next: null,
    });
    receiver.dictionary("gw-1", dictionaryMessage());
    expect(ids()).toEqual(["37:1", "37:2", "37:3"]);
    reopen();
    expect(ids()).toEqual(["37:1", "37:2", "37:3"]);
  });

  it("rejects what is not a batch, keeps the last 20 and logs once", () => {
    const bomb = batch(numbers(1, 3)).subarray(0, 20);
    const garbage = [
      Buffer.alloc(0),
      Buffer.from("\0\x01garbage"),
      bomb,
      Buffer.from("[]"),
      Buffer.from('{"v":1,"gw":"gw-1"}'),
    ];
    for (const payload of garbage) expect(receiver.take("gw-1", "live", payload)).toBe("rejected");
    for (let i = 0; i < 40; i++) receiver.take("gw-1", "live", Buffer.from(`garbage ${i}`));
    receiver.take("gw-1", "seal", Buffer.from('{"ep":1}'));
    receiver.birth("gw-1", Buffer.from('{"v":1}'));
    receiver.dictionary("gw-1", Buffer.from('{"dict":"9f3c21aa","devices":[7]}'));
    expect(receiver.summaries("", 10)[0]).toMatchObject({ rejected: 48, eventsStored: 0 });
    const kept = receiver.rejected("gw-1");
    expect(kept).toHaveLength(20);
    expect(kept.map((row) => Buffer.from(row.body).toString())).toContain("garbage 39");
    expect(changes.filter((change) => change.kind === "rejected")).toHaveLength(1);
    expect(receiver.take("gw-1", "live", batch([1]))).toBe("stored");
  });

  it("rejects a batch of another gateway and a topic that names none", () => {
    expect(receiver.take("gw-2", "live", batch([1], { gateway: "gw-1" }))).toBe("rejected");
    expect(receiver.take("GW 1", "live", batch([1], { gateway: "GW 1" }))).toBe("rejected");
    expect(receiver.rejected("gw-2")[0]?.reason).toBe(
      'the batch names gateway "gw-1", its topic names "gw-2"',
    );
    expect(receiver.rejected("")[0]?.reason).toBe('"GW 1" is not a gateway id');
    expect(receiver.knows("gw-1")).toBe(false);
  });

  it("never throws and never stores anything for random bytes and broken batches", () => {
    const good = batch(numbers(1, 5));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(good.length - 1),
        fc.nat(255),
        (bytes, at, flip) => {
          const broken = Buffer.from(good);
          broken[at] = (broken[at] ?? 0) ^ flip;
          for (const payload of [bytes, broken]) {
            receiver.take("another", "live", payload);
            receiver.birth("another", payload);
            receiver.dictionary("another", payload);
            receiver.take("another", "seal", payload);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(receiver.summaries("", 10).find((gateway) => gateway.id === "another")).toMatchObject({
      eventsStored: 0,
    });
  });

  it("answers a birth at once with its session and every hole", () => {
    const documents: [string, unknown][] = [];
    receiver.take("gw-1", "live", batch(numbers(1, 5), { epoch: 36 }));
    receiver.take("gw-1", "live", batch([3]));
    receiver.start((gateway, document) => documents.push([gateway, structuredClone(document)]));
    expect(documents).toMatchObject([
      ["gw-1", { ep: { 36: { wm: 5 }, 37: { wm: 0, top: 3, miss: [[1, 2]] } } }],
    ]);
    expect(documents[0]?.[1]).not.toHaveProperty("sess");
    receiver.birth(
      "gw-1",
      birthMessage(4711, 38, [
        [36, 9],
        [37, 3],
        [35, 0],
      ]),
    );
    expect(documents).toHaveLength(2);
    expect(documents[1]?.[1]).toMatchObject({
      run: receiver.run,
      sess: 4711,
      ep: {
        35: { wm: 0, closed: true },
        36: { wm: 5, top: 9, miss: [[6, 9]] },
        37: { wm: 0, top: 3, miss: [[1, 2]] },
        38: { wm: 0, top: 0, miss: [] },
      },
    });
    receiver.take("gw-1", "fill", batch(numbers(6, 9), { epoch: 36 }));
    receiver.birth("gw-1", birthMessage(4712, 38, [[36, 9]]));
    expect(documents[2]?.[1]).toMatchObject({ sess: 4712, ep: { 36: { wm: 9, closed: true } } });
    receiver.birth("gw-1", Buffer.from('{"v":1,"online":false,"sess":4711}'));
    expect(receiver.summaries("", 1)[0]).toMatchObject({ online: true, session: 4712 });
    receiver.birth("gw-1", Buffer.from('{"v":1,"online":false,"sess":4712}'));
    expect(receiver.summaries("", 1)[0]).toMatchObject({ online: false });
    expect(changes.map((change) => change.kind)).toEqual([
      "gateway-first",
      "gateway-online",
      "gateway-online",
      "gateway-offline",
    ]);
    reopen();
    expect(receiver.acknowledgement("gw-1", true)).toMatchObject({
      sess: 4712,
      ep: { 36: { wm: 9, closed: true } },
    });
  });

  it("tells a gateway of each of its epochs by turns, the newest always", () => {
    const ended = numbers(1, 20).map((number): [number, number] => [number, 0]);
    receiver.birth("gw-1", birthMessage(1, 21, ended));
    const told = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const listed = Object.keys(receiver.acknowledgement("gw-1", false)?.ep ?? {});
      expect(listed).toHaveLength(8);
      expect(listed).toContain("21");
      for (const name of listed) told.add(name);
    }
    expect(told.size).toBe(21);
  });

  it("takes a seal: numbers that were allocated but never came are missing", () => {
    receiver.take("gw-1", "live", batch(numbers(1, 5)));
    const seal = sealMessage(37, 1, 12, [[6, 7, "evicted"]]);
    expect(receiver.take("gw-1", "seal", seal)).toBe("stored");
    expect(epoch(37)).toEqual({ wm: 7, top: 12, miss: [[8, 12]], seals: 1 });
  });

  it("acknowledges nothing while the disk is full, and goes on by itself when it has room", () => {
    const receiverUrl = new URL("receiver.ts", import.meta.url).href;
    const testingUrl = new URL("testing.ts", import.meta.url).href;
    const script = `
      import { rmSync, writeFileSync } from "node:fs";
      const { Receiver } = await import(${JSON.stringify(receiverUrl)});
      const { batch, dictionaryMessage, numbers } = await import(${JSON.stringify(testingUrl)});
      const { promise: recovered, resolve } = Promise.withResolvers();
      const seen = [];
      const log = ({ kind }) => {
        seen.push(kind);
        if (kind === "store-recovered") resolve();
      };
      const receiver = new Receiver({ database: "disk/receiver.db", log });
      receiver.start(() => {}, () => seen.push("well again"));
      receiver.dictionary("gw-1", dictionaryMessage());
      receiver.take("gw-1", "live", batch(numbers(1, 200)));
      const before = receiver.acknowledgement("gw-1", true).ep[37].wm;
      for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
        try {
          for (let i = 0; ; i++) writeFileSync("disk/hog-" + bytes + "-" + i, Buffer.alloc(bytes));
        } catch {}
      }
      const taken = {};
      let next = 201;
      for (let i = 0; i < 2000; i++, next += 100) {
        const result = receiver.take("gw-1", "live", batch(numbers(next, next + 99)));
        taken[result] = (taken[result] ?? 0) + 1;
      }
      const { hasMissed } = receiver;
      const during = receiver.acknowledgement("gw-1", true) ?? null;
      let readable = true;
      try { receiver.summaries("", 1); } catch { readable = false; }
      const { readdirSync } = await import("node:fs");
      for (const name of readdirSync("disk")) if (name.startsWith("hog-")) rmSync("disk/" + name);
      await recovered;
      const after = receiver.acknowledgement("gw-1", true).ep[37];
      const page = receiver.events("gw-1", { epoch: 37, after: after.wm - 10 }, 20);
      receiver.close();
      console.log(JSON.stringify({ before, taken, hasMissed, during, readable, after, events: page.events.length, seen }));`;
    const mount = `mkdir disk && mount -t tmpfs -o size=4m tmpfs disk && exec "$0" --input-type=module -e "$1"`;
    const ran = spawnSync("unshare", ["-m", "sh", "-c", mount, process.execPath, script], {
      cwd: folder.path,
      encoding: "utf8",
    });
    if (ran.error !== undefined || /unshare failed|permission denied|must be superuser/i.test(ran.stderr)) {
      console.log("skipped: a small disk needs root and unshare");
      return;
    }
    expect(ran.status, ran.stderr).toBe(0);
    const result = JSON.parse(ran.stdout) as Record<string, unknown> & {
      taken: Record<string, number>;
      after: EpochReport;
    };
    expect(result).toMatchObject({ before: 200, hasMissed: true, during: null, readable: false, events: 10 });
    expect(result.seen).toEqual(["gateway-first", "store-failed", "store-recovered", "well again"]);
    expect(result.taken["refused"]).toBeGreaterThan(0);
    // Everything that was taken is there, and what was refused was not taken.
    expect(result.after).toEqual({
      wm: 200 + (result.taken["stored"] ?? 0) * 100,
      top: result.after.wm,
      miss: [],
    });
  });
});
