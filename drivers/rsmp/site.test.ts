import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Answer } from "../../gateway/driver.ts";
import { codeOf, patient } from "./testing.ts";
import { together, Heard, itemsOf, now, point, until } from "./test-site.ts";

/** Statuses and subscriptions, with a site played by hand. */

describe("read", () => {
  const points = [
    point("group2", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 2 }),
    point("group3", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 3 }),
    point("group9", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 9 }),
    point("plan", { status: "S0014", name: "status", as: "number" }),
    point("flash", { status: "S0011", name: "status", of: "list", item: 2, as: "boolean" }),
    point("routes", { status: "S0035", name: "emergencyroutes" }),
    point("count", { status: "S0205", name: "vehicles", of: "list", item: 1, as: "number" }),
    point("other", { status: "S0091", name: "user", as: "number" }),
    point("word", { status: "S0017", name: "number", as: "number" }),
    point("out", { status: "S0016", name: "number", as: "number" }),
  ];

  test("asks for each status once and takes values, lists and qualities apart", async () => {
    const { site, connection } = await together();
    const reading = connection.read(points, { signal: patient() });
    const request = await site.next("StatusRequest");
    expect(request).toMatchObject({ cId: "TC1" });
    expect(itemsOf(request).map(({ sCI }) => sCI)).toEqual([
      "S0001",
      "S0014",
      "S0011",
      "S0035",
      "S0205",
      "S0091",
      "S0017",
      "S0016",
    ]);
    site.acknowledge(request);
    const sS = [
      { sCI: "S0001", n: "signalgroupstatus", s: "A1-", q: "recent" },
      { sCI: "S0014", n: "status", s: "7", q: "old" },
      { sCI: "S0011", n: "status", s: "False,True", q: "recent" },
      { sCI: "S0035", n: "emergencyroutes", s: [{ id: "3" }], q: "recent" },
      { sCI: "S0205", n: "vehicles", s: "-1,4", q: "recent" },
      { sCI: "S0091", n: "user", s: null, q: "undefined" },
      { sCI: "S0017", n: "number", s: "many", q: "recent" },
      { sCI: "S0016", n: "number", s: null, q: "unknown" },
    ];
    const sTs = "2026-03-01T08:00:00.250Z";
    site.say("StatusResponse", { cId: "TC1", sTs, sS });
    const { answers } = await reading;
    const timeMs = Date.parse(sTs);
    expect(answers).toEqual([
      { value: "1", status: "good", sourceTimeMs: timeMs },
      expect.objectContaining({ value: null, status: "bad", code: "rsmp-absent" }),
      expect.objectContaining({ value: null, status: "bad", code: "rsmp-absent" }),
      {
        value: 7,
        status: "good",
        code: "rsmp-old",
        reason: "buffered by the site",
        past: true,
        sourceTimeMs: timeMs,
      },
      { value: true, status: "good", sourceTimeMs: timeMs },
      { value: '[{"id":"3"}]', status: "good", sourceTimeMs: timeMs },
      { value: -1, status: "good", sourceTimeMs: timeMs },
      expect.objectContaining({ value: null, status: "bad", code: "rsmp-undefined" }),
      expect.objectContaining({ value: null, status: "bad", code: "rsmp-type" }),
      expect.objectContaining({ value: null, status: "bad", code: "rsmp-unknown" }),
    ]);
  });

  test("finds the status that the site refuses by halving, and does not ask for it again", async () => {
    const { site, connection } = await together();
    const wanted = points.slice(3, 8);
    const serve = async () => {
      for (;;) {
        const request = await site.next("StatusRequest", 500).catch(() => undefined);
        if (request === undefined) return;
        const sS = itemsOf(request).map(({ sCI, n }) => ({ sCI, n, s: "1", q: "recent" }));
        if (sS.some(({ sCI }) => sCI === "S0035")) site.acknowledge(request, "unknown status S0035");
        else {
          site.acknowledge(request);
          site.say("StatusResponse", { cId: "TC1", sTs: now(), sS });
        }
        asked.push(sS.map(({ sCI }) => sCI).join());
      }
    };
    const asked: string[] = [];
    const serving = serve();
    for (let round = 0; round < 2; round++) {
      const { answers } = await connection.read(wanted, { signal: patient() });
      expect(answers[2]).toEqual({
        value: null,
        status: "bad",
        code: "rsmp-not-ack",
        reason: "unknown status S0035",
      });
      expect(answers[0]).toMatchObject({ value: 1, status: "good" });
      expect(answers[4]).toMatchObject({ value: 1, status: "good" });
    }
    await serving;
    expect(asked.at(-1)).toBe("S0014,S0011,S0205,S0091");
  });

  test("asks for the aggregated status since 3.1.5, and before that has what the site told", async () => {
    const wanted = [point("bit4", { aggregated: "se", bit: 4 }), point("position", { aggregated: "fP" })];
    const told = { cId: "TC1", aSTS: "2026-03-01T08:00:00.000Z", fP: null, fS: null };
    const bits = [false, false, false, true, false, true, false, false];
    for (const version of ["3.1.4", "3.1.5"]) {
      const { site, connection } = await together({}, [version]);
      await site.verdict(site.say("AggregatedStatus", { ...told, se: bits.map(() => false) }));
      const reading = connection.read(wanted, { signal: patient() });
      if (version === "3.1.5") {
        site.acknowledge(await site.next("AggregatedStatusRequest"));
        site.say("AggregatedStatus", { ...told, se: bits });
      }
      expect((await reading).answers[0]).toMatchObject({ value: version === "3.1.5", status: "good" });
      expect((await reading).answers[1]).toMatchObject({ status: "bad", code: "rsmp-none" });
    }
  });

  test("corrects the times of a site whose clock is wrong, and says so once", async () => {
    const { site, connection, on } = await together();
    for (let i = 0; i < 2; i++) await site.verdict(site.say("Watchdog", { wTs: now(-3_600_000) }));
    const reading = connection.read(points.slice(3, 4), { signal: patient() });
    site.acknowledge(await site.next("StatusRequest"));
    const sS = [{ sCI: "S0014", n: "status", s: "7", q: "recent" }];
    site.say("StatusResponse", { cId: "TC1", sTs: now(-3_600_000), sS });
    const [answer] = (await reading).answers;
    expect(Math.abs((answer as { sourceTimeMs: number }).sourceTimeMs - Date.now())).toBeLessThan(2000);
    expect(on.log.filter((line) => line.includes("-3600 s ahead"))).toHaveLength(1);
  });
});

describe("subscribe", () => {
  const points = [
    point("group1", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 1 }),
    point("group2", { status: "S0001", name: "signalgroupstatus", of: "chars", item: 2, rate: 60 }),
    point("count", {
      status: "S0205",
      name: "vehicles",
      of: "list",
      item: 1,
      as: "number",
      rate: 300,
      onChange: false,
    }),
    point("bit", { aggregated: "se", bit: 3 }),
  ];

  test.each([
    ["3.1.4", [{ uRt: "60" }, { uRt: "300" }]],
    [
      "3.1.5",
      [
        { uRt: "60", sOc: true },
        { uRt: "300", sOc: false },
      ],
    ],
  ])("in %s asks with the words of that version", async (version, wishes) => {
    const { site, connection } = await together({}, [version]);
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: new Heard(), signal: stop.signal });
    site.acknowledge(await site.next("StatusUnsubscribe"));
    const request = await site.next("StatusSubscribe");
    expect(itemsOf(request)).toEqual([
      { sCI: "S0001", n: "signalgroupstatus", ...wishes[0] },
      { sCI: "S0205", n: "vehicles", ...wishes[1] },
    ]);
    site.acknowledge(request);
    stop.abort();
    await done;
  });

  test("leaves its subscriptions to a site that keeps them, and gives up those of which it knows nothing", async () => {
    const { site, connection } = await together();
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: new Heard(), signal: stop.signal });
    site.acknowledge(await site.next("StatusUnsubscribe"));
    site.acknowledge(await site.next("StatusSubscribe"));
    const strange = [{ sCI: "S0014", n: "status", s: "3", q: "recent" }];
    for (let i = 0; i < 2; i++) {
      const id = site.say("StatusUpdate", { cId: "TC1", sTs: now(), sS: strange });
      expect(await site.verdict(id)).toMatchObject({ type: "MessageAck" });
    }
    const given = await site.next("StatusUnsubscribe");
    expect(given).toMatchObject({ cId: "TC1", sS: [{ sCI: "S0014", n: "status" }] });
    site.acknowledge(given);
    stop.abort();
    await done;
    await sleep(50);
    expect(site.received.filter(({ type }) => type === "StatusUnsubscribe")).toEqual([]);
  });

  test("hands on updates with their own time, also what was told before it subscribed", async () => {
    const { site, connection } = await together();
    const se = [false, false, true, false, false, false, false, false];
    await site.verdict(site.say("AggregatedStatus", { cId: "TC1", aSTS: now(), fP: null, fS: null, se }));
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: heard, signal: stop.signal });
    expect(heard.values).toEqual([{ index: 3, answer: expect.objectContaining({ value: true }) as Answer }]);
    const sTs = "2026-03-01T08:00:00.250Z";
    const update = (s: string, q: string) =>
      site.say("StatusUpdate", { cId: "TC1", sTs, sS: [{ sCI: "S0001", n: "signalgroupstatus", s, q }] });
    await site.verdict(update("1B", "recent"));
    await site.verdict(update("B1", "old"));
    const values = heard.values.slice(1);
    expect(values.map(({ index }) => index)).toEqual([0, 1, 0, 1]);
    expect(values[0]!.answer).toEqual({ value: "1", status: "good", sourceTimeMs: Date.parse(sTs) });
    expect(values[2]!.answer).toMatchObject({ value: "B", status: "good", code: "rsmp-old", past: true });
    const before = heard.signs;
    await site.verdict(site.say("Watchdog", { wTs: now() }));
    expect(heard.signs).toBe(before + 1);
    stop.abort();
    await done;
  });

  test("an aggregated status that is older than the last one is of the past", async () => {
    const { site, connection } = await together();
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: heard, signal: stop.signal });
    const tell = (offsetMs: number) =>
      site.verdict(
        site.say("AggregatedStatus", {
          cId: "TC1",
          aSTS: now(offsetMs),
          fP: "",
          fS: "",
          se: Array(8).fill(true),
        }),
      );
    await tell(0);
    await tell(-60_000);
    expect(heard.values.map(({ answer }) => (answer as { past?: boolean }).past)).toEqual([undefined, true]);
    stop.abort();
    await done;
  });

  test("leaves to the poll what the site refuses to push", async () => {
    const { site, connection } = await together();
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: heard, signal: stop.signal });
    for (let i = 0; i < 3; i++) {
      const request = await site.next("StatusSubscribe");
      const isWrong = itemsOf(request).some(({ sCI }) => sCI === "S0205");
      site.acknowledge(request, ...(isWrong ? ["no S0205"] : []));
    }
    await until(() => heard.polled.length > 0);
    expect(heard.polled).toEqual([2]);
    stop.abort();
    await done;
  });

  test("leaves to the poll what the site does not know, but not what it knew before", async () => {
    const { site, connection } = await together();
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points, records: [], sink: heard, signal: stop.signal });
    const tell = (sCI: string, n: string, s: string | null) =>
      site.verdict(
        site.say("StatusUpdate", {
          cId: "TC1",
          sTs: now(),
          sS: [{ sCI, n, s, q: s === null ? "unknown" : "recent" }],
        }),
      );
    await tell("S0001", "signalgroupstatus", "1B");
    await tell("S0001", "signalgroupstatus", null);
    expect(heard.polled).toEqual([]);
    await tell("S0205", "vehicles", null);
    expect(heard.polled).toEqual([2]);
    stop.abort();
    await done;
  });

  test("ends with the reason when the site hangs up", async () => {
    const { site, connection } = await together();
    const done = codeOf(connection.subscribe!({ points, records: [], sink: new Heard(), signal: patient() }));
    await site.next("StatusSubscribe");
    site.hangUp();
    expect(await done).toBe("hung-up");
  });
});
