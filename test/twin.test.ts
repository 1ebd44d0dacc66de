import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkJournal } from "../gateway/commands/journal-check.ts";
import { readLine } from "../gateway/commands/journal-lines.ts";
import { Commander } from "../gateway/receiver/commands/commander.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf } from "../gateway/receiver/commands/make.ts";
import { receiverApi } from "../gateway/receiver/http.ts";
import { BrokerLink } from "../gateway/receiver/mqtt.ts";
import { Receiver } from "../gateway/receiver/receiver.ts";
import { mosquittoPath, TestClient } from "../gateway/receiver/testing.ts";
import type { TwinRow } from "../gateway/receiver/twin/record.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Have } from "../gateway/twin/have.ts";
import { run } from "./cli-said.ts";
import { city, gatewayId, TwinRig } from "./twin-rig.ts";
import { expectUndisturbed, report } from "./undisturbed.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const haveTopic = `${city}/twin/v1/${gatewayId}/have`;

/** Each test goes on where the one before has ended. */
describe.skipIf(mosquittoPath === undefined)("the twin of a gateway that runs", () => {
  let rig: TwinRig;
  beforeAll(async () => {
    rig = await TwinRig.start();
  }, 60_000);
  afterAll(() => rig.close());

  it("applies only what has changed; the neighbour misses no poll", async () => {
    const written = readFileSync(rig.file, "utf8");
    const before = await rig.until((status) => (report(status, "next")?.answered ?? 0) > 2);
    const document = rig.document({ polls: { weak: "150ms" }, deadBands: { weak: { level: 2 } } });
    const heard: string[] = [];
    const followed = await rig.sender.send(document, {
      heard: ({ state }) => heard.push(state),
      waitMs: 15_000,
    });
    expect(heard).toEqual(["staged", "applied"]);
    const { ver, hash } = document;
    expect(followed.last).toMatchObject({ ver, hash, errors: [], running: { ver, hash } });
    const after = await rig.ask<GatewayStatus>("status");
    expectUndisturbed(before, after, "next");
    expect(after.configuration).toMatchObject({ how: "twin", by: "an.nguyen@ioc", filesDiffer: false });
    expect(after.configuration?.twin).toMatchObject({ ver, state: "applied", by: "an.nguyen@ioc" });
    expect(readFileSync(rig.file, "utf8")).toBe(written);
    expect(statSync(join(rig.state, "twin.json")).mode & 0o777).toBe(0o600);
  });

  it("takes back by itself what a device cannot bear", async () => {
    const running = rig.kept.taken.document.ver;
    const weak = rig.simulators.get("weak");
    const quick = rig.document({ polls: { weak: "20ms" } });
    const sent = rig.sender.send(quick, { waitMs: 20_000 });
    await rig.until(({ configuration: now }) => now?.pending !== undefined);
    weak?.fault("silent");
    const followed = await sent;
    weak?.fault(undefined);
    expect(followed.last).toMatchObject({
      state: "rolledback",
      errors: [{ code: "KERB-TWIN-HARM", text: expect.stringContaining("weak") }],
      running: { ver: running },
    });
    const { configuration } = await rig.until(({ devices }) =>
      devices.every(({ state }) => state === "online"),
    );
    expect(configuration?.twin?.runs?.changes).toContainEqual(
      expect.objectContaining({ device: "weak", of: "normal", before: "200 ms", after: "150 ms" }),
    );
    // The broker has it still: a new connection brings it again, and nothing happens.
    const { generation } = configuration ?? {};
    await rig.broker.kill();
    await rig.broker.restart();
    const client = await TestClient.connect(rig.broker.url, [haveTopic]);
    expect(await client.next<Have>(haveTopic, () => true)).toMatchObject({
      ver: quick.ver,
      state: "rolledback",
    });
    await client.end();
    expect((await rig.ask<GatewayStatus>("status")).configuration?.generation).toBe(generation);
  });

  it("adds a key that commands at once, and never one that configures", async () => {
    const crew = issuerKeyOf(newIssuerKey().pem);
    const issuers = [{ id: "crew", key: publicKeyOf(crew), roles: ["field"] }];
    const { state } = await rig.sender.send(rig.document({ issuers }), { waitMs: 15_000 });
    expect(state).toBe("applied");
    const commander = new Commander({ broker: rig.broker.url, city });
    commander.open();
    const wanted = { gateway: gatewayId, device: "next", args: { level: 55 }, by: "dem@crew", role: "field" };
    expect((await commander.execute(wanted, crew)).state).toBe("done");
    await commander.close();
    const own = rig.document({ polls: { next: "1ms" } }, undefined, "dem@crew", crew);
    const refused = await rig.sender.send(own, { waitMs: 15_000 });
    expect(refused.last).toMatchObject({ state: "rejected", errors: [{ code: "KERB-TWIN-ISSUER" }] });
  });

  it("is on the record, in the IOC's custody, and at the receiver", async () => {
    const receiver = new Receiver({ database: join(rig.folder, "receiver.db"), ackIntervalMs: 200 });
    const link = new BrokerLink(receiver, { broker: rig.broker.url, city, name: "ioc", retryFirstMs: 50 });
    link.open();
    const find = async () => {
      const answer = await receiverApi(receiver).request("/twins");
      return answer.status === 200 ? ((await answer.json()) as { twins: TwinRow[] }).twins : [];
    };
    await expect.poll(async () => (await find()).map(({ gateway }) => gateway)).toEqual([gatewayId]);
    expect((await find())[0]?.have).toMatchObject({ gw: gatewayId, state: "rejected" });
    const told = () =>
      receiver
        .events(gatewayId, { epoch: 0, after: 0 }, 1000)
        .events.map(({ data }) => data?.["state"])
        .filter((state) => String(state).startsWith("twin-"));
    const all = ["staged", "applied", "staged", "rolledback", "staged", "applied", "rejected"].map(
      (state) => `twin-${state}`,
    );
    await expect.poll(told).toEqual(all);
    await link.close();
    receiver.close();
    const folder = join(rig.state, "commands");
    const lines = readFileSync(join(folder, "journal-000001.ndjson"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => readLine(line)?.ev).filter((ev) => ev?.startsWith("twin-"))).toEqual(all);
    expect((await checkJournal(folder)).break).toBeUndefined();
  });

  it("is set and shown by kerb twin, and seen by whoever stands at the box", async () => {
    const file = join(rig.folder, "want.yaml");
    const plan = 'schedules: { weak: { level: [{ at: "00:00", value: 70 }] } }';
    writeFileSync(file, `polls: { weak: 300ms }\ndeadBands: { weak: { level: 3 } }\n${plan}\n`);
    const where = ["--broker", rig.broker.url, "--city", city, "--gateway", gatewayId];
    const who = ["--key", rig.keyFile, "--issuer", "an.nguyen@ioc"];
    const set = await run("twin", "set", file, ...where, ...who);
    expect(set).toMatchObject({ code: 0, out: expect.stringMatching(/being tried.*\n.* applied/) });
    const shown = await run("twin", "show", "--site", rig.file);
    expect(shown.out).toMatch(/of an\.nguyen@ioc: applied/);
    expect(shown.out).toMatch(/weak +poll normal +300 ms +\(file: 200 ms\)/);
    expect(shown.out).toMatch(/weak +dead band level +3 % +\(the files do not say\)/);
    expect(shown.out).toMatch(/weak +schedule level +00:00 70 +\(the files do not say\)/);
    const written = () => rig.simulators.get("weak")?.writes?.all.map(({ what }) => what) ?? [];
    await expect.poll(written).toContain("function 6 holding 0 = 0046");
    const check = await run("config", "check", rig.file);
    const device = await run("device", "show", "weak", "--site", rig.file);
    const status = await run("status", "--site", rig.file, "--lang", "vi");
    const broker = await run("twin", "show", ...where);
    expect(check.out).toMatch(/lies over the files:\n +weak +poll normal +300 ms/);
    expect(device.out).toMatch(/from afar +weak +poll normal +300 ms/);
    expect(status.out).toMatch(/twin +phiên bản \d+ của an\.nguyen@ioc đè lên các tệp \(3 giá trị\)/);
    expect(broker.out).toMatch(/"weak":"300ms"/);
    writeFileSync(file, "polls: { weka: 300ms }\n");
    const refused = await run("twin", "set", file, ...where, ...who);
    expect(refused).toMatchObject({ code: 7, err: expect.stringContaining("KERB-TWIN-DEVICE") });
    writeFileSync(file, "poll: { weak: 300ms }\n");
    expect(await run("twin", "set", file, ...where, ...who)).toMatchObject({
      code: 78,
      err: expect.stringMatching(/want\.yaml:1:1 .*poll/),
    });
    expect(rig.kept).toMatchObject({
      taken: { state: "rejected" },
      laid: { cfg: { polls: { weak: "300ms" } } },
    });
  }, 60_000);

  it("takes what the broker has kept from an issuer when the site file begins to let him", async () => {
    const document = rig.document({ polls: { next: "250ms" } }, undefined, "depot", rig.otherKey);
    const refused = await rig.sender.send(document, { waitMs: 15_000 });
    expect(refused.last).toMatchObject({ state: "rejected", errors: [{ code: "KERB-TWIN-ISSUER" }] });
    rig.site["twin"] = { ...(rig.site["twin"] as object), issuers: ["ioc", "depot"] };
    rig.save();
    await rig.ask("config-apply", { by: "an", watchMs: 100 });
    const { configuration } = await rig.until(
      ({ configuration: one }) => one?.twin?.by === "depot" && one.twin.state !== "staged",
    );
    expect(configuration?.twin).toMatchObject({ ver: document.ver, state: "applied" });
  }, 60_000);
});
