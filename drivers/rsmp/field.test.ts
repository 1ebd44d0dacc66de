import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Answer, Connection, Sink } from "../../gateway/driver.ts";
import { met, patient, ScriptedSite, stage, type Message, type Stage } from "./testing.ts";
import { keep } from "./test-site.ts";
import { PacketReader } from "./codec.ts";
import { readMessage } from "./messages.ts";
import { address as addressSchema, settings as settingsSchema, type Address } from "./settings.ts";

/** Sites as they stand in the field: with components of their own, with more or fewer parts, with habits. */

const point = (name: string, given: unknown) => ({ name, address: addressSchema.parse(given) });
const now = () => new Date().toISOString();
const bits = (high: boolean) => [false, false, high, false, false, true, false, false];
const aggregated = (cId: string, high = false): Message => ({
  ntsOId: "",
  xNId: "",
  cId,
  aSTS: now(),
  fP: null,
  fS: null,
  se: bits(high),
});

/** A clock that is seven hours behind. */
const slowMs = (): number => Date.now() - 7 * 3_600_000;

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !isSo(); i++) await sleep(10);
  expect(isSo()).toBe(true);
}

/** Answers each request, and keeps what was asked. */
function serve(site: ScriptedSite, answer: (request: Message) => Message | undefined): Message[] {
  const asked: Message[] = [];
  void (async () => {
    while (!site.closed) {
      const request = await site
        .next((message) => message["mId"] !== undefined, 60_000)
        .catch(() => undefined);
      if (request === undefined) return;
      asked.push(request);
      site.acknowledge(request);
      const found = answer(request);
      if (found !== undefined) site.say(String(found["type"]), { ...found, type: found["type"] });
    }
  })();
  return asked;
}

async function handshaken(on: Stage, first: Message[]): Promise<[ScriptedSite, Connection<Address>]> {
  const connecting = on.connect();
  const site = keep(await ScriptedSite.call(on.port));
  await site.shakeHands(on.settings.siteId);
  for (const message of first) site.say("AggregatedStatus", message);
  return [site, keep(await connecting)];
}

function heard(): Sink & { values: { index: number; answer: Answer }[] } {
  const values: { index: number; answer: Answer }[] = [];
  return {
    values,
    alive: () => undefined,
    readings: (told) => void values.push(...told),
    record: () => undefined,
    poll: () => undefined,
  };
}

describe("the main component", () => {
  test("is the one whose aggregated status the site tells, where the site file names none", async () => {
    const on = await stage({ component: undefined, siteId: "RN+SI0001" });
    const [site, connection] = await handshaken(on, [aggregated("KK+AG9998=001TC000")]);
    const asked = serve(site, ({ cId, sS }) => ({
      type: "StatusResponse",
      cId,
      sTs: now(),
      sS: (sS as Message[]).map((item) => ({ ...item, s: "ACME, C900, 4.2", q: "recent" })),
    }));
    expect(await connection.identify(patient())).toMatchObject({ vendor: "ACME", model: "C900" });
    expect(asked.at(-1)).toMatchObject({ cId: "KK+AG9998=001TC000" });
  });

  test("is called like the site where the site tells no aggregated status", async () => {
    const on = await stage({ component: undefined, siteId: "RN+SI0001", timeout: 600 });
    const [site, connection] = await handshaken(on, []);
    const asked = serve(site, ({ cId, sS }) => ({
      type: "StatusResponse",
      cId,
      sTs: now(),
      sS: (sS as Message[]).map((item) => ({ ...item, s: null, q: "undefined" })),
    }));
    await connection.identify(patient());
    expect(asked.at(-1)).toMatchObject({ cId: "RN+SI0001" });
  });

  test("is not taken for another one that has an aggregated status too", async () => {
    const { site, connection } = await met();
    keep(site);
    keep(connection);
    const sink = heard();
    const stop = new AbortController();
    const points = [
      point("own", { aggregated: "se", bit: 3 }),
      point("other", { aggregated: "se", bit: 3, component: "TC2" }),
    ];
    const done = connection.subscribe!({ points, records: [], sink, signal: stop.signal });
    for (const message of [aggregated("TC1"), aggregated("TC2", true)]) {
      await site.verdict(site.say("AggregatedStatus", message));
    }
    expect(sink.values.map(({ index, answer }) => [index, (answer as { value: unknown }).value])).toEqual([
      [0, false],
      [1, true],
    ]);
    stop.abort();
    await done;
  });
});

describe("signal groups and detectors", () => {
  const place = { host: "127.0.0.1", siteId: "A" };

  test("are counted or listed in the site file, each id and each name once", () => {
    const id = "KK+AG9998=001SG001";
    for (const given of [0, 40, [id], [{ id, name: "north1" }, { name: "south" }, "B"]])
      expect(settingsSchema.safeParse({ ...place, signalGroups: given, detectors: given }).success).toBe(
        true,
      );
    for (const given of [-1, 256, 1.5, ["A", "A"], ["A", { id: "A" }], [{ name: "a" }, { name: "a" }]])
      expect(settingsSchema.safeParse({ ...place, signalGroups: given }).success).toBe(false);
    // The second one is called G2 by itself.
    for (const name of ["G2", "north 1", "1"])
      expect(settingsSchema.safeParse({ ...place, signalGroups: [{ name }, "B"] }).success).toBe(false);
  });

  test.each([
    ["A1B", 3, 0],
    ["A1BBA1BBA1BB", 3, 1],
    ["A1", 3, 1],
  ])("whose number is not the site's (%s, %i) are reported once", async (s, count, lines) => {
    const { site, connection, on } = await met();
    keep(site);
    keep(connection);
    serve(site, ({ cId, sS }) => ({
      type: "StatusResponse",
      cId,
      sTs: now(),
      sS: (sS as Message[]).map((item) => ({ ...item, s, q: "recent" })),
    }));
    const points = Array.from({ length: count }, (_, i) =>
      point(`g${i}`, { status: "S0001", name: "signalgroupstatus", of: "chars", item: i + 1 }),
    );
    for (let i = 0; i < 2; i++) await connection.read(points, { signal: patient() });
    expect(on.log.filter((line) => line.includes(`${s.length} entries`))).toHaveLength(lines);
  });
});

describe("a site", () => {
  test.each([
    [true, 0],
    [false, 7 * 3_600_000],
  ])("that sets its clock by kerb's is not led astray: kerb's is wrong %s", async (isWrong, aheadMs) => {
    const on = await stage({ watchdog: 50 });
    on.clock.isWrong = isWrong;
    const connecting = on.connect();
    const site = keep(await ScriptedSite.call(on.port));
    await site.verdict(site.version("SITE-1"));
    site.acknowledge(await site.next("Version"));
    await site.verdict(site.say("Watchdog", { wTs: new Date(slowMs()).toISOString() }));
    for (let i = 0; i < 2; i++) {
      const watchdog = await site.next("Watchdog");
      expect(Math.abs(Date.parse(String(watchdog["wTs"])) - slowMs() - aheadMs)).toBeLessThan(60_000);
      site.acknowledge(watchdog);
    }
    keep(await connecting);
  });

  test("that leaves a status out of its answer loses that one only", async () => {
    const { site, connection } = await met();
    keep(site);
    keep(connection);
    serve(site, ({ cId }) => ({
      type: "StatusResponse",
      cId,
      sTs: now(),
      sS: [{ sCI: "S0014", n: "status", s: "3", q: "recent" }],
    }));
    const points = [
      point("plan", { status: "S0014", name: "status", as: "number" }),
      point("situation", { status: "S0015", name: "status", as: "number" }),
    ];
    const { answers } = await connection.read(points, { signal: patient() });
    expect(answers).toMatchObject([{ value: 3 }, { value: null, code: "rsmp-missing" }]);
  });

  test("of many components is asked for all of them at once, and may answer in any order", async () => {
    const { site, connection } = await met();
    keep(site);
    keep(connection);
    const ids = Array.from({ length: 60 }, (_, i) => `DL${i}`);
    const points = ids.map((component) =>
      point(component, { status: "S0201", name: "vehicles", as: "number", component }),
    );
    const reading = connection.read(points, { signal: patient() });
    const asked: Message[] = [];
    for (const _ of ids) asked.push(await site.next("StatusRequest"));
    for (const request of asked.toReversed()) {
      site.acknowledge(request);
      const cId = String(request["cId"]);
      const sS = [{ sCI: "S0201", n: "vehicles", s: cId.slice(2), q: "recent" }];
      site.say("StatusResponse", { cId, sTs: now(), sS });
    }
    const { answers } = await reading;
    expect(answers.map((answer) => (answer as { value: unknown }).value)).toEqual(ids.map((_, i) => i));
  });

  test("that calls with several ids gets one device, and the log names the other", async () => {
    const a = await stage();
    const b = await stage({ siteId: "SITE-2" }, a.port);
    const connecting = a.connect();
    const stop = new AbortController();
    const waiting = b.connect(stop.signal).catch(() => undefined);
    await sleep(50);
    const site = keep(await ScriptedSite.call(a.port));
    await site.shakeHands("SITE-1", { siteId: [{ sId: "SITE-1" }, { sId: "SITE-2" }] });
    keep(await connecting);
    expect(a.log.filter((line) => /SITE-2 calls together with SITE-1/.test(line))).toHaveLength(1);
    stop.abort();
    await waiting;
  });

  test(
    "may tell all that it kept in an outage before anybody has subscribed",
    { timeout: 30_000 },
    async () => {
      const { site, connection, on } = await met();
      keep(site);
      keep(connection);
      const total = 12_000;
      for (let i = 0; i < total; i++) {
        const sTs = new Date(Date.UTC(2026, 2, 1) + i * 1000).toISOString();
        site.say("StatusUpdate", { cId: "TC1", sTs, sS: [{ sCI: "S0014", n: "status", s: "3", q: "old" }] });
      }
      await until(() => site.received.filter(({ type }) => type === "MessageAck").length === total);
      const sink = heard();
      const stop = new AbortController();
      const points = [point("plan", { status: "S0014", name: "status", as: "number" })];
      const done = connection.subscribe!({ points, records: [], sink, signal: stop.signal });
      expect(sink.values).toHaveLength(total);
      expect(on.log).toEqual([]);
      stop.abort();
      await done;
    },
  );

  test("finds room among callers that say nothing", { timeout: 30_000 }, async () => {
    const on = await stage();
    const connecting = on.connect();
    const silent = await Promise.all(Array.from({ length: 80 }, () => ScriptedSite.call(on.port)));
    for (const one of silent) keep(one);
    const site = keep(await ScriptedSite.call(on.port));
    await site.shakeHands("SITE-1");
    keep(await connecting);
  });
});

const watchdog = (wTs: string, version: string) =>
  readMessage({ mType: "rSMsg", type: "Watchdog", mId: "x", wTs }, "Watchdog", version);

const status = (se: unknown[]) =>
  readMessage(
    { ...aggregated("TC1"), mType: "rSMsg", type: "AggregatedStatus", mId: "x", se },
    "AggregatedStatus",
    "3.1.2",
  );

describe("what older versions leave open", () => {
  test("a time without a zone is UTC, whatever the box's own is", () => {
    const timeMs = Date.UTC(2015, 5, 8, 11, 49, 3, 293);
    const zone = process.env["TZ"];
    process.env["TZ"] = "Asia/Ho_Chi_Minh";
    try {
      for (const text of [
        "2015-06-08T11:49:03.293",
        "2015-06-08T11:49:03.293Z",
        "2015-06-08T13:49:03.293+02:00",
      ])
        expect(watchdog(text, "3.1.4"), text).toEqual({ kind: "watchdog", timeMs });
    } finally {
      if (zone === undefined) delete process.env["TZ"];
      else process.env["TZ"] = zone;
    }
    for (const text of ["1", "2015-06-08", "8 June 2015 11:49", "2015-06-08 11:49:03"])
      expect(watchdog(text, "3.1.4"), text).toHaveProperty("rea");
  });

  test("state bits as texts are true or false and nothing else", () => {
    expect(status(Array.from({ length: 8 }, (_, i) => (i === 2 ? "True" : "false")))).toMatchObject({
      bits: bits(true).map((_, i) => i === 2),
    });
    expect(status(Array.from({ length: 8 }, () => "yes"))).toHaveProperty("rea");
  });

  test("line ends behind a form feed are no packet", () => {
    const packets: string[] = [];
    new PacketReader(100).push(Buffer.from('{"a":1}\f\r\n\f\n{"b":2}\f\n'), (packet) =>
      packets.push(packet.toString()),
    );
    expect(packets).toEqual(['{"a":1}', '\n{"b":2}']);
  });
});
