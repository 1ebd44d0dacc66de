import { describe, expect, it } from "vitest";
import { gap } from "../gaps.ts";
import { inflate } from "../uplink/encoding.ts";
import type { Seal } from "../uplink/seal.ts";
import { gateway } from "../uplink/testing.ts";
import {
  at,
  box,
  certificates,
  beginHour,
  hourMs,
  receive,
  receiver,
  run,
  start,
  startMs,
  states,
  stop,
  tamper,
} from "./test-certificates.ts";

/** What a certificate finds: events and seals that were altered, taken out, replayed or are missing. */

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

describe.each(["columnar", "cloudevents"] as const)("certificates over %s", (encoding) => {
  it("are complete when every event is stored as it was sealed, whatever the way there", async () => {
    start([encoding]);
    box.accept(4);
    box.accept(1, 0);
    box.send(() => true);
    box.accept(3);
    box.send();
    box.acknowledge();
    at(0.5);
    box.accept(2, 0);
    box.settle();
    beginHour(1);
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

  it("are complete over events of a wrong clock that was set later", async () => {
    start([encoding]);
    box.accept(3, 1, "unsynced");
    const epochs = [box.store.epoch];
    at(0.25);
    const fromMs = Date.now() - 2 * hourMs;
    box.tell("gap", gap("clock_step", fromMs, Date.now(), { epochs, monoMs: Date.now() + 1000 }), true);
    box.settle();
    receiver.view().catchUp(1000);
    const page = receiver.events(gateway, { epoch: 0, after: 0 }, 10);
    expect(page.events.map(({ clock }) => clock)).toEqual(["holdover", "holdover", "holdover", "holdover"]);
    expect(page.events[0]!.toldMs).toBe(startMs);
    beginHour(1);
    expect(await certificates(1)).toMatchObject([{ state: "complete", tampered: false, events: 4 }]);
  });

  it("say what was declared lost", async () => {
    start([encoding]);
    box.accept(10);
    box.evict(4, 6);
    box.settle();
    beginHour(1);
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
    start([encoding]);
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
    start([encoding]);
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
    start([encoding]);
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
});
