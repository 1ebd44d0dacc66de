import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Answer } from "../../gateway/driver.ts";
import { connect, http, json, patient, points, read, scripted } from "./testing.ts";

/** A value that was so once must not be told as if it were so now. */

const v = points({ path: "/v", pick: "$.v" });
const ageMs = (answer: Answer | undefined): number =>
  Date.now() - ((answer as { sourceTimeMs?: number }).sourceTimeMs ?? Date.now());
const stamp = (ms: number): string => new Date(Date.now() + ms).toUTCString();

describe("an answer", () => {
  it("is as old as its document, by the server's own clock", async () => {
    const headers = { "Last-Modified": stamp(-7 * 3_600_000), Date: stamp(-6 * 3_600_000) };
    const server = await scripted((_, socket) => socket.write(json({ v: 7 }, headers)));
    const [answer] = await read(await connect(server.port), v);
    expect(answer).toMatchObject({ value: 7, status: "good" });
    expect(ageMs(answer)).toBeGreaterThanOrEqual(3_600_000);
    expect(ageMs(answer)).toBeLessThan(3_605_000);
    const [late] = await read(await connect(server.port, { staleAfter: "30m" }), v);
    expect(late).toMatchObject({ value: 7, status: "uncertain", code: "stale" });
    expect(await read(await connect(server.port, { conditional: false }), v)).toEqual([7]);
  });

  it.each([
    ["2147483648", 2 ** 31],
    ["99999999999", 2 ** 31],
  ])("from a cache with Age %s is no fresh one", async (age, seconds) => {
    const server = await scripted((_, socket) => socket.write(json({ v: 7 }, { Age: age })));
    const [answer] = await read(await connect(server.port), v);
    expect(ageMs(answer) / 1000).toBeGreaterThanOrEqual(seconds);
  });

  it("whose own time lies ahead is from when that time was first seen", async () => {
    const t = new Date(Date.now() + 7 * 3_600_000).toISOString();
    const server = await scripted((_, socket) => socket.write(json({ v: 7, t })));
    const connection = await connect(server.port);
    const timed = points({ path: "/v", pick: "$.v", time: "$.t" });
    const [first] = await read(connection, timed);
    await sleep(150);
    const [again] = await read(connection, timed);
    expect((again as { sourceTimeMs?: number }).sourceTimeMs).toBe(
      (first as { sourceTimeMs?: number }).sourceTimeMs,
    );
    expect(ageMs(again)).toBeGreaterThanOrEqual(150);
    expect(ageMs(again)).toBeLessThan(60_000);
  });
});

describe("what has not changed", () => {
  it("is not believed of a document that was changed in the very second", async () => {
    const now = new Date().toUTCString();
    const server = await scripted((request, socket, index) =>
      socket.write(
        /if-modified-since/i.test(request)
          ? http(304, "")
          : json({ v: index }, { "Last-Modified": now, Date: now }),
      ),
    );
    const connection = await connect(server.port);
    expect(await read(connection, v)).toEqual([0]);
    expect(await read(connection, v)).toEqual([1]);
  });

  it("is not what a 304 says of another version, and the next question is open again", async () => {
    const server = await scripted((request, socket, index) =>
      socket.write(
        /if-none-match/i.test(request) ? http(304, "", { ETag: '"b"' }) : json({ v: index }, { ETag: '"a"' }),
      ),
    );
    const connection = await connect(server.port);
    expect(await read(connection, v)).toEqual([0]);
    const two = [...v, ...points({ path: "/w", pick: "$.v" })];
    expect(await read(connection, two)).toMatchObject([{ status: "bad", code: "http-304" }, 2]);
    expect(await read(connection, v)).toEqual([3]);
  });

  it("is not taken from a document in another format", async () => {
    const server = await scripted((request, socket) => {
      if (/if-none-match/i.test(request)) socket.write(http(304, ""));
      else if (/accept: application\/json/i.test(request)) socket.write(json({ v: 1 }, { ETag: '"a"' }));
      else socket.write(http(200, "<a><v>2</v></a>", { "Content-Type": "text/xml", ETag: '"a"' }));
    });
    const connection = await connect(server.port);
    const both = [...v, ...points({ path: "/v", pick: "$.a.v", format: "xml" })];
    expect(await read(connection, both)).toEqual([1, 2]);
    expect(await read(connection, both)).toMatchObject([{ value: 1 }, { value: 2 }]);
  });

  it("is asked for openly after a write", async () => {
    const server = await scripted((request, socket, index) => {
      if (request.startsWith("PUT")) socket.write(http(204, ""));
      else if (/if-none-match/i.test(request)) socket.write(http(304, ""));
      else socket.write(json({ v: index }, { ETag: '"a"' }));
    });
    const connection = await connect(server.port);
    const [point] = points({ path: "/v", pick: "$.v", write: { body: { v: "{value}" } } });
    expect(await read(connection, [point!])).toEqual([0]);
    await connection.write!(point!, 5, patient());
    expect(await read(connection, [point!])).toEqual([2]);
  });
});
