import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChangeAnswer } from "../gateway/generations/answers.ts";
import type { Applied, Standing } from "../gateway/generations/desk.ts";
import { healthChecks } from "../gateway/health/health.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { ConfigRig } from "./config-rig.ts";
import { expectUndisturbed, report } from "./undisturbed.ts";

/** A gateway that runs while its configuration changes; each test goes on where the one before has ended. */

let rig: ConfigRig;

const order = (more: Record<string, unknown> = {}) => ({ by: "an@ioc", watchMs: 400, ...more });
const settled = ({ configuration }: GatewayStatus) => configuration?.pending === undefined;

async function apply(more: Record<string, unknown> = {}): Promise<Applied> {
  const answer = await rig.ask<ChangeAnswer>("config-apply", order(more));
  if (!("generation" in answer)) throw new Error(JSON.stringify(answer));
  return answer;
}

describe("the configuration of a gateway that runs", () => {
  beforeAll(async () => {
    rig = await ConfigRig.open();
    rig.run();
    await rig.online("near", "next", "apart");
    rig.follow();
  });
  afterAll(() => rig.close());

  it("changes only what has changed: its neighbours miss no poll, on the same wire too", async () => {
    const before = await rig.until((status) => (report(status, "near")?.answered ?? 0) > 2);
    rig.site.devices[1] = rig.device("next", 2, { timeout: "900ms", write: { allow: ["dim"] } });
    rig.write();
    rig.writeDevice("new", rig.device("new", 3));
    const { plan, generation } = await apply();
    expect(plan.devices.map(({ device, action }) => [device, action])).toEqual([
      ["next", "restart"],
      ["new", "start"],
    ]);
    expect(plan.untouched).toBe(2);
    const after = await rig.until((status) => settled(status) && rig.state(status, "new") === "online");
    expect(after.configuration).toMatchObject({
      generation,
      how: "apply",
      by: "an-ioc@local",
      filesDiffer: false,
    });
    for (const id of ["near", "apart"]) expectUndisturbed(before, after, id);
    expect(rig.connections).toBe(1);
    expect(after.hosts[0]?.pid).toBe(before.hosts[0]?.pid);
    // Started anew, it counts from its own start.
    expect(report(after, "next")?.sinceMs).toBeGreaterThan(report(before, "next")?.sinceMs ?? Infinity);
    await expect
      .poll(() => rig.events.filter(({ data }) => data?.["cause"] === "config_change"))
      .toHaveLength(1);
    const [change] = rig.events.filter(({ data }) => data?.["cause"] === "config_change");
    expect(change?.data?.["devices"]).toEqual([
      { device: "next", change: "changed" },
      { device: "new", change: "added" },
    ]);
  });

  it("knows at once who may write what", async () => {
    const { points } = await rig.ask<{ points: { most?: number; problem?: unknown }[] }>("write-preview", {
      device: "next",
      args: { dim: 5 },
      by: "an",
    });
    expect(points).toMatchObject([{ most: 100 }]);
    expect(points[0]?.problem).toBeUndefined();
    Object.assign(rig.site.devices[1] ?? {}, { write: { allow: ["dim"], limits: { dim: { max: 50 } } } });
    Object.assign(rig.site.devices[0] ?? {}, { poll: "250ms", name: "Gần" });
    rig.write();
    const before = await rig.ask<GatewayStatus>("status");
    const { plan } = await apply();
    expect(plan.devices.map(({ device, action }) => [device, action])).toEqual([
      ["near", "hot"],
      ["next", "hot"],
    ]);
    const narrow = await rig.ask<{ points: unknown[] }>("write-preview", {
      device: "next",
      args: { dim: 5 },
      by: "an",
    });
    expect(narrow.points).toMatchObject([{ most: 50 }]);
    const after = await rig.until((status) => settled(status));
    for (const id of ["near", "next"]) expect(report(after, id)?.sinceMs).toBe(report(before, id)?.sinceMs);
    expect(report(after, "near")?.name).toBe("Gần");
  });

  it("ends what is gone and gives no index twice", async () => {
    const dictionary = () =>
      readFileSync(join(rig.folder, "state", "dictionary"), "utf8").split("\n")[1] ?? "";
    type Known = { index: number; id: string; profile: string }[];
    const before = JSON.parse(dictionary()) as Known;
    rig.site.devices[1] = { ...rig.site.devices[1], enabled: false };
    writeFileSync(join(rig.folder, "devices.d", "new.yaml"), "devices: []\n");
    rig.writeDevice("other", rig.device("other", 3));
    rig.write();
    const { plan } = await apply();
    expect(plan.devices.map(({ device, action, change }) => [device, action, change])).toEqual([
      ["next", "stop", undefined],
      ["other", "start", "added"],
      ["new", "stop", "removed"],
    ]);
    const status = await rig.until((one) => settled(one) && rig.state(one, "other") === "online");
    expect(report(status, "new")).toBeUndefined();
    expect(report(status, "next")?.enabled).toBe(false);
    const after = JSON.parse(dictionary()) as Known;
    for (const { index, id } of before) expect(after.find((one) => one.index === index)?.id).toBe(id);
    expect(after.find(({ id }) => id === "other")?.index).toBeGreaterThan(
      Math.max(...before.map((one) => one.index)),
    );
    await expect
      .poll(() => rig.events.find(({ data }) => data?.["cause"] === "disabled")?.data)
      .toMatchObject({
        device: "next",
        open: true,
      });
    expect(rig.events.some(({ data, device }) => device === "new" && data?.["report"] === "polls")).toBe(
      true,
    );
  });

  it("takes back by itself what loses a device that was online", async () => {
    const { generation } = await rig.ask<Standing>("config-standing");
    rig.site.devices[0] = { ...rig.site.devices[0], unit: 77, timeout: "100ms" };
    rig.write();
    const bad = await apply({ watchMs: 1500 });
    const after = await rig.until(
      (status) => settled(status) && status.configuration?.reverted !== undefined,
    );
    expect(after.configuration).toMatchObject({ generation, filesDiffer: true });
    expect(after.configuration?.reverted?.generation).toBe(bad.generation);
    expect(after.configuration?.reverted?.reason).toMatch(/^near was online before and is not: /);
    await rig.online("near", "apart");
    expect(healthChecks(after, Date.now()).find(({ check }) => check === "config")?.code).toBe(
      "KERB-CFG-REVERTED",
    );
  });

  it("knows that a secret is not taken back, and takes over the one that is mended", async () => {
    const secret = (unit: number): void => writeFileSync(join(rig.folder, "secrets", "unit"), `${unit}\n`);
    mkdirSync(join(rig.folder, "secrets"));
    secret(1);
    rig.site.devices[0] = { ...rig.site.devices[0], unit: "${secret:unit}", timeout: "300ms" };
    rig.write();
    await apply({ watchMs: 300 });
    await rig.until(settled);
    await rig.online("near");
    secret(77);
    await apply({ watchMs: 2500 });
    const after = await rig.until(
      (status) => settled(status) && status.configuration?.reverted !== undefined,
    );
    expect(after.configuration?.reverted?.reason).toMatch(
      /^near was online .*; a secret stays as its file is/,
    );
    secret(1);
    expect(await apply({ watchMs: 300 })).toMatchObject({ changed: true });
    await rig.online("near", "apart");
    await rig.until(settled);
  });

  it("takes back by itself what cuts the link, after a restart of the whole gateway", async () => {
    const { generation } = await rig.ask<Standing>("config-standing");
    await rig.until(({ uplinks }) => uplinks[0]?.state === "connected");
    rig.site.devices[0] = { ...rig.site.devices[0], unit: 1, timeout: "1s" };
    rig.site["uplinks"] = [{ id: "ioc", type: "mqtt", url: "mqtt://127.0.0.1:9", reconnectMax: "200ms" }];
    rig.write();
    const { plan } = await apply();
    expect(plan.restartsGateway).toBe(true);
    const after = await rig.until(
      ({ configuration, uplinks }) =>
        configuration?.reverted?.reason.includes("link") === true && uplinks[0]?.state === "connected",
    );
    expect(after.configuration?.generation).toBe(generation);
    expect(after.configuration?.reverted?.reason).toMatch(
      /^the link "ioc" was connected before and is not: /,
    );
  });

  it("rolls back for good, and does not keep over a kill what nobody has confirmed", async () => {
    const text = readFileSync(rig.file, "utf8");
    const rolled = await rig.ask<Applied>("config-rollback", order({ number: 2 }));
    const back = await rig.until((status) => settled(status) && rig.state(status, "new") === "online");
    expect(back.configuration).toMatchObject({ generation: rolled.generation, of: 2, filesDiffer: true });
    expect(readFileSync(rig.file, "utf8")).toBe(text);
    rig.site["uplinks"] = rig.whole([])["uplinks"];
    rig.site.devices[0] = { ...rig.site.devices[0], name: "Chưa xác nhận" };
    rig.write();
    const { previous, generation } = await apply({ confirmMs: 60_000, watchMs: 100 });
    const refused = await rig.ask<ChangeAnswer>("config-apply", order());
    expect(refused).toMatchObject({ refused: "KERB-CFG-PENDING" });
    await rig.stop("SIGKILL");
    rig.run();
    const status = await rig.online("near", "next", "new", "apart");
    expect(previous).toBe(rolled.generation);
    expect(status.configuration).toMatchObject({ generation: previous, of: 2, filesDiffer: true });
    expect(status.configuration?.reverted?.generation).toBe(generation);
    expect(report(status, "near")?.name).toBe("near");
  });

  it("runs the last good generation in the place of a broken file, and mends at SIGHUP", async () => {
    const text = readFileSync(rig.file, "utf8");
    const broken = text.replace('"driver"', '"drover"');
    writeFileSync(rig.file, broken);
    await rig.stop("SIGTERM");
    const strict = rig.spawn("--strict-config");
    rig.run();
    const status = await rig.online("near", "apart");
    expect(status.configuration?.safeMode?.mistakes[0]?.message).toMatch(/drover/);
    expect(healthChecks(status, Date.now()).find(({ check }) => check === "config")?.code).toBe(
      "KERB-CFG-SAFE-MODE",
    );
    expect(readFileSync(rig.file, "utf8")).toBe(broken);
    expect(await strict.ended).toBe(78);
    writeFileSync(rig.file, text);
    rig.gateway?.kill("SIGHUP");
    const mended = await rig.until((one) => report(one, "near")?.name === "Chưa xác nhận");
    expect(mended.configuration?.safeMode).toBeUndefined();
    expect(mended.configuration).toMatchObject({ by: "SIGHUP", how: "apply", filesDiffer: false });
  });
});
