import Database from "better-sqlite3";
import * as fc from "fast-check";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, verify } from "node:crypto";
import { join } from "node:path";
import { inflate } from "../uplink/encoding.ts";
import type { EncodingName } from "../uplink/encoding.ts";
import type { Seal } from "../uplink/seal.ts";
import { Box, gateway } from "../uplink/testing.ts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Signer, type Certificate } from "./certificates.ts";
import { receiverApi, serveApi } from "./http.ts";
import { Receiver } from "./receiver.ts";
import { temporaryFolder } from "./testing.ts";

const hourMs = 3_600_000;
const startMs = Date.UTC(2026, 10, 1, 5);

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
let box: Box;
const open: { close: () => void }[] = [];

/** The clock stands at this hour of the test, and a little. Timers run. */
function at(hour: number): void {
  vi.setSystemTime(startMs + hour * hourMs);
}

function iso(hour: number): string {
  return new Date(startMs + hour * hourMs).toISOString();
}

const isWhole = ({ state }: Certificate): boolean => state.startsWith("complete");

function file(name: string): string {
  return join(folder.path, name);
}

function receive(name = "receiver.db"): Receiver {
  const made = new Receiver({ database: file(name) });
  open.push(made);
  return made;
}

function start(encoding: EncodingName = "columnar"): Box {
  box = new Box(file("outbox.db"), [receiver], [encoding]);
  open.push(box);
  return box;
}

function stop(one: { close: () => void }): void {
  open.splice(open.indexOf(one), 1);
  one.close();
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  at(0);
  folder = temporaryFolder();
  receiver = receive();
});
afterEach(() => {
  for (const one of open.splice(0).toReversed()) one.close();
  folder.remove();
  vi.useRealTimers();
});

/** Changes the receiver's database as somebody with access to its disk can, and opens it again. */
function tamper(change: (database: Database.Database) => void): void {
  stop(receiver);
  const database = new Database(file("receiver.db"));
  change(database);
  database.close();
  receiver = receive();
}

/** Rewrites the first message that `change` wants to change. */
function rewrite(change: (json: never) => boolean): void {
  tamper((database) => {
    const rows = database.prepare("SELECT id, body FROM batch ORDER BY first").all() as {
      id: number;
      body: Buffer;
    }[];
    for (const { id, body } of rows) {
      const json = JSON.parse(Buffer.from(inflate(body)).toString("utf8")) as never;
      if (!change(json)) continue;
      database.prepare("UPDATE batch SET body = ? WHERE id = ?").run(Buffer.from(JSON.stringify(json)), id);
      return;
    }
    throw new Error("no message was changed");
  });
}

async function certificates(hours: number, from = 0, of = receiver): Promise<Certificate[]> {
  const span = { fromMs: startMs + from * hourMs, toMs: startMs + (from + hours) * hourMs };
  return (await of.certificates(gateway, span, 168, true)).certificates;
}

async function states(hours: number, from = 0, of = receiver): Promise<string[]> {
  return (await certificates(hours, from, of)).map(({ state }) => state);
}

/** `count` events in each of these hours, all delivered and sealed. */
function run(hours: number, count = 6): void {
  for (let hour = 0; hour <= hours; hour++) {
    at(hour);
    box.accept(count);
    box.settle();
  }
}

describe.each(["columnar", "cloudevents"] as const)("certificates over %s", (encoding) => {
  it("are complete when every event is stored as it was sealed, whatever the way there", async () => {
    start(encoding);
    box.accept(4);
    box.accept(1, 0);
    box.send(() => true);
    box.accept(3);
    box.send();
    box.acknowledge();
    at(0.5);
    box.accept(2, 0);
    box.settle();
    at(1);
    box.accept(1);
    box.settle();
    const [first] = await certificates(1);
    expect(first).toMatchObject({
      gateway,
      from: "2026-11-01T05:00:00.000Z",
      to: "2026-11-01T06:00:00.000Z",
      state: "complete",
      tampered: false,
      events: 10,
      findings: [],
      lost: [],
      clock: "holdover",
      seals: [{ epoch: box.store.epoch, no: 1, from: 1, to: 10 }],
    });
    expect(box.store.seals.pending("ioc-0")).toEqual([]);
  });

  it("say what was declared lost", async () => {
    start(encoding);
    box.accept(10);
    box.evict(4, 6);
    box.settle();
    at(1);
    box.accept(1);
    box.settle();
    const [first] = await certificates(1);
    expect(first).toMatchObject({
      state: "complete-with-declared-loss",
      tampered: false,
      events: 8,
      lost: [{ from: 4, to: 6, reason: "evicted" }],
      findings: [],
    });
    tamper((database) =>
      database.prepare("UPDATE seal SET body = replace(body, 'evicted', 'corrupt')").run(),
    );
    expect(await certificates(1)).toMatchObject([{ state: "gap", findings: [{ code: "altered" }] }]);
  });

  it("find a stored value that was altered", async () => {
    start(encoding);
    run(2);
    expect(await states(2)).toEqual(["complete", "complete"]);
    rewrite((json: never) => {
      if (encoding === "columnar") (json as { x: number[] }).x[2] = 4711;
      else {
        const [, second] = json as { data: { measurements: { value: number }[] } }[];
        (second?.data.measurements[0] ?? { value: 0 }).value = 4711;
      }
      return true;
    });
    const [first, second] = await certificates(2);
    expect(first).toMatchObject({
      state: "gap",
      tampered: true,
      findings: [{ code: "altered", from: 1, to: 6 }],
    });
    expect(second).toMatchObject({ state: "complete", tampered: false });
  });

  it("find events that were put into another order", async () => {
    start(encoding);
    run(1);
    rewrite((json: never) => {
      if (encoding === "columnar") {
        const { x } = json as { x: number[] };
        [x[0], x[2]] = [x[2] ?? 0, x[0] ?? 0];
      } else {
        const [a, b] = json as { data: unknown }[];
        if (a !== undefined && b !== undefined) [a.data, b.data] = [b.data, a.data];
      }
      return true;
    });
    expect(await certificates(1)).toMatchObject([
      { state: "gap", tampered: true, findings: [{ code: "altered" }] },
    ]);
  });

  it("find an event that is stored under a second number, in the place of another one", async () => {
    start(encoding);
    run(1);
    rewrite((json: never) => {
      if (encoding === "columnar") {
        const { x } = json as { x: number[] };
        x[2] = x[0] ?? 0;
      } else {
        const [a, b] = json as { data: unknown }[];
        if (a !== undefined && b !== undefined) b.data = a.data;
      }
      return true;
    });
    expect(await certificates(1)).toMatchObject([{ state: "gap", findings: [{ code: "altered" }] }]);
  });
});

describe("certificates", () => {
  it("find a message that was taken out of the database, and one that was put in twice", async () => {
    start();
    box.accept(2);
    box.settle();
    run(2);
    tamper((database) => {
      database.prepare("DELETE FROM batch WHERE first = 3").run();
      const copy =
        "INSERT INTO batch (gw, ep, first, last, lane, dict, received_ms, take, body) SELECT gw, ep, first + 1, last, lane, dict, received_ms, take, body FROM batch WHERE first = 9";
      database.prepare(copy).run();
    });
    expect(await certificates(3)).toMatchObject([
      { state: "gap", tampered: true, findings: [{ code: "vanished", from: 3, to: 8 }] },
      { state: "gap", tampered: true, findings: [{ code: "repeated", from: 9, to: 14 }] },
      {
        state: "unsealed",
        tampered: false,
        findings: [{ code: "not-over" }],
      },
    ]);
  });

  it("find events that are missing, until they come after all", async () => {
    start();
    const other = receive("other.db");
    box.accept(3);
    const sent = box.send();
    box.settle();
    box.accept(3);
    sent.push(...box.send());
    box.settle();
    at(1);
    box.accept(1);
    const [seal] = box.settle();
    const { hash, devices } = box.store.dictionary;
    other.dictionary(gateway, Buffer.from(JSON.stringify({ v: 1, dict: hash, devices })));
    other.take(gateway, "live", sent[0] ?? Buffer.alloc(0));
    other.take(gateway, "seal", seal ?? Buffer.alloc(0));
    expect(await certificates(1, 0, other)).toMatchObject([
      { state: "gap", tampered: false, findings: [{ code: "missing", from: 4, to: 6 }] },
    ]);
    other.take(gateway, "fill", sent[1] ?? Buffer.alloc(0));
    // By itself, without a recheck.
    other.flush();
    const span = { fromMs: startMs, toMs: startMs + hourMs };
    await expect
      .poll(async () => (await other.certificates(gateway, span, 1)).certificates[0]?.state)
      .toBe("complete");
  });

  it("take a replayed seal once, and not one with other content", async () => {
    start();
    box.accept(3);
    box.settle();
    at(1);
    box.accept(1);
    const [seal = Buffer.alloc(0)] = box.settle();
    expect(receiver.take(gateway, "seal", seal)).toBe("duplicate");
    const forged = { ...(JSON.parse(seal.toString()) as Seal), tomb: [[2, 2, "evicted"]], n: 2 };
    expect(receiver.take(gateway, "seal", Buffer.from(JSON.stringify(forged)))).toBe("rejected");
    expect(receiver.take(gateway, "seal", Buffer.from(JSON.stringify({ ...forged, gw: "gw-02" })))).toBe(
      "rejected",
    );
    expect(await states(1)).toEqual(["complete"]);
  });

  it("find a seal that was taken out, altered or put in another's place", async () => {
    start();
    run(4);
    expect(await states(4)).toEqual(Array.from({ length: 4 }, () => "complete"));
    tamper((database) => database.prepare("DELETE FROM seal WHERE no = 2").run());
    expect(await certificates(4)).toMatchObject([
      { state: "gap", tampered: false, findings: [{ code: "seal-missing", seal: 2 }] },
      { state: "unsealed", findings: [{ code: "no-seal" }] },
      { state: "gap", findings: [{ code: "seal-missing", seal: 2 }] },
      { state: "complete" },
    ]);
    // A loss that was declared afterwards to cover a deletion changes the seal's own hash.
    tamper((database) => {
      const [row] = database.prepare("SELECT body FROM seal WHERE no = 4").all() as { body: string }[];
      const seal = JSON.parse(row?.body ?? "") as Seal;
      const forged = { ...seal, n: seal.n - 1, tomb: [[seal.to, seal.to, "evicted"]] };
      database.prepare("UPDATE seal SET body = ? WHERE no = 4").run(JSON.stringify(forged));
    });
    expect(await certificates(1, 3)).toMatchObject([
      { state: "gap", tampered: true, findings: [{ code: "altered" }] },
    ]);
  });

  it("find two seals that changed places, and one that was made anew to fit altered events", async () => {
    start();
    run(4);
    tamper((database) => {
      const rows = database.prepare("SELECT no, body FROM seal WHERE no IN (2, 3) ORDER BY no").all() as {
        no: number;
        body: string;
      }[];
      const [second, third] = rows.map(({ body }) => JSON.parse(body) as Seal);
      const put = database.prepare(
        "UPDATE seal SET body = ?, first = ?, last = ?, from_ms = ?, to_ms = ? WHERE no = ?",
      );
      for (const [seal, no] of [
        [second, 3],
        [third, 2],
      ] as const)
        if (seal !== undefined)
          put.run(JSON.stringify({ ...seal, no }), seal.from, seal.to, seal.fromMs, seal.toMs, no);
    });
    const list = await certificates(4);
    expect(list.map(({ state }) => state)).toEqual(["gap", "gap", "gap", "gap"]);
    expect(list.flatMap(({ findings }) => findings.map(({ code }) => code))).toContain("chain-broken");
  });

  it("span the restart of the gateway: the epoch ends with a seal, and the next one names it", async () => {
    start();
    const first = box.store.epoch;
    box.accept(3);
    box.settle();
    stop(box);
    at(0.25);
    start();
    const second = box.store.epoch;
    expect(second).toBeGreaterThan(first);
    box.accept(2);
    box.settle();
    at(1);
    expect(await certificates(1)).toMatchObject([
      { state: "unsealed", events: 3, findings: [{ code: "not-followed", epoch: first, to: 3 }] },
    ]);
    box.accept(1);
    box.settle();
    expect(await certificates(1)).toMatchObject([
      {
        state: "complete",
        events: 5,
        seals: [
          { epoch: first, no: 1, to: 3 },
          { epoch: second, no: 1, to: 2 },
        ],
      },
    ]);
    tamper((database) => database.prepare("DELETE FROM seal WHERE ep = ?").run(first));
    expect(await certificates(1)).toMatchObject([
      { state: "unsealed", findings: [{ code: "not-ended", epoch: first, to: 3 }] },
    ]);
  });

  it("do not take an hour for whole while an earlier epoch of it is still on its way", async () => {
    start();
    const first = box.store.epoch;
    box.accept(3);
    stop(box);
    start();
    box.accept(2);
    // The tail of the first epoch is not acknowledged yet.
    const [uplink] = box.uplinks;
    for (const { lane, payload } of uplink?.lanes.next(0) ?? [])
      if (lane === "live") receiver.take(gateway, lane, payload);
    at(1);
    box.accept(1);
    for (const { lane, payload } of uplink?.lanes.next(0) ?? [])
      if (lane === "live") receiver.take(gateway, lane, payload);
    box.acknowledge();
    box.sendSeals();
    expect(await certificates(1)).toMatchObject([
      { state: "unsealed", findings: [{ code: "not-ended", epoch: first, to: 3 }] },
    ]);
  });

  it("go on over a restart of the receiver in the middle of an hour", async () => {
    start();
    box.accept(3);
    box.settle();
    stop(receiver);
    receiver = receive();
    for (const uplink of box.uplinks) uplink.receiver = receiver;
    at(0.5);
    box.accept(3);
    box.settle();
    at(1);
    box.accept(1);
    box.send();
    box.acknowledge();
    // The broker loses the seal after its PUBACK: it is sent again when a new receiver answers.
    expect(box.sendSeals(() => true)).toHaveLength(1);
    expect(await states(1)).toEqual(["unsealed"]);
    stop(receiver);
    receiver = receive();
    for (const uplink of box.uplinks) uplink.receiver = receiver;
    box.settle();
    expect(await states(1)).toEqual(["complete"]);
  });

  it("are made after a kill -9 between the release of rows and the way of the seal", async () => {
    stop(receiver);
    const script = `
      const { Box } = await import(${JSON.stringify(new URL("../uplink/testing.ts", import.meta.url).href)});
      const { Receiver } = await import(${JSON.stringify(new URL("receiver.ts", import.meta.url).href)});
      const [path, database, start] = process.argv.slice(1);
      let now = Number(start);
      Date.now = () => now;
      const box = new Box(path, [new Receiver({ database })]);
      box.accept(5);
      box.send();
      now += ${hourMs};
      box.accept(2);
      box.send();
      box.acknowledge();
      if (box.store.count().rows !== 0) throw new Error("nothing was released");
      process.kill(process.pid, "SIGKILL");
      await new Promise(() => setTimeout(() => {}, 10_000));
    `;
    const child = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", script, file("outbox.db"), file("receiver.db"), String(startMs)],
      { encoding: "utf8" },
    );
    expect({ signal: child.signal, stderr: child.stderr }).toMatchObject({ signal: "SIGKILL" });
    receiver = receive();
    at(1.5);
    start();
    box.accept(1);
    box.settle();
    expect(await certificates(1)).toMatchObject([{ state: "complete", events: 5 }]);
    at(2);
    box.accept(1);
    box.settle();
    expect(await certificates(1, 1)).toMatchObject([{ state: "complete", events: 3 }]);
  });

  it("seal each uplink at its own pace, with the same chain", async () => {
    const other = receive("other.db");
    box = new Box(file("outbox.db"), [receiver, other], ["columnar", "cloudevents"]);
    open.push(box);
    const [first, second] = box.uplinks;
    if (first === undefined || second === undefined) throw new Error("two uplinks");
    for (let hour = 0; hour < 3; hour++) {
      at(hour);
      box.accept(7);
      box.send();
      box.acknowledge([first]);
      box.sendSeals();
    }
    expect(await states(2)).toEqual(["complete", "complete"]);
    expect(await states(2, 0, other)).toEqual(["unsealed", "unsealed"]);
    expect(box.store.count().rows).toBe(21);
    box.acknowledge();
    box.sendSeals();
    expect(box.store.count().rows).toBe(0);
    expect(await states(2, 0, other)).toEqual(["complete", "complete"]);
    const [here, there] = [await certificates(2), await certificates(2, 0, other)];
    expect(there.map(({ seals }) => seals)).toEqual(here.map(({ seals }) => seals));
  });

  it("cover hours in which nothing happened while the gateway ran, and no others", async () => {
    start();
    box.accept(2);
    box.settle();
    // The clock of the supervisor goes on: one seal for each hour that ends.
    for (const hour of [1, 2, 3]) {
      at(hour);
      box.settle();
    }
    expect(await certificates(3)).toMatchObject([
      { state: "complete", events: 2 },
      { state: "complete", events: 0 },
      { state: "complete", events: 0 },
    ]);
    // A link that was down: the hours are sealed when the rows are released.
    box.accept(1);
    at(6);
    box.accept(1);
    box.settle();
    expect((await certificates(3, 3)).map(({ state, events }) => [state, events])).toEqual([
      ["complete", 1],
      ["complete", 0],
      ["complete", 0],
    ]);
    stop(box);
    at(9.5);
    start();
    box.tell(
      "gap",
      {
        cause: "box_off",
        from: iso(6.2),
        to: iso(9.4),
      },
      true,
    );
    box.settle();
    at(10);
    box.accept(1);
    box.settle();
    expect((await certificates(4, 6)).map(({ state, findings }) => [state, findings[0]?.code])).toEqual([
      ["complete", undefined],
      ["unsealed", "box-off"],
      ["unsealed", "box-off"],
      ["complete", undefined],
    ]);
  });

  it("name hours whose events were evicted as lost, not as empty", async () => {
    start();
    for (const uplink of box.uplinks) uplink.lanes.disconnect();
    for (let hour = 0; hour < 5; hour++) {
      at(hour);
      box.accept(10);
    }
    box.evict(8, 42);
    for (const uplink of box.uplinks) uplink.lanes.connect(20, 32_768);
    box.settle();
    at(5);
    box.accept(1);
    box.settle();
    const list = await certificates(5);
    expect(list.map(({ state }) => state)).toEqual(
      Array.from({ length: 5 }, () => "complete-with-declared-loss"),
    );
    expect(list[2]?.lost).toMatchObject([{ from: 8, to: 42, reason: "evicted" }]);
  });

  it("count polls per device, and say where the count is not known", async () => {
    start();
    const report = (from: number, to: number, polls: number) =>
      box.tell("device-status", {
        report: "polls",
        from: iso(from),
        to: iso(to),
        polls,
        answered: polls - 2,
        failed: 1,
        missed: 1,
      });
    box.accept(5);
    at(0.5);
    report(0, 0.5, 100);
    box.settle();
    at(1);
    report(0.5, 1, 50);
    box.accept(3);
    box.settle();
    at(2);
    // The host was killed: what it had counted since 1.25 is gone.
    report(1, 1.25, 30);
    box.settle();
    at(3);
    box.accept(1);
    box.settle();
    const [first, second, third] = await certificates(3);
    expect(first?.devices).toEqual([
      { device: "dev-1", events: 6, polls: 150, answered: 146, failed: 2, missed: 2, unknown: [] },
    ]);
    expect(second?.devices).toMatchObject([{ polls: 30, unknown: [[iso(1.25), iso(2)]] }]);
    expect(third?.devices).toMatchObject([{ polls: null, answered: null, unknown: [[iso(2), iso(3)]] }]);
  });

  it("are served page by page and signed", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    stop(receiver);
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    receiver = new Receiver({ database: file("receiver.db"), signer: new Signer(pem) });
    open.push(receiver);
    start();
    run(5);
    const server = await serveApi(receiverApi(receiver), "127.0.0.1:0");
    try {
      const get = async (path: string) => (await fetch(server.url + path)).json() as Promise<never>;
      const key: { publicKey: string } = await get("/certificates/key");
      expect(key.publicKey).toBe(publicKey.export({ type: "spki", format: "pem" }).toString());
      const list: Certificate[] = [];
      let from = String(startMs);
      for (;;) {
        const query = `gw=${gateway}&from=${from}&to=2026-11-01T10:00Z&limit=2&recheck`;
        const page: { certificates: Certificate[]; next: string | null } = await get(
          `/certificates?${query}`,
        );
        list.push(...page.certificates);
        if (page.next === null) break;
        from = page.next;
      }
      expect(list.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => "complete"));
      for (const { key: _key, signature = "", ...signed } of list) {
        const isRight = (text: string) =>
          verify(null, Buffer.from(text), publicKey, Buffer.from(signature, "base64"));
        expect(isRight(JSON.stringify(signed))).toBe(true);
        expect(isRight(JSON.stringify({ ...signed, events: 7 }))).toBe(false);
      }
      expect((await fetch(`${server.url}/certificates?gw=nobody`)).status).toBe(404);
      expect((await fetch(`${server.url}/certificates?gw=${gateway}&from=yesterday`)).status).toBe(400);
      expect((await fetch(`${server.url}/certificates?gw=${gateway}&limit=100000`)).status).toBe(400);
    } finally {
      await server.close();
    }
  });
});

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
        receiver = receive(`${name}.db`);
        const begin = () => {
          box = new Box(file(`${name}.outbox`), [receiver], [encoding]);
          open.push(box);
        };
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
            stop(receiver);
            receiver = receive(`${name}.db`);
            for (const uplink of box.uplinks) uplink.receiver = receiver;
          }
        }
        hour = Math.ceil(hour) + 0.5;
        at(hour);
        box.accept(3);
        for (let i = 0; i < 4; i++) {
          // A receiver that starts again has everything that it lacks sent once more.
          stop(receiver);
          receiver = receive(`${name}.db`);
          for (const uplink of box.uplinks) {
            uplink.receiver = receiver;
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
  stop(receiver);
  const database = new Database(file(name));
  const seals = (
    database.prepare("SELECT ep, no, body FROM seal WHERE to_ms > from_ms").all() as {
      ep: number;
      no: number;
      body: string;
    }[]
  ).map((row) => ({ ...row, seal: JSON.parse(row.body) as Seal }));
  const full = seals.filter(({ seal }) => seal.n > 0 && seal.toMs <= Date.now());
  const target = full[choice % Math.max(1, full.length)];
  let changed = false;
  if (target !== undefined) {
    const { ep, no, seal } = target;
    if (alteration === "no-seal")
      changed = database.prepare("DELETE FROM seal WHERE ep = ? AND no = ?").run(ep, no).changes > 0;
    else if (alteration === "seal") {
      const body = JSON.stringify({ ...seal, n: seal.n - 1, tomb: [[seal.to, seal.to, "evicted"]] });
      changed =
        database.prepare("UPDATE seal SET body = ? WHERE ep = ? AND no = ?").run(body, ep, no).changes > 0;
    } else changed = alterBatch(database, alteration, seal);
  }
  database.close();
  receiver = receive(name);
  return changed;
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
