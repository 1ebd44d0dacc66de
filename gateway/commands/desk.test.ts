import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { CommandContent } from "./command.ts";
import type { CommandDesk } from "./desk.ts";
import { checkJournal } from "./journal-check.ts";
import { segmentFile, segmentsOf } from "./journal-lines.ts";
import type { CommandsConfig } from "./policy.ts";
import { arming, committing, sign, take } from "./test-attacks-rights.ts";
import { bytesOf, depot, recordsOf, signed, Site, stranger, topicOf } from "./testing.ts";

const root = mkdtempSync(join(tmpdir(), "kerb-desk-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const fresh = (config: Partial<CommandsConfig> = {}) => new Site(join(root, String(++folders)), config);
const stages = ({ told }: Site, id: string) => told.filter((one) => one.id === id).map(({ state }) => state);
const settled = (desk: CommandDesk) => expect.poll(() => desk.pending.unknown).toEqual([]);

describe("a command", () => {
  it("is on the record before it is written, and its result before it is told", async () => {
    const site = fresh();
    const seen: unknown[] = [];
    const onDisk = async () => (await recordsOf(site.folder)).map(({ ev }) => ev);
    site.field.next = async (_, obey) => {
      seen.push(await onDisk());
      return obey();
    };
    const desk = await site.open({
      tell: async (state) => {
        site.told.push(state);
        if (state.state === "done") seen.push((await onDisk()).filter((ev) => ev !== "told"));
      },
    });
    const state = await take(desk, site.content({ reason: "nghiệm thu" }));
    expect(state).toMatchObject({
      v: 1,
      gw: "gw-01",
      dev: "light-01",
      state: "done",
      before: { dim: 50 },
      readBack: { dim: 40 },
      by: "an.nguyen@ioc",
      source: "ioc",
    });
    expect(stages(site, state.id)).toEqual(["accepted", "running", "done"]);
    await expect
      .poll(() => seen)
      .toEqual([
        ["opened", "accepted", "executing"],
        ["opened", "accepted", "executing", "wrote", "result"],
      ]);
    await desk.close();
    const [, accepted] = await recordsOf(site.folder);
    expect(accepted).toMatchObject({ cmd: { id: state.id, reason: "nghiệm thu", sig: expect.any(String) } });
  });

  it("hands back how its sender wants the answer", async () => {
    const site = fresh();
    const replies: unknown[] = [];
    const desk = await site.open({ tell: (_, reply) => void replies.push(reply) });
    const reply = { topic: "hcmc/rsp/v1/ioc", correlation: Buffer.from("7") };
    await desk.take(signed(site.content()), topicOf("light-01"), reply);
    expect(replies).toEqual([reply, reply, reply]);
    await desk.close();
  });

  it("is executed once however often it comes, at once, later and after a restart", async () => {
    const site = fresh();
    let desk = await site.open();
    const content = site.content();
    const all = await Promise.all(Array.from({ length: 5 }, () => take(desk, content)));
    expect(all.map(({ state, replay }) => [state, replay])).toEqual([
      ["done", undefined],
      ...Array.from({ length: 4 }, () => [expect.stringMatching(/accepted|running|done/), true]),
    ]);
    site.pass(600_000);
    expect(await take(desk, content)).toMatchObject({ state: "done", readBack: { dim: 40 }, replay: true });
    await desk.close();
    desk = await site.open();
    expect(await take(desk, content)).toMatchObject({ state: "done", readBack: { dim: 40 }, replay: true });
    const refused = site.content({ args: { dim: 1000 } });
    await take(desk, refused);
    expect(await take(desk, refused)).toMatchObject({
      state: "rejected",
      code: "KERB-CMD-LIMIT",
      replay: true,
    });
    expect(site.field.writes).toHaveLength(1);
    await desk.close();
  });

  it("gives its token again to whoever asks again, and not to the journal", async () => {
    const site = fresh();
    const desk = await site.open();
    const content = site.content({ ...sign, mode: "arm" });
    const armed = await take(desk, content);
    expect(await take(desk, content)).toMatchObject({ arm: armed.arm, replay: true });
    await desk.close();
    expect(JSON.stringify(await recordsOf(site.folder))).not.toContain(armed.arm);
  });

  it("waits for the one before on its device, and dies when that takes too long", async () => {
    const site = fresh();
    const desk = await site.open();
    const release = site.field.hold();
    const first = take(desk, site.content());
    const second = take(desk, site.content({ args: { dim: 45 } }));
    const other = take(desk, site.content({ ...sign, mode: "arm" }));
    expect(await other).toMatchObject({ state: "done" });
    site.pass(31_000);
    release();
    expect(await first).toMatchObject({ state: "done" });
    expect(await second).toMatchObject({ state: "expired", code: "KERB-CMD-EXPIRED" });
    expect(site.field.writes).toHaveLength(1);
    await desk.close();
    expect((await recordsOf(site.folder)).filter(({ ev }) => ev === "executing")).toHaveLength(1);
  });

  it("tells the host by when its write must begin", async () => {
    const site = fresh();
    const desk = await site.open();
    const release = site.field.hold();
    const [first, second] = [take(desk, site.content()), take(desk, site.content({ args: { dim: 45 } }))];
    await expect.poll(() => site.field.writes.length).toBe(1);
    site.pass(25_000);
    release();
    await Promise.all([first, second]);
    expect(site.field.writes).toMatchObject([
      { beginMs: 10_000, timeoutMs: 10_000 },
      { beginMs: 4800, timeoutMs: 10_000 },
    ]);
    await desk.close();
  });

  it("fails where its device has gone while it waited", async () => {
    const site = fresh();
    const desk = await site.open();
    const release = site.field.hold();
    const first = take(desk, site.content());
    const second = take(desk, site.content({ args: { dim: 45 } }));
    await expect.poll(() => site.field.writes.length).toBe(1);
    site.facts.set("light-01", { state: "lost", writable: true });
    release();
    await first;
    expect(await second).toMatchObject({ state: "failed", code: "KERB-CMD-OFFLINE" });
    await desk.close();
  });

  it("is refused where too many wait", async () => {
    const site = fresh();
    const desk = await site.open();
    const release = site.field.hold();
    const waiting = Array.from({ length: 16 }, () => take(desk, site.content()));
    expect(await take(desk, site.content())).toMatchObject({ state: "rejected", code: "KERB-CMD-BUSY" });
    release();
    for (const one of waiting) expect(await one).toMatchObject({ state: "done" });
    await desk.close();
  });

  it("writes its points one by one, and none after one that has failed", async () => {
    const site = fresh();
    const desk = await site.open();
    const args = { lamp: true, dim: 60, scene: "night" };
    site.field.next = async (_, obey) => {
      site.field.next = async () => ({
        state: "failed",
        code: "KERB-CMD-INTERLOCK",
        reason: "the door is shut",
      });
      return obey();
    };
    const state = await take(desk, site.content({ args }));
    expect(state).toMatchObject({ state: "failed", code: "KERB-CMD-PARTIAL", readBack: { lamp: true } });
    expect(state.reason).toBe(
      "written: lamp; failed: dim (KERB-CMD-INTERLOCK: the door is shut); not begun: scene",
    );
    expect(site.field.writes.map(({ point }) => point)).toEqual(["lamp", "dim"]);
    await desk.close();
  });

  it("has failed in part, and not expired, where its time was over between two points", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      site.pass(31_000);
      return obey();
    };
    const state = await take(desk, site.content({ args: { lamp: true, dim: 60 } }));
    expect(state).toMatchObject({ state: "failed", code: "KERB-CMD-PARTIAL" });
    expect(state.reason).toMatch(/^written: lamp; failed: dim \(KERB-CMD-EXPIRED/);
    await desk.close();
  });

  it("has failed in part where one point of which nobody knew was not written", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      site.field.next = () => Promise.reject(new Error("the host has ended"));
      return obey();
    };
    const state = await take(desk, site.content({ args: { lamp: true, dim: 60 } }));
    expect(state).toMatchObject({ state: "unknown", reason: "the host has ended; written: lamp" });
    await settled(desk);
    expect(site.told.findLast(({ id }) => id === state.id)).toMatchObject({
      state: "failed",
      resolved: true,
      code: "KERB-CMD-PARTIAL",
      reason: "written: lamp; not as ordered: dim",
    });
    await desk.close();
  });

  it("of which nobody knows is read until somebody does", async () => {
    const site = fresh();
    const desk = await site.open();
    const cut = (isWritten: boolean) => {
      site.field.next = async (_, obey) => {
        if (isWritten) obey();
        throw new Error("the host has ended");
      };
    };
    cut(true);
    site.field.canRead = false;
    const first = await take(desk, site.content());
    expect(first).toMatchObject({ state: "unknown", code: "KERB-CMD-HOST", reason: "the host has ended" });
    cut(false);
    const second = await take(desk, site.content({ args: { lamp: true } }));
    site.field.canRead = true;
    await settled(desk);
    expect(stages(site, first.id)).toEqual(["accepted", "running", "unknown", "done"]);
    expect(site.told.findLast(({ id }) => id === first.id)).toMatchObject({
      resolved: true,
      readBack: { dim: 40 },
    });
    expect(site.told.findLast(({ id }) => id === second.id)).toMatchObject({
      state: "failed",
      code: "KERB-CMD-NOT-WRITTEN",
      readBack: { lamp: false },
      resolved: true,
    });
    expect(site.field.writes).toHaveLength(2);
    await desk.close();
  });

  it("is unknown where nobody answers, and ends as that where it cannot be read for a day", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async () => ({ state: "maybe" }) as never;
    site.facts.set("light-01", { state: "online", writable: true });
    const state = await take(desk, site.content());
    expect(state).toMatchObject({ state: "unknown", reason: "no such answer" });
    site.facts.set("light-01", { state: "lost", writable: true });
    site.pass(86_400_001);
    await settled(desk);
    expect(site.told.at(-1)).toMatchObject({ state: "unknown", resolved: true, code: "KERB-CMD-UNRESOLVED" });
    await desk.close();
  });

  it("of which nobody knows is read before its point is written to again", async () => {
    const site = fresh();
    const desk = await site.open({ retryFirstMs: 60_000 });
    site.field.next = async (_, obey) => {
      obey();
      throw new Error("the host has ended");
    };
    const first = await take(desk, site.content());
    await take(desk, site.content({ args: { lamp: true } }));
    expect(desk.pending.unknown).toEqual([first.id]);
    await take(desk, site.content({ args: { dim: 45 } }));
    expect(site.told.findLast(({ id }) => id === first.id)).toMatchObject({
      state: "done",
      readBack: { dim: 40 },
    });
    expect(desk.pending.unknown).toEqual([]);
    site.field.next = () => Promise.reject(new Error("the host has ended"));
    const second = await take(desk, site.content({ args: { dim: 50 } }));
    site.field.canRead = false;
    await take(desk, site.content({ args: { dim: 55 } }));
    expect(site.told.findLast(({ id }) => id === second.id)).toMatchObject({
      state: "unknown",
      resolved: true,
      code: "KERB-CMD-UNRESOLVED",
    });
    await desk.close();
  });
});

describe("the desk", () => {
  it("writes nothing that it cannot put on the record, and goes on when it can", async () => {
    const site = fresh();
    const desk = await site.open({ segmentBytesMax: 4000 });
    while ((await recordsOf(site.folder)).length < 5) await take(desk, site.content());
    const next = join(site.folder, segmentFile((await segmentsOf(site.folder)).at(-1)! + 1));
    mkdirSync(next);
    const states = [];
    for (let i = 0; i < 4; i++) states.push(await take(desk, site.content()));
    const failed = states.filter(({ state }) => state === "rejected");
    expect(failed.length).toBeGreaterThan(1);
    expect(failed.at(-1)).toMatchObject({ code: "KERB-CMD-JOURNAL", unrecorded: true });
    const { length } = site.field.writes;
    expect(await take(desk, site.content())).toMatchObject({ state: "rejected", unrecorded: true });
    expect(site.field.writes).toHaveLength(length);
    rmdirSync(next);
    expect(await take(desk, site.content())).toMatchObject({ state: "done" });
    await desk.close();
    expect(existsSync(next)).toBe(true);
    expect((await checkJournal(site.folder)).break).toBeUndefined();
  });

  it("puts so many refused commands a minute on the record, and counts the others", async () => {
    const site = fresh();
    const desk = await site.open({ budgets: { unsigned: 10 } });
    for (let i = 0; i < 50; i++) await desk.take(signed(site.content(), stranger), topicOf("light-01"));
    await desk.take(Buffer.from("{"), topicOf("light-01"));
    expect(site.told).toHaveLength(10);
    await desk.close();
    const records = await recordsOf(site.folder);
    expect(records.filter(({ ev }) => ev === "refused")).toHaveLength(10);
    expect(records.at(-1)).toMatchObject({
      ev: "suppressed",
      codes: { "KERB-CMD-SIGNATURE": 40, "KERB-CMD-JSON": 1 },
    });
  });

  it("is not moved by whoever has not signed: no id is taken, no answer seems another's", async () => {
    const site = fresh();
    const desk = await site.open();
    const content = site.content();
    const forged = (more: Partial<CommandContent>) =>
      desk.take(signed({ ...content, ...more }, stranger), topicOf("light-01"));
    expect(await forged({})).toMatchObject({ id: content.id, unsigned: true });
    expect(await take(desk, content)).toMatchObject({ state: "done" });
    expect(await forged({ args: { dim: 100 } })).toMatchObject({ id: "", code: "KERB-CMD-SIGNATURE" });
    expect(await take(desk, content)).toMatchObject({ state: "done", replay: true });
    for (let i = 0; i < 100; i++) await forged({});
    expect(await take(desk, site.content())).toMatchObject({ state: "done" });
    await desk.close();
  });

  it("does not let an old command use up its issuer's rate", async () => {
    const site = fresh({ ratePerMinute: 3 });
    const desk = await site.open();
    const old = Array.from({ length: 5 }, () => site.content({ notAfter: site.now.wallMs - 1 }));
    for (const one of old) expect(await take(desk, one)).toMatchObject({ code: "KERB-CMD-EXPIRED" });
    const sound = site.content();
    for (let i = 0; i < 5; i++) await take(desk, sound);
    expect(await take(desk, site.content())).toMatchObject({ state: "done" });
    expect(await take(desk, site.content())).toMatchObject({ state: "done" });
    expect(await take(desk, site.content())).toMatchObject({ code: "KERB-CMD-RATE" });
    expect(await take(desk, site.content({ by: "depot" }), depot)).toMatchObject({ state: "done" });
    site.pass(60_000);
    expect(await take(desk, site.content())).toMatchObject({ state: "done" });
    await desk.close();
  });

  it("takes orders of whoever is on site: no signature, no role, and the same bounds", async () => {
    const site = fresh();
    const desk = await site.open();
    site.now.clock = "unsynced";
    site.facts.set("light-01", { state: "online", writable: true, override: "the switch is on local" });
    const by = "Kỹ thuật 1";
    const done = await desk.local({ dev: "light-01", args: { dim: 45 }, by, reason: "nghiệm thu" });
    expect(done).toMatchObject({
      state: "done",
      source: "local",
      by: expect.stringMatching(/^[a-z0-9._-]+@local$/),
    });
    expect(await desk.local({ dev: "light-01", args: { dim: 101 }, by })).toMatchObject({
      code: "KERB-CMD-LIMIT",
    });
    expect(await desk.local({ dev: "light-01", args: { closed: 1 }, by })).toMatchObject({
      code: "KERB-CMD-POINT",
    });
    expect(await desk.local({ dev: "tsc-01", args: { "signal.group1": "x" }, by })).toMatchObject({
      code: "KERB-CMD-PHASE",
    });
    expect(await desk.local({ dev: "sign-01", args: { text: "x" }, by })).toMatchObject({
      code: "KERB-CMD-ARM-NEEDED",
    });
    expect(await desk.local({ dev: "light-01", args: { dim: Number.NaN }, by })).toMatchObject({
      code: "KERB-CMD-SCHEMA",
    });
    const armed = await desk.local({ dev: "sign-01", args: { text: "x" }, by, mode: "arm" });
    const order = { dev: "sign-01", args: { text: "x" }, by, mode: "commit" as const, arm: armed.arm! };
    expect(await desk.local(order)).toMatchObject({ state: "done" });
    expect(site.field.writes).toHaveLength(2);
    await desk.close();
    const refused = (await recordsOf(site.folder)).filter(({ ev }) => ev === "refused");
    expect(refused).toHaveLength(5);
  });

  it("says on the record of an order on site that its author is claimed, and of a signed one not", async () => {
    const site = fresh();
    const desk = await site.open();
    const order = { dev: "light-01", args: { dim: 45 }, by: "schedule" };
    expect(await desk.local(order)).toMatchObject({ source: "local", by: "user-schedule@local" });
    expect(await desk.local({ ...order, args: { dim: 101 } })).toMatchObject({ code: "KERB-CMD-LIMIT" });
    await take(desk, site.content());
    await desk.close();
    const records = (await recordsOf(site.folder)).filter(({ cmd }) => cmd !== undefined);
    expect(records.map(({ ev, claimed }) => [ev, claimed])).toEqual([
      ["accepted", true],
      ["refused", true],
      ["accepted", undefined],
    ]);
  });

  it("ends orderly: what is under way ends, what waits is told that it will not be done", async () => {
    const site = fresh();
    const desk = await site.open();
    site.field.next = async (_, obey) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return obey();
    };
    const [first, second] = [take(desk, site.content()), take(desk, site.content({ args: { dim: 45 } }))];
    await expect.poll(() => site.field.writes.length).toBe(1);
    await desk.close();
    expect(await first).toMatchObject({ state: "done" });
    expect(await second).toMatchObject({ state: "failed", code: "KERB-CMD-STOPPING" });
    expect(site.field.writes).toHaveLength(1);
    const results = (await recordsOf(site.folder)).filter(({ ev }) => ev === "result");
    expect(results).toHaveLength(2);
  });

  it("tells again after a restart what nobody has taken", async () => {
    const site = fresh();
    const desk = await site.open({ tell: () => Promise.reject(new Error("the outbox is full")) });
    const state = await take(desk, site.content());
    await desk.close();
    const again = await site.open();
    await expect.poll(() => site.told).toEqual([state]);
    await again.close();
    const last = await site.open();
    await last.close();
    expect(site.told).toHaveLength(1);
  });

  it("keeps two steps apart that are two commands' business", async () => {
    const site = fresh();
    const desk = await site.open();
    const armed = await arming()(site, desk);
    const { bytes, topic } = committing({ arm: "B".repeat(22) })(site, armed);
    expect(await desk.take(bytes, topic)).toMatchObject({ code: "KERB-CMD-ARM-UNKNOWN" });
    expect(await desk.take(bytesOf({}), topic)).toMatchObject({ code: "KERB-CMD-SCHEMA" });
    const right = committing({})(site, armed);
    const all = await Promise.all([
      desk.take(right.bytes, topic),
      desk.take(committing({})(site, armed).bytes, topic),
    ]);
    expect(all.map(({ state }) => state).toSorted()).toEqual(["done", "rejected"]);
    expect(site.field.writes).toHaveLength(1);
    await desk.close();
  });
});
