import { request } from "node:http";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KerbEvent } from "../event.ts";
import type { EventPage } from "./archive.ts";
import { receiverApi, serveApi, type ApiServer } from "./http.ts";
import { Receiver } from "./receiver.ts";
import { batch, birthMessage, dictionaryMessage, numbers, temporaryFolder } from "./testing.ts";

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
let server: ApiServer;

beforeEach(async () => {
  folder = temporaryFolder();
  receiver = new Receiver({ database: folder.file });
  server = await serveApi(receiverApi(receiver), "127.0.0.1:0");
});
afterEach(async () => {
  await server.close();
  receiver.close();
  folder.remove();
});

/** The members of all answers. */
interface Body extends EventPage {
  error: string;
  gateways: { id: string; lastReceivedMs: number }[];
  rejected: unknown[];
  values: Record<string, unknown>[];
  behind: boolean;
}

async function get(path: string): Promise<{ status: number; body: Body }> {
  const response = await fetch(server.url + path);
  return { status: response.status, body: (await response.json()) as Body };
}

/** As a browser asks whose page has had its name resolved to this machine. */
function getAs(url: string, host: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers: { host } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    asked.on("error", reject).end();
  });
}

/** Walks the pages of one gateway as an IOC does. */
async function walk(gateway: string, limit: number): Promise<KerbEvent[]> {
  const events: KerbEvent[] = [];
  let query = "";
  for (;;) {
    const { status, body } = await get(`/gateways/${gateway}/events?limit=${limit}${query}`);
    expect(status).toBe(200);
    expect(body.undecoded).toEqual([]);
    expect(body.events.length).toBeLessThanOrEqual(limit);
    events.push(...body.events);
    if (body.next === null) return events;
    query = `&epoch=${body.next.epoch}&after=${body.next.after}`;
  }
}

const cut = fc.record({
  epoch: fc.constantFrom(36, 37),
  seqs: fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 25 }), fc.integer({ min: 1, max: 3 }))
    .map(([from, length, stride]) =>
      numbers(from, Math.min(60, from + length)).filter((seq) => (seq - from) % stride === 0),
    ),
  encoding: fc.constantFrom("columnar" as const, "cloudevents" as const),
});

describe("receiverApi", () => {
  it("shows every event exactly once in order, whatever the cuts, duplicates and orders were", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(cut, { minLength: 1, maxLength: 25, size: "max" }),
        fc.integer({ min: 1, max: 40 }),
        async (cuts, limit) => {
          const gateway = `gw-run-${++run}`;
          receiver.dictionary(gateway, dictionaryMessage());
          const sent = new Map<number, Set<number>>([
            [36, new Set()],
            [37, new Set()],
          ]);
          for (const { epoch, seqs, encoding } of cuts) {
            receiver.take(gateway, "live", batch(seqs, { gateway, epoch, encoding }));
            for (const seq of seqs) sent.get(epoch)?.add(seq);
          }
          const wanted = [...sent].flatMap(([epoch, seqs]) =>
            [...seqs].sort((a, b) => a - b).map((seq) => `${epoch}:${seq}:${seq}`),
          );
          const events = await walk(gateway, limit);
          expect(
            events.map((event) => `${event.epoch}:${event.seq}:${String(event.readings?.[0]?.value)}`),
          ).toEqual(wanted);
          const document = receiver.acknowledgement(gateway, true);
          for (const [epoch, seqs] of sent) {
            if (seqs.size === 0) continue;
            let watermark = 0;
            while (seqs.has(watermark + 1)) watermark++;
            expect(document?.ep[epoch]?.wm).toBe(watermark);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("pages through more batches than one page may read", async () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    for (let seq = 2400; seq >= 1; seq--) receiver.take("gw-1", "fill", batch([seq]));
    const events = await walk("gw-1", 1000);
    expect(events.map((event) => event.seq)).toEqual(numbers(1, 2400));
  });

  it("pages through batches that enclose each other", async () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    for (let i = 1; i <= 1200; i++) receiver.take("gw-1", "live", batch([i, 2401 - i]));
    expect((await walk("gw-1", 700)).map((event) => event.seq)).toEqual(numbers(1, 2400));
  });

  it("lists gateways with their state", async () => {
    receiver.birth("gw-1", birthMessage(7, 37, [[36, 4]]));
    receiver.take("gw-1", "live", batch([1, 2, 5]));
    receiver.take("gw-1", "live", batch([1, 2]));
    receiver.take("gw-1", "live", Buffer.from("?"));
    receiver.take("gw-2", "live", batch([1], { gateway: "gw-2" }));
    const { body } = await get("/gateways");
    expect(body.gateways).toMatchObject([
      {
        id: "gw-1",
        online: true,
        session: 7,
        epoch: 37,
        epochs: [
          { epoch: 37, wm: 2, top: 5, holes: 1, missing: 2, lost: 0, closed: false },
          { epoch: 36, wm: 0, top: 4, holes: 1, missing: 4, closed: false },
        ],
        eventsStored: 3,
        duplicateBatches: 1,
        duplicateEvents: 2,
        rejected: 1,
      },
      { id: "gw-2", online: null, session: null, epoch: 37, eventsStored: 1 },
    ]);
    expect(Date.now() - (body.gateways[0]?.lastReceivedMs ?? 0)).toBeLessThan(10_000);
    const next = await get("/gateways?after=gw-1&limit=1");
    expect(next.body.gateways.map(({ id }) => id)).toEqual(["gw-2"]);
    const rejected = await get("/gateways/gw-1/rejected");
    expect(rejected.body.rejected).toMatchObject([
      { lane: "live", body: Buffer.from("?").toString("base64") },
    ]);
  });

  it("shows the newest value of each point by number, not by arrival", async () => {
    receiver.dictionary("gw-1", dictionaryMessage());
    receiver.take("gw-1", "live", batch(numbers(90, 100)));
    receiver.take("gw-1", "fill", batch(numbers(1, 89)));
    receiver.take("gw-1", "fill", batch(numbers(200, 210), { epoch: 36 }));
    const { body } = await get("/gateways/gw-1/latest");
    expect(body.behind).toBe(false);
    expect(body.values).toMatchObject([
      { device: "dev-1", point: "point.p0", value: 100, unit: "V", quality: 0, epoch: 37, seq: 100 },
      { device: "dev-1", point: "point.p1", value: 23.5, epoch: 37, seq: 100 },
    ]);
  });

  it("answers every error with a sentence in JSON", async () => {
    receiver.take("gw-1", "live", batch([1]));
    const wrong: [string, number][] = [
      ["/nothing", 404],
      ["/gateways/gw-2/events", 404],
      ["/gateways/gw-2/latest", 404],
      ["/gateways/gw-1/events?limit=0", 400],
      ["/gateways/gw-1/events?limit=1001", 400],
      ["/gateways/gw-1/events?after=-1", 400],
      ["/gateways/gw-1/events?epoch=x", 400],
    ];
    for (const [path, status] of wrong) {
      const answer = await get(path);
      expect(answer.status, path).toBe(status);
      expect(answer.body.error, path).toMatch(/^[A-Z"].*\.$/);
    }
    expect(await get("/health")).toMatchObject({ status: 200, body: { ok: true, database: "ok" } });
    receiver.close();
    expect((await get("/gateways")).status).toBe(503);
    expect(await get("/health")).toMatchObject({ status: 503, body: { ok: false } });
  });

  it("survives clients that hang up, and says why it cannot listen", async () => {
    await new Promise<void>((resolve) => {
      const client = request(`${server.url}/gateways`);
      client.on("error", () => resolve());
      client.on("socket", (socket) => socket.on("connect", () => client.destroy(new Error("gone"))));
      client.end();
    });
    expect((await get("/health")).status).toBe(200);
    await expect(serveApi(receiverApi(receiver), server.url.slice(7))).rejects.toThrow(
      /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
    await expect(serveApi(receiverApi(receiver), "localhost")).rejects.toThrow(
      /write it as 127\.0\.0\.1:8788/,
    );
  });

  it("answers under its own names only: not a page whose name leads here", async () => {
    const named = await serveApi(receiverApi(receiver), "localhost:0", ["ioc.city.vn"]);
    try {
      for (const path of ["/health", "/gateways", "/ngsi-ld/v1/entities", "/nothing"])
        for (const { url } of [server, named]) {
          const { status, text } = await getAs(url + path, "attacker.example:8480");
          expect([status, JSON.parse(text)]).toEqual([
            421,
            {
              error: expect.stringMatching(
                /^"attacker\.example:8480" is no name of this server: .* --host NAME\.$/,
              ) as string,
            },
          ]);
        }
      for (const host of ["localhost:1", "127.0.0.1", "[::1]:8480", "LOCALHOST."])
        expect(await getAs(`${server.url}/gateways`, host)).toMatchObject({ status: 200 });
      expect(await getAs(`${named.url}/gateways`, "ioc.city.vn")).toMatchObject({ status: 200 });
      expect(await getAs(`${server.url}/gateways`, "ioc.city.vn")).toMatchObject({ status: 421 });
    } finally {
      await named.close();
    }
  });
});
