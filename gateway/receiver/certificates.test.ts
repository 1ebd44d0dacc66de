import { spawnSync } from "node:child_process";
import { generateKeyPairSync, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { gateway } from "../uplink/testing.ts";
import { Signer, type Certificate } from "./certificates.ts";
import { receiverApi, serveApi } from "./http.ts";
import {
  at,
  box,
  certificates,
  beginHour,
  file,
  hourMs,
  iso,
  receive,
  receiver,
  reopen,
  restartReceiver,
  run,
  start,
  startMs,
  states,
  stop,
  tamper,
} from "./test-certificates.ts";

/** What a certificate says of an hour whose messages went all kinds of ways. */

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

describe("certificates", () => {
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

  it("go on over a restart of the receiver in the middle of an hour", async () => {
    start();
    box.accept(3);
    box.settle();
    restartReceiver();
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
    restartReceiver();
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
    reopen();
    at(1.5);
    start();
    box.accept(1);
    box.settle();
    expect(await certificates(1)).toMatchObject([{ state: "complete", events: 5 }]);
    beginHour(2);
    expect(await certificates(1, 1)).toMatchObject([{ state: "complete", events: 3 }]);
  });

  it("seal each uplink at its own pace, with the same chain", async () => {
    const other = receive("other.db");
    start(["columnar", "cloudevents"], [receiver, other]);
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
    beginHour(6);
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
    beginHour(10);
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
    beginHour(5);
    const list = await certificates(5);
    expect(list.map(({ state }) => state)).toEqual(
      Array.from({ length: 5 }, () => "complete-with-declared-loss"),
    );
    expect(list[2]?.lost).toMatchObject([{ from: 8, to: 42, reason: "evicted" }]);
  });

  it("count polls per device, and say where the count is not known", async () => {
    start();
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
    beginHour(3);
    const [first, second, third] = await certificates(3);
    expect(first?.devices).toEqual([
      { device: "dev-1", events: 6, polls: 150, answered: 146, failed: 2, missed: 2, unknown: [] },
    ]);
    expect(second?.devices).toMatchObject([{ polls: 30, unknown: [[iso(1.25), iso(2)]] }]);
    expect(third?.devices).toMatchObject([{ polls: null, answered: null, unknown: [[iso(2), iso(3)]] }]);
  });

  it("are served page by page and signed", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    reopen("receiver.db", { signer: new Signer(pem) });
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
