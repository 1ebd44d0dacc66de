import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import {
  answerTo,
  bytes,
  int,
  pointsOf,
  readRequest,
  repetitionsIn,
  text,
  tlv,
  type Script,
} from "./testing.ts";
import { asked, good, oids, setUp, signal } from "./test-wire.ts";

/** Points that are counted, found or put together from several objects. */

/** Answers GETNEXT and GETBULK from a list of rows, each the last arc of a row. */
const table = (next: (row: number) => number | undefined): Script => {
  return (datagram, reply) => {
    const request = readRequest(datagram);
    const { oid } = request.varbinds[0]!;
    let row = oid.length > 7 ? oid.subarray(7).reduce((sum, octet) => sum * 128 + (octet & 127), 0) : 0;
    const varbinds = Array.from({ length: repetitionsIn(datagram) }, () => {
      const behind = next(row);
      row = behind ?? row;
      const arcs = row < 128 ? [row] : [0x80 | (row >> 7), row & 127];
      const name = behind === undefined ? [0x2b, 6, 1, 4, 1, 10, 0] : [0x2b, 6, 1, 4, 1, 9, 5, ...arcs];
      return { whole: Buffer.alloc(0), oid: Buffer.from(name), value: Buffer.alloc(0) };
    });
    reply(answerTo({ ...request, varbinds }, { values: varbinds.map(() => int(1)) }));
  };
};

describe("tables", () => {
  test.each([
    ["1", 0xa1],
    ["2c", 0xa5],
  ])("a walk of v%s ends at the end of its column", async (version, type) => {
    const rows = 12;
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        const request = readRequest(datagram);
        const oid = request.varbinds[0]!.oid;
        const from = oid.length > 7 ? oid.at(-1)! : 0;
        const count = type === 0xa5 ? 10 : 1;
        const varbinds = Array.from({ length: count }, (_, i) => {
          const row = from + i + 1;
          const name = row <= rows ? [...oid.subarray(0, 7), row] : [0x2b, 6, 1, 4, 1, 10, 0];
          return { whole: Buffer.alloc(0), oid: Buffer.from(name), value: Buffer.alloc(0), row };
        });
        reply(answerTo({ ...request, varbinds }, { values: varbinds.map(({ row }) => text(`row${row}`)) }));
      },
      { version, maxOidsPerPdu: 10 },
    );
    const points = pointsOf(
      { walk: "1.3.6.1.4.1.9.5", take: "count" },
      { walk: "1.3.6.1.4.1.9.5", take: "list" },
    );
    const { answers } = await connection.read(points, { signal });
    expect(answers[0]).toBe(rows);
    expect(answers[1]).toMatch(/^row1, row2, .*, row12$/);
    expect(agent.requests.every((one) => readRequest(one).type === type)).toBe(true);
  });

  const walk = pointsOf({ walk: "1.3.6.1.4.1.9.5", take: "count" });

  test.each([
    ["in circles", (row: number) => (row % 3) + 1],
    ["backwards", (row: number) => (row === 0 ? 9 : row - 1)],
    ["nowhere", () => 4],
  ])("an agent that goes %s is not followed, and not believed", async (_, next) => {
    const { agent, connection } = await setUp(table(next), { maxOidsPerPdu: 10 });
    const { answers } = await connection.read(walk, { signal });
    expect(answers).toEqual([expect.objectContaining({ value: null, status: "bad", code: "not-in-order" })]);
    expect(agent.requests).toHaveLength(1);
  });

  test.each([
    [256, 256],
    [257, { value: 256, status: "uncertain", code: "more-rows" }],
    [2000, { value: 256, status: "uncertain", code: "more-rows" }],
  ])("a table of %d rows is looked at for 256", async (rows, answer) => {
    const { agent, connection } = await setUp(
      table((row) => (row < rows ? row + 1 : undefined)),
      { maxOidsPerPdu: 10 },
    );
    const { answers } = await connection.read(walk, { signal });
    expect(answers).toEqual([typeof answer === "object" ? expect.objectContaining(answer) : answer]);
    expect(agent.requests.length).toBeLessThan(28);
  });

  test("no more objects are asked for at once than the device stands", async () => {
    const rows = table((row) => (row < 5 ? row + 1 : undefined));
    const { agent, connection } = await setUp(rows);
    expect((await connection.read(walk, { signal })).answers).toEqual([5]);
    expect(agent.requests.map((one) => readRequest(one).type)).toEqual(Array(6).fill(0xa1));
    const small = await setUp(
      (datagram, reply, index, from) => {
        if (repetitionsIn(datagram) > 2)
          reply(answerTo({ ...readRequest(datagram), varbinds: [] }, { status: 1 }));
        else rows(datagram, reply, index, from);
      },
      { maxOidsPerPdu: 8 },
    );
    expect((await small.connection.read(walk, { signal })).answers).toEqual([5]);
    expect(small.agent.requests.map(repetitionsIn)).toEqual([8, 4, 2, 2, 2]);
  });
});

describe("the row of a device", () => {
  test("is asked for once, behind a column", async () => {
    const { agent, connection } = await setUp(
      (datagram, reply) => {
        const request = readRequest(datagram);
        if (request.type !== 0xa1) {
          reply(answerTo(request, { values: [int(1)] }));
          return;
        }
        const [first] = request.varbinds;
        const row = { ...first!, oid: Buffer.concat([first!.oid, Buffer.from([1, 2, 49, 50])]) };
        reply(answerTo({ ...request, varbinds: [row] }, { values: [int(0)] }));
      },
      { rowColumn: "1.3.6.1.4.1.9.15" },
    );
    const points = pointsOf({ oid: "1.3.6.1.4.1.9.3.{row}", type: "number" });
    for (let i = 0; i < 2; i++) expect(await connection.read(points, { signal })).toEqual({ answers: [1] });
    expect(agent.requests.map((one) => readRequest(one).type)).toEqual([0xa1, 0xa0, 0xa0]);
    expect([...readRequest(agent.requests[1]!).varbinds[0]!.oid].slice(-4)).toEqual([1, 2, 49, 50]);
  });

  test("is written by its name, or missed", async () => {
    const { agent, connection } = await setUp(
      (d, reply) => reply(answerTo(readRequest(d), { values: [int(1)] })),
      {
        row: "scn:J1",
      },
    );
    const points = pointsOf({ oid: "1.3.6.1.4.1.9.3.{row}", type: "number" });
    await connection.read(points, { signal });
    expect([...readRequest(agent.requests[0]!).varbinds[0]!.oid].slice(-4)).toEqual([1, 2, 74, 49]);
    const other = await setUp((d, reply) => reply(answerTo(readRequest(d), { values: [int(1)] })));
    expect((await other.connection.read(points, { signal })).answers).toMatchObject([{ code: "no-row" }]);
  });
});

describe("the measured cycle", () => {
  test("is 0 at first, then the mean time from one reading to the next; the sweep is one reading's", async () => {
    const { connection } = await setUp((datagram, reply) => void setTimeout(() => reply(good(datagram)), 40));
    const points = pointsOf({ measure: "cycle" }, { measure: "sweep" }, ...oids(2));
    const first = await connection.read(points, { signal });
    expect(first.answers[0]).toBe(0);
    expect(first.answers[1]).toBeGreaterThan(0.07);
    await sleep(100);
    const second = await connection.read(points, { signal });
    expect(second.answers[0]).toBeGreaterThan(0.17);
    expect(second.answers[0]).toBeGreaterThan(second.answers[1] as number);
  });
});

describe("signals", () => {
  const states = { red: "1.3.6.1.4.1.9.1", yellow: "1.3.6.1.4.1.9.2", green: "1.3.6.1.4.1.9.3" };
  const phases = pointsOf(...[0, 1, 2, 3].map((bit) => ({ states, bit })));

  test("one state, none, several; a torn reading is read once more", async () => {
    const maps: Record<number, number> = { 1: 0b0001, 2: 0b0010, 3: 0b1010 };
    const { agent, connection } = await setUp((datagram, reply) =>
      reply(answerTo(readRequest(datagram), { values: asked(datagram).map((arc) => int(maps[arc]!)) })),
    );
    const expected = [
      "red",
      expect.objectContaining({
        status: "bad",
        code: "conflicting-states",
        reason: "yellow and green at once",
      }),
      expect.objectContaining({ value: "dark", status: "uncertain", code: "no-state" }),
      "green",
    ];
    expect((await connection.read(phases, { signal })).answers).toEqual(expected);
    expect(agent.requests).toHaveLength(6);
    // What was odd before is not asked about again.
    expect((await connection.read(phases, { signal })).answers).toEqual(expected);
    expect(agent.requests).toHaveLength(9);
    maps[2] = 0;
    maps[1] = 0b0101;
    expect((await connection.read(phases, { signal })).answers).toEqual(["red", "green", "red", "green"]);
    expect(agent.requests).toHaveLength(12);
  });

  test("a change between two requests is not a conflict", async () => {
    let isGreen = false;
    const { connection } = await setUp((datagram, reply) => {
      const [arc] = asked(datagram);
      reply(answerTo(readRequest(datagram), { values: [int(arc === (isGreen ? 3 : 1) ? 1 : 0)] }));
      // It turns green right after the reds were read.
      isGreen = true;
    });
    expect((await connection.read(phases.slice(0, 1), { signal })).answers).toEqual(["green"]);
  });

  test("bitmaps as octets, several objects in a request", async () => {
    const { connection } = await setUp(
      (datagram, reply) =>
        reply(
          answerTo(readRequest(datagram), { values: asked(datagram).map((arc) => tlv(4, bytes(1 << arc))) }),
        ),
      { maxOidsPerPdu: 3 },
    );
    const { answers } = await connection.read(phases, { signal });
    expect(answers).toEqual([expect.objectContaining({ value: "dark" }), "red", "yellow", "green"]);
  });
});
