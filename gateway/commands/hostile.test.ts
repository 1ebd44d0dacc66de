import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { commandErrors } from "./error-texts.ts";
import { checkJournal } from "./journal-check.ts";
import { originAttacks } from "./test-attacks-origin.ts";
import { arming, barrier, committing, rightAttacks, take } from "./test-attacks-rights.ts";
import { depot, recordsOf, Site, topicOf } from "./testing.ts";

/** Commands that are hostile or broken: each is refused with its own code, leaves one record, and reaches no device. */

const root = mkdtempSync(join(tmpdir(), "kerb-hostile-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const attacks = [...originAttacks, ...rightAttacks];

describe("hostile and broken commands", () => {
  it("are many, and each of the desk's codes is among them", () => {
    expect(attacks.length).toBeGreaterThanOrEqual(60);
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
    // These come of the broker, of an execution, of too much at once, or of a disk that fails.
    const others = [
      "RETAINED",
      "BUSY",
      "JOURNAL",
      "INTERLOCK",
      "RESTARTED",
      "HOST",
      "NOT-WRITTEN",
      "PARTIAL",
      "UNRESOLVED",
      "LAPSED",
      "BEFORE",
    ];
    const seen = [...attacks.map(({ code }) => code), ...others.map((code) => `KERB-CMD-${code}`)];
    expect(Object.keys(commandErrors).filter((code) => !seen.includes(code))).toEqual([]);
  });

  it.each(attacks)("$name: $code", async ({ code, config, before, send }) => {
    const site = new Site(join(root, String(++folders)), config);
    const desk = await site.open();
    const earlier = (await before?.(site, desk)) ?? undefined;
    const writes = site.field.writes.length;
    const records = (await recordsOf(site.folder)).filter(({ ev }) => ev === "refused").length;
    const { bytes, topic = topicOf("light-01") } = send(site, earlier);
    const state = await desk.take(bytes, topic);
    expect(state).toMatchObject({ state: "rejected", code });
    expect(state.reason).toMatch(/^\P{Cc}{5,300}$/u);
    await desk.close();
    expect(site.field.writes).toHaveLength(writes);
    if (code === "KERB-CMD-STOPPING") return;
    const refused = (await recordsOf(site.folder)).filter(({ ev }) => ev === "refused").slice(records);
    expect(refused).toEqual([expect.objectContaining({ code })]);
    expect(site.told.filter((told) => told.code === code)).toEqual([state]);
    expect((await checkJournal(site.folder)).break).toBeUndefined();
  });

  it("cannot open a signal phase, whatever the site file lists", () => {
    const { policy } = new Site("unused");
    expect(policy.point("tsc-01", "plan")).toBeDefined();
    expect(policy.point("tsc-01", "signal.group1")).toBeUndefined();
  });

  it("would be executed without what is wrong with them", async () => {
    const site = new Site(join(root, String(++folders)));
    const desk = await site.open();
    expect(await take(desk, site.content())).toMatchObject({ state: "done", readBack: { dim: 40 } });
    expect(await take(desk, site.content({ by: "depot" }), depot)).toMatchObject({ state: "done" });
    for (const args of [{ lamp: true, scene: "night" }, { "flow.L1": 2.5 }, { dim: 10 }, { dim: 100 }])
      expect(await take(desk, site.content({ args }))).toMatchObject({ state: "done", readBack: args });
    const armed = await arming()(site, desk);
    expect(armed).toMatchObject({ state: "done", armMs: 15_000 });
    const { bytes, topic } = committing({})(site, armed);
    expect(await desk.take(bytes, topic)).toMatchObject({ state: "done", readBack: { text: "Đi chậm" } });
    const first = await arming(barrier)(site, desk);
    const second = committing({ ...barrier, by: "binh.tran@ioc" })(site, first);
    expect(await desk.take(second.bytes, second.topic)).toMatchObject({ state: "done" });
    site.now.clock = "unsynced";
    const challenged = await take(desk, site.content());
    expect(challenged).toMatchObject({ code: "KERB-CMD-CLOCK", nonceMs: 60_000 });
    expect(await take(desk, site.content({ nonce: challenged.nonce! }))).toMatchObject({ state: "done" });
    expect(site.field.writes).toHaveLength(10);
    await desk.close();
  });
});
