import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { codeOf, met, patient, ScriptedSite, stage } from "./testing.ts";
import { keep } from "./test-site.ts";

/** From the call to the acknowledged watchdogs, and what is refused on the way (RSMP 3.2.2, 4.3.3 and 4.3.5). */

describe("the handshake", () => {
  test("goes step by step: acknowledgement, version, watchdog after the site's", async () => {
    const on = await stage({ sxl: ["1.2.1"] });
    const connecting = on.connect();
    const site = keep(await ScriptedSite.call(on.port));
    expect(await site.verdict(site.version("SITE-1", { versions: ["3.1.5", "3.2.1"] }))).toEqual({
      mType: "rSMsg",
      type: "MessageAck",
      oMId: expect.any(String) as string,
    });
    const version = await site.next("Version");
    expect(version).toMatchObject({ siteId: [{ sId: "SITE-1" }], SXL: "1.2.1" });
    expect(version["RSMP"]).toContainEqual({ vers: "3.2.1" });
    site.acknowledge(version);
    await sleep(50);
    expect(site.received).toEqual([]);
    const watchdog = site.say("Watchdog", { wTs: new Date().toISOString() });
    expect(await site.verdict(watchdog)).toMatchObject({ type: "MessageAck" });
    const theirs = await site.next("Watchdog");
    expect(theirs["wTs"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(theirs["mId"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    site.acknowledge(theirs);
    const connection = keep(await connecting);
    const identity = connection.identify(patient());
    const request = await site.next("StatusRequest");
    site.acknowledge(request, "no such status");
    expect(await identity).toMatchObject({ firmware: "1.2.1", more: { site: "SITE-1", rsmp: "3.2.1" } });
  });

  test("spells a version as the site does, and takes the newest that both have", async () => {
    const on = await stage();
    const connecting = on.connect();
    const site = keep(await ScriptedSite.call(on.port));
    const version = await site.shakeHands("SITE-1", { versions: ["3.1.4", "3.2", "3.3.0"] });
    expect(version["RSMP"]).toContainEqual({ vers: "3.2" });
    expect(version["RSMP"]).not.toContainEqual({ vers: "3.2.0" });
    const connection = keep(await connecting);
    const identity = connection.identify(patient());
    site.acknowledge(await site.next("StatusRequest"), "no");
    expect((await identity).more).toMatchObject({ rsmp: "3.2.0" });
  });

  test("knows the fields that a later version adds to Version, and does not mind them", async () => {
    const on = await stage();
    const connecting = on.connect();
    const site = keep(await ScriptedSite.call(on.port));
    await site.shakeHands("SITE-1", {
      versions: ["3.2.2", "3.3.0"],
      step: "Request",
      SXLS: [{ name: "tlc", version: "1.2.1" }],
    });
    keep(await connecting);
  });

  test.each([
    [{ versions: ["3.3.0"] }, "RSMP versions [3.3.0] requested, but only [3.1.2,3.1.3"],
    [{ sxl: "1.0.13" }, "SXL version 1.0.13 requested, but only [1.2.1] supported"],
  ])("refuses %j with the reason, and hangs up", async (version, reason) => {
    const on = await stage({ sxl: ["1.2.1"] });
    const connecting = codeOf(on.connect());
    const site = keep(await ScriptedSite.call(on.port));
    const verdict = await site.verdict(site.version("SITE-1", version));
    expect(verdict).toMatchObject({ type: "MessageNotAck" });
    expect(verdict["rea"]).toContain(reason);
    await site.gone();
    expect(await connecting).toBe("rejected");
  });

  test("takes the reason of a site that refuses kerb's version", async () => {
    const on = await stage();
    const connecting = on.connect();
    const site = keep(await ScriptedSite.call(on.port));
    site.version("SITE-1");
    site.acknowledge(await site.next("Version"), "wrong supervisor");
    await expect(connecting).rejects.toThrow(/wrong supervisor/);
  });

  test("acknowledges nothing but Version before versions are exchanged", async () => {
    const on = await stage({ timeout: 400 });
    const connecting = codeOf(on.connect());
    const site = keep(await ScriptedSite.call(on.port));
    site.version("SITE-1");
    await site.next("Version");
    site.received.length = 0;
    site.say("Watchdog", { wTs: new Date().toISOString() });
    site.say("AggregatedStatus", {});
    site.say("Nonsense", {});
    await sleep(100);
    expect(site.received).toEqual([]);
    expect(await connecting).toBe("silent");
    await site.gone();
  });

  test("gives up on a site that stops after its version, and on one that sends no watchdog", async () => {
    for (const step of ["no acknowledgement", "no watchdog"]) {
      const on = await stage({ timeout: 300 });
      const connecting = codeOf(on.connect());
      const site = keep(await ScriptedSite.call(on.port));
      site.version("SITE-1");
      const version = await site.next("Version");
      if (step === "no watchdog") site.acknowledge(version);
      expect(await connecting, step).toBe("silent");
      await site.gone();
    }
  });
});

describe("who calls", () => {
  test("an unknown site is refused with the reason, and reported once", async () => {
    const on = await stage();
    const connecting = on.connect();
    for (let i = 0; i < 3; i++) {
      const stranger = keep(await ScriptedSite.call(on.port));
      const verdict = await stranger.verdict(stranger.version("NOBODY"));
      expect(verdict).toMatchObject({ type: "MessageNotAck", rea: "Site id [NOBODY] is not known" });
      await stranger.gone();
    }
    expect(on.log.filter((line) => line.includes("NOBODY"))).toHaveLength(1);
    // The host counts each call, and bounds what is told of them.
    expect(on.strangers).toEqual(["NOBODY", "NOBODY", "NOBODY"]);
    const site = keep(await ScriptedSite.call(on.port));
    await site.shakeHands("SITE-1");
    keep(await connecting);
  });

  test("several sites share a port, and each finds its device", async () => {
    const a = await stage();
    const b = await stage({ siteId: "SITE-2" }, a.port);
    const connecting = [a.connect(), b.connect()] as const;
    const siteB = keep(await ScriptedSite.call(a.port));
    const siteA = keep(await ScriptedSite.call(a.port));
    await Promise.all([siteB.shakeHands("SITE-2"), siteA.shakeHands("SITE-1")]);
    const [connectionA, connectionB] = await Promise.all(connecting);
    keep(connectionA);
    keep(connectionB);
    const identity = connectionB.identify(patient());
    siteB.acknowledge(await siteB.next("StatusRequest"), "no");
    expect((await identity).more).toMatchObject({ site: "SITE-2" });
    expect(siteA.received).toEqual([]);
    // The listener stays for the one that is left.
    await connectionB.close();
    await siteB.gone();
    expect(siteA.closed).toBe(false);
  });

  test("two devices with one site id are an error of the configuration", async () => {
    const { on, connection, site } = await met();
    keep(connection);
    keep(site);
    const twin = await stage({}, on.port);
    expect(await codeOf(twin.connect())).toBe("busy");
  });

  test("a second caller of a site that is here is refused; one that is dead gives its place away", async () => {
    const { on, connection, site } = await met({ timeout: 600 });
    keep(connection);
    keep(site);
    const second = keep(await ScriptedSite.call(on.port));
    expect((await second.verdict(second.version("SITE-1")))["rea"]).toBe(
      "Site id [SITE-1] is already connected",
    );
    // It is asked for a sign of life, and gives it.
    site.acknowledge(await site.next("Watchdog"));
    await sleep(700);
    expect(site.closed).toBe(false);
    const third = keep(await ScriptedSite.call(on.port));
    await third.verdict(third.version("SITE-1"));
    // This time it does not.
    await site.gone();
    expect(await codeOf(connection.identify(patient()))).toBe("silent");
  });

  test("a site that calls while nobody waits is kept waiting, and not acknowledged", async () => {
    const { on, connection, site } = await met({ timeout: 3000, reconnect: 1000 });
    await connection.close();
    await site.gone();
    // One that does not fit is told so at once.
    const newer = keep(await ScriptedSite.call(on.port));
    const verdict = await newer.verdict(newer.version("SITE-1", { versions: ["3.3.0"] }));
    expect(verdict).toMatchObject({ type: "MessageNotAck" });
    await newer.gone();
    const again = keep(await ScriptedSite.call(on.port));
    again.version("SITE-1");
    await sleep(200);
    expect(again.received).toEqual([]);
    expect(again.closed).toBe(false);
    const connecting = on.connect();
    again.acknowledge(await again.next("Version"));
    again.say("Watchdog", { wTs: new Date().toISOString() });
    again.acknowledge(await again.next("Watchdog"));
    keep(await connecting);
  });

  test("a site whose device pauses for longer than it calls again is no unknown one", async () => {
    const a = await stage();
    const b = await stage({ siteId: "SITE-2", reconnect: 10 }, a.port);
    const stop = new AbortController();
    const stay = a.connect(stop.signal).catch(() => undefined);
    const give = new AbortController();
    const gone = b.connect(give.signal).catch(() => undefined);
    await sleep(50);
    give.abort();
    await gone;
    await sleep(200);
    const site = keep(await ScriptedSite.call(a.port));
    site.version("SITE-2");
    await sleep(100);
    expect(site.received).toEqual([]);
    expect([...a.strangers, ...b.strangers]).toEqual([]);
    stop.abort();
    await stay;
  });

  test("kerb stops listening a while after the last device has gone", async () => {
    const { on, connection, site } = await met({ reconnect: 50 });
    await connection.close();
    await site.gone();
    await sleep(600);
    const isRefused = await new Promise<boolean>((resolve) => {
      void ScriptedSite.call(on.port).then(
        () => resolve(false),
        () => resolve(true),
      );
      setTimeout(() => resolve(true), 500);
    });
    expect(isRefused).toBe(true);
  });

  test("a port that is taken is busy", async () => {
    const { createServer } = await import("node:net");
    const on = await stage();
    const other = createServer().listen(on.port, "127.0.0.1");
    await sleep(50);
    expect(await codeOf(on.connect())).toBe("busy");
    other.close();
  });
});
