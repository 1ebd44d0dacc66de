import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { segmentFile } from "./journal-lines.ts";
import type { CommandsConfig } from "./policy.ts";
import { arming, committing, take } from "./test-attacks-rights.ts";
import { recordsOf, signed, Site, stranger, topicOf } from "./testing.ts";

/** What was told as the end of a command is its end; and nobody can crowd the audit or the answers out. */

const root = mkdtempSync(join(tmpdir(), "kerb-finality-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = (config: Partial<CommandsConfig> = {}) => new Site(join(root, String(++folders)), config);
const online = { state: "online", writable: true };
const ofKind = async ({ folder }: Site, kind: string) =>
  (await recordsOf(folder)).filter(({ ev }) => ev === kind);

describe("a command that was refused", () => {
  it("stays refused after any amount of garbage, and is on the record", async () => {
    const site = fresh();
    let desk = await site.open();
    for (let i = 0; i < 150; i++) await desk.take(Buffer.from("{"), topicOf("light-01"));
    site.facts.set("light-01", { state: "lost", writable: true });
    const content = site.content();
    expect(await take(desk, content)).toMatchObject({ state: "rejected", code: "KERB-CMD-OFFLINE" });
    site.facts.set("light-01", online);
    expect(await take(desk, content)).toMatchObject({ code: "KERB-CMD-OFFLINE", replay: true });
    await desk.close();
    const codes = (await ofKind(site, "refused")).map(({ code }) => code);
    expect(codes).toContain("KERB-CMD-OFFLINE");
    desk = await site.open();
    expect(await take(desk, content)).toMatchObject({ code: "KERB-CMD-OFFLINE", replay: true });
    expect(site.field.writes).toEqual([]);
    await desk.close();
  });

  it("stays refused where there are too many for the record, which says so", async () => {
    const site = fresh();
    const desk = await site.open({ budgets: { signed: 1 } });
    site.facts.set("light-01", { state: "lost", writable: true });
    const [first, second] = [site.content(), site.content()];
    await take(desk, first);
    expect(await take(desk, second)).toMatchObject({ code: "KERB-CMD-OFFLINE", unrecorded: true });
    site.facts.set("light-01", online);
    expect(await take(desk, second)).toMatchObject({ code: "KERB-CMD-OFFLINE", replay: true });
    expect(site.field.writes).toEqual([]);
    await desk.close();
  });

  it("because the gateway stops stays refused after it has started again", async () => {
    const site = fresh();
    const desk = await site.open();
    const release = site.field.hold();
    const first = take(desk, site.content());
    await expect.poll(() => site.field.writes.length).toBe(1);
    const closing = desk.close();
    const content = site.content({ args: { dim: 45 } });
    expect(await take(desk, content)).toMatchObject({ state: "rejected", code: "KERB-CMD-STOPPING" });
    release();
    await Promise.all([first, closing]);
    const late = site.content({ args: { dim: 55 } });
    expect(await take(desk, late)).toMatchObject({ code: "KERB-CMD-STOPPING", unrecorded: true });
    // It cannot be kept, so it is not told for good either.
    expect(site.told.filter(({ id }) => id === late.id)).toEqual([]);
    const again = await site.open();
    expect(await take(again, content)).toMatchObject({ code: "KERB-CMD-STOPPING", replay: true });
    expect(site.field.writes).toHaveLength(1);
    await again.close();
  });

  it("because its record has failed stays refused where its result could be recorded", async () => {
    for (const mode of ["execute", "arm"] as const) {
      const site = fresh();
      const next = join(site.folder, segmentFile(2));
      const desk = await site.open({
        // The disk has its fault while the command is accepted and begun, and none once it has a result.
        now: () => {
          if (new Error().stack?.includes("Bench.result") === true)
            rmSync(next, { recursive: true, force: true });
          return site.now;
        },
        segmentBytesMax: 1,
      });
      mkdirSync(next);
      const content = site.content({ mode });
      const state = await take(desk, content);
      expect(state).toMatchObject({ state: "rejected", code: "KERB-CMD-JOURNAL" });
      expect(state.unrecorded).toBeUndefined();
      await desk.close();
      const again = await site.open();
      expect(await take(again, content)).toMatchObject({ code: "KERB-CMD-JOURNAL", replay: true });
      expect(site.field.writes).toEqual([]);
      await again.close();
    }
  });

  it("for its issuer's rate does not count for that rate", async () => {
    const site = fresh({ ratePerMinute: 2 });
    const desk = await site.open();
    for (let second = 0; second < 120; second += 10) {
      const state = await take(desk, site.content());
      expect([second, state.state]).toEqual([second, second % 60 < 20 ? "done" : "rejected"]);
      site.pass(10_000);
    }
    await desk.close();
  });

  it("leaves no token and no nonce in the journal that is still good", async () => {
    const site = fresh();
    const desk = await site.open();
    const armed = await arming()(site, desk);
    const wrong = committing({ args: { text: "Đường đóng" } })(site, armed);
    expect(await desk.take(wrong.bytes, wrong.topic)).toMatchObject({ code: "KERB-CMD-ARM-OTHER" });
    site.now.clock = "unsynced";
    const { nonce = "" } = await take(desk, site.content());
    expect(await take(desk, site.content({ nonce, args: { dim: 1000 } }))).toMatchObject({
      code: "KERB-CMD-LIMIT",
    });
    site.now.clock = "synced";
    const right = committing({})(site, armed);
    const text = JSON.stringify(await recordsOf(site.folder));
    expect(text).not.toContain(armed.arm);
    expect(text).not.toContain(nonce);
    expect(await desk.take(right.bytes, right.topic)).toMatchObject({ state: "done" });
    await desk.close();
  });
});

describe("a flood", () => {
  it("of one command again and again is neither told without end nor on the record", async () => {
    const site = fresh();
    const desk = await site.open();
    const content = site.content();
    const bytes = signed(content);
    for (let i = 0; i < 400; i++) expect((await desk.take(bytes, topicOf("light-01"))).state).toBe("done");
    expect(site.told.filter(({ replay }) => replay).length).toBeLessThanOrEqual(120);
    await desk.close();
    expect((await ofKind(site, "replay")).length).toBeLessThanOrEqual(6);
    expect((await ofKind(site, "suppressed"))[0]).toMatchObject({ codes: { replay: 393 } });
  });

  it("of what nobody has signed takes a few records a minute", async () => {
    const site = fresh();
    const desk = await site.open();
    for (let i = 0; i < 100; i++) await desk.take(signed(site.content(), stranger), topicOf("light-01"));
    expect(site.told).toHaveLength(6);
    await desk.close();
    expect(await ofKind(site, "refused")).toHaveLength(6);
    expect((await ofKind(site, "suppressed"))[0]).toMatchObject({ codes: { "KERB-CMD-SIGNATURE": 94 } });
  });
});
