import { readFileSync, statSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { TwinDesk } from "./desk.ts";
import type { Have } from "./have.ts";
import { type KeptTwin, twinFile } from "./kept.ts";
import { Box, bytesOf, documentOf, ioc, siteOf, stranger } from "./testing.ts";

/** What becomes of a genuine document: tried, watched, taken back, kept, and found again by the next start. */

let box: Box;
afterEach(() => box.close());

const poll = (pump: string) => ({ polls: { pump } });
const pollMs = () => box.live.sites.at(-1)?.devices.map((device) => device.pollMs.normal);
const states = () => box.haves.map(({ ver, state }) => `${ver} ${state}`);
const ended = () =>
  box.records
    .filter(({ ev }) => ev.startsWith("twin-"))
    .map((one) => `${String(one["ver"])} ${one.ev.slice(5)}`);
const isApplied = ({ state }: Have) => state === "applied";
const kept = () => JSON.parse(readFileSync(twinFile(box.state), "utf8")) as KeptTwin;
const keep = (text: string) => writeFileSync(twinFile(box.state), text);
/** A site without the second device. */
const smaller = () => {
  const site = siteOf();
  return { ...site, devices: site.devices.slice(0, 1) };
};

describe("a document", () => {
  it("is staged, watched and applied; comes again and is no news; an empty one is nothing", async () => {
    box = await Box.open();
    const document = documentOf(1, poll("2s"));
    expect(await box.take(document)).toMatchObject({
      state: "applied",
      running: { ver: 1, hash: document.hash },
    });
    expect(pollMs()).toEqual([2000, 1000]);
    expect(ended()).toEqual(["1 staged", "1 applied"]);
    expect(statSync(twinFile(box.state)).mode & 0o777).toBe(0o600);
    box.haves.length = 0;
    box.desk.take(Buffer.alloc(0));
    box.desk.take(bytesOf(document));
    await box.until(isApplied);
    expect([states(), ended()]).toEqual([["1 applied"], ["1 staged", "1 applied"]]);
    expect((await box.engine.history()).map(({ how, twin }) => [how, twin?.ver])).toEqual([
      ["twin", 1],
      ["start", undefined],
    ]);
  });

  it("that wants nothing goes back to the files alone", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    expect(await box.take(documentOf(2, {}))).toMatchObject({ state: "applied", running: { ver: 2 } });
    expect(pollMs()).toEqual([1000, 1000]);
  });

  it("that does harm is taken back by itself, and is not tried again", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    const harmful = documentOf(2, poll("1ms"));
    box.live.breaks = "pump";
    box.desk.take(bytesOf(harmful));
    await box.until(({ state }) => state === "staged");
    const have = await box.until(({ state }) => state !== "staged");
    expect(have).toMatchObject({ ver: 2, state: "rolledback", running: { ver: 1 } });
    expect(have.errors).toMatchObject([{ code: "KERB-TWIN-HARM", text: expect.stringContaining("pump") }]);
    expect(pollMs()).toEqual([2000, 1000]);
    box.desk.take(bytesOf(harmful));
    await box.stop();
    await box.start();
    box.desk.take(bytesOf(harmful));
    expect(await box.until(({ ver }) => ver === 2)).toMatchObject({
      state: "rolledback",
      running: { ver: 1 },
    });
    expect(ended()).toEqual(["1 staged", "1 applied", "2 staged", "2 rolledback"]);
  });

  it("waits for what is watched, and gives way to a newer one", async () => {
    box = await Box.open();
    await box.engine.apply({ by: "an", how: "apply" });
    box.write(siteOf({ gateway: { id: "gw-01", name: "Tủ mới", city: "test", state: "./state" } }));
    await box.engine.apply({ by: "an", how: "apply", watchMs: 800 });
    box.desk.take(bytesOf(documentOf(1, poll("2s"))));
    box.desk.take(bytesOf(documentOf(2, poll("3s"))));
    await box.until(({ ver }) => ver === 2);
    expect(pollMs()).toEqual([1000, 1000]);
    await box.until(({ ver, state }) => ver === 2 && state === "applied");
    expect(ended()).toEqual(["1 staged", "1 rejected", "2 staged", "2 applied"]);
    expect(box.records.find(({ ev }) => ev === "twin-rejected")).toMatchObject({
      code: "KERB-TWIN-SUPERSEDED",
    });
    expect([pollMs(), kept().taken.tries]).toEqual([[3000, 1000], 1]);
  });

  it("under watch comes to its own end before a newer one is begun", async () => {
    box = await Box.open();
    box.desk.take(bytesOf(documentOf(1, poll("2s"))));
    box.desk.take(bytesOf(documentOf(2, poll("3s"))));
    await box.until(({ ver, state }) => ver === 2 && state === "applied");
    expect(ended()).toEqual(["1 staged", "2 staged", "1 applied", "2 applied"]);
  });

  it("that waits for its turn while the gateway stops is tried by the next start", async () => {
    box = await Box.open();
    const held = Promise.withResolvers<void>();
    box.live.change = () => held.promise;
    const site = siteOf();
    const devices = (site.devices as object[]).map((device) => ({ ...device, poll: "5s" }));
    box.write({ ...site, devices });
    const applying = box.engine.apply({ by: "an", how: "apply" });
    await expect.poll(async () => (await box.engine.history()).length).toBe(2);
    box.desk.take(bytesOf(documentOf(1, poll("2s"))));
    await expect.poll(() => kept().taken.tries).toBe(1);
    const stopping = box.stop();
    held.resolve();
    await Promise.all([stopping, applying]);
    expect(kept().taken).toMatchObject({ state: "staged", tries: 0, errors: [] });
    await box.start();
    expect(await box.until(({ state }) => state !== "staged")).toMatchObject({ ver: 1, state: "applied" });
  });

  it("of nobody who might speak is looked at again when the site file lets him", async () => {
    const { twin, ...closed } = siteOf() as Record<string, unknown>;
    box = await Box.open(closed);
    const bytes = bytesOf(documentOf(1, poll("2s")));
    box.desk.take(bytes);
    await box.until(({ errors }) => errors[0]?.code === "KERB-TWIN-OFF");
    box.write({ ...closed, twin });
    await box.engine.apply({ by: "an", how: "apply", watchMs: 10 });
    box.desk.renew({ allow: ["polls"], issuers: [{ id: "ioc", key: ioc.key }], watchMs: 10 });
    box.desk.take(bytes);
    expect(
      await box.until(({ ver, state }) => ver === 1 && state !== "staged" && state !== "rejected"),
    ).toMatchObject({ state: "applied" });
  });

  it("that is only counted is told of at the stop", async () => {
    box = await Box.open();
    await box.desk.close();
    const counted: Record<string, number>[] = [];
    const taken: string[] = [];
    const desk = new TwinDesk({
      gateway: "gw-01",
      stateFolder: box.state,
      config: box.engine,
      twin: { allow: ["polls"], issuers: [{ id: "ioc", key: ioc.key }], watchMs: 10 },
      publish: () => {},
      record: ({ state, code = "" }) => Promise.resolve(void taken.push(`${state} ${code}`)),
      suppressed: (codes) => counted.push(codes),
      log: () => {},
      budgets: { unsigned: 1 },
    });
    for (const bytes of ["{", "{}", "[]", JSON.stringify(documentOf(1, {}))]) desk.take(Buffer.from(bytes));
    await expect.poll(() => taken).toContain("staged ");
    expect(taken[0]).toBe("rejected KERB-TWIN-JSON");
    await desk.close();
    expect(counted).toEqual([{ "KERB-TWIN-SCHEMA": 1, "KERB-TWIN-JSON": 1 }]);
  });

  it("takes over nothing of what somebody on site has not applied yet", async () => {
    box = await Box.open();
    box.write(siteOf({ commands: { ...(siteOf()["commands"] as object), ratePerMinute: 7 } }));
    await box.take(documentOf(1, poll("2s")));
    expect(box.live.sites.at(-1)?.commands.ratePerMinute).toBe(60);
    expect((await box.engine.standing()).filesDiffer).toBe(true);
    await box.engine.apply({ by: "an", how: "apply", watchMs: 1 });
    expect(box.live.sites.at(-1)?.commands.ratePerMinute).toBe(7);
    expect(pollMs()).toEqual([2000, 1000]);
  });
});

describe("the local hand", () => {
  it("goes back, and what was wanted does not come again by itself", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    await box.take(documentOf(2, poll("3s")));
    await box.engine.rollback(2, { by: "ky-thuat", watchMs: 1 });
    const have = await box.until(({ state }) => state === "rolledback");
    expect(have).toMatchObject({ ver: 2, running: { ver: 1 }, errors: [{ code: "KERB-TWIN-LOCAL" }] });
    expect(pollMs()).toEqual([2000, 1000]);
    expect(kept().laid?.ver).toBe(1);
    await box.stop();
    await box.start();
    expect(box.site.devices[0]?.pollMs.normal).toBe(2000);
    expect(await box.until(({ ver }) => ver === 2)).toMatchObject({
      state: "rolledback",
      running: { ver: 1 },
    });
    await box.engine.rollback(1, { by: "ky-thuat", watchMs: 1 });
    await box.until(({ running }) => running.ver === 0);
    expect([pollMs(), kept().laid]).toEqual([[1000, 1000], null]);
  });

  it("ends what is still watched", async () => {
    box = await Box.open();
    await box.stop();
    await box.start(60_000);
    box.desk.take(bytesOf(documentOf(1, poll("2s"))));
    await expect.poll(() => pollMs()).toEqual([2000, 1000]);
    await box.engine.rollback(1, { by: "ky-thuat" });
    const have = await box.until(({ state }) => state !== "staged");
    expect(have).toMatchObject({
      state: "rolledback",
      errors: [{ code: "KERB-TWIN-LOCAL" }],
      running: { ver: 0 },
    });
  });

  it("changes the files so that it does not fit: they run alone until it fits again", async () => {
    box = await Box.open();
    await box.take(documentOf(1, { polls: { pump: "2s", gate: "3s" } }));
    box.write(smaller());
    await box.engine.apply({ by: "an", how: "apply", watchMs: 1 });
    const have = await box.until(({ state }) => state === "rejected");
    expect(have).toMatchObject({
      ver: 1,
      running: { ver: 0 },
      errors: [{ code: "KERB-TWIN-DEVICE", path: "polls.gate" }],
    });
    expect(pollMs()).toEqual([1000]);
    expect((await box.engine.standing()).twin).toMatchObject({ misfit: true });
    await box.stop();
    await box.start();
    await box.until(({ state, running }) => state === "rejected" && running.ver === 0);
    box.write(siteOf());
    await box.engine.apply({ by: "an", how: "apply", watchMs: 1 });
    await box.until(({ state, running }) => state === "applied" && running.ver === 1);
    expect(pollMs()).toEqual([2000, 3000]);
    expect((await box.engine.standing()).twin).not.toHaveProperty("misfit");
  });

  it("takes the issuer's right away, and what he wanted with it", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    box.write(siteOf({ twin: { allow: ["polls"], issuers: ["depot"] } }));
    await box.engine.apply({ by: "an", how: "apply", watchMs: 1 });
    const have = await box.until(({ state }) => state === "rejected");
    expect(have.errors).toMatchObject([{ code: "KERB-TWIN-ISSUER" }]);
    expect(pollMs()).toEqual([1000, 1000]);
  });
});

describe("a start", () => {
  it("finds what was applied, also in safe mode, and reports it", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    await box.stop();
    const sound = readFileSync(box.file, "utf8");
    writeFileSync(box.file, sound.replace('"version": 1', '"version": 2'));
    await box.start();
    expect((await box.engine.standing()).safeMode).toBeDefined();
    expect(box.site.devices[0]?.pollMs.normal).toBe(2000);
    expect(await box.take(documentOf(2, poll("3s")))).toMatchObject({ state: "applied" });
    expect((await box.engine.standing()).safeMode).toBeDefined();
    await box.stop();
    writeFileSync(box.file, sound);
    await box.start();
    expect(box.site.devices[0]?.pollMs.normal).toBe(3000);
    expect(await box.until(isApplied)).toMatchObject({ ver: 2, running: { ver: 2 } });
  });

  it("tries what was staged at most twice more", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    await box.stop();
    await box.start(60_000);
    box.desk.take(bytesOf(documentOf(2, poll("3s"))));
    for (const tries of [1, 2, 3]) {
      await expect.poll(() => [pollMs(), kept().taken.tries]).toEqual([[3000, 1000], tries]);
      // oxlint-disable-next-line no-loop-func
      await expect.poll(async () => (await box.engine.standing()).pending).toBeDefined();
      await box.cut();
      box.live.sites.length = 0;
      await box.start(60_000);
    }
    const have = await box.until(({ state }) => state === "rolledback");
    expect(have).toMatchObject({ ver: 2, running: { ver: 1 }, errors: [{ code: "KERB-TWIN-CRASH" }] });
    expect([box.live.sites, box.site.devices[0]?.pollMs.normal]).toEqual([[], 2000]);
    await box.cut();
    await box.start();
    expect(await box.until(({ ver }) => ver === 2)).toMatchObject({
      state: "rolledback",
      running: { ver: 1 },
    });
  });

  it("knows what was settled just before the power went", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    box.desk.take(bytesOf(documentOf(2, poll("3s"))));
    await box.until(({ ver, state }) => ver === 2 && state === "staged");
    await expect.poll(() => kept().taken.tries).toBe(1);
    const staged = readFileSync(twinFile(box.state), "utf8");
    await box.until(({ ver, state }) => ver === 2 && state === "applied");
    const { length } = await box.engine.history();
    await box.cut();
    keep(staged);
    await box.start();
    expect(box.site.devices[0]?.pollMs.normal).toBe(3000);
    expect(await box.until(isApplied)).toMatchObject({ ver: 2, running: { ver: 2 } });
    expect(await box.engine.history()).toHaveLength(length);
    expect(kept()).toMatchObject({ laid: { ver: 2 }, taken: { state: "applied" } });
  });

  it("takes what is damaged or forged on the disk for nothing", async () => {
    box = await Box.open();
    await box.take(documentOf(1, poll("2s")));
    const whole = kept();
    const forged = { ...documentOf(2, poll("9s"), {}, stranger.secret) };
    const edited = { ...whole.laid, cfg: poll("9s") };
    for (const text of [
      "{",
      "null",
      "{}",
      JSON.stringify({ ...whole, laid: forged }),
      JSON.stringify({ ...whole, laid: edited }),
    ]) {
      await box.stop();
      keep(text);
      // The files are others than those of the generation: what lies over them is looked up.
      box.write(siteOf({ outbox: { commitEvents: text.length } }));
      await box.start();
      expect(box.site.devices[0]?.pollMs.normal).toBe(1000);
    }
    expect(ioc.key).not.toBe(stranger.key);
  });
});
