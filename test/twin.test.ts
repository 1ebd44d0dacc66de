import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mosquittoPath } from "../gateway/receiver/testing.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import { TwinRig } from "./twin-rig.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const report = ({ devices }: GatewayStatus, id: string) => devices.find((device) => device.id === id);

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
    const [was, is] = [report(before, "next"), report(after, "next")];
    expect(is).toMatchObject({
      state: "online",
      sinceMs: was?.sinceMs,
      missed: was?.missed,
      failed: was?.failed,
    });
    expect(is?.answered).toBeGreaterThan(was?.answered ?? Infinity);
    expect(after.configuration).toMatchObject({ how: "twin", by: "an.nguyen@ioc", filesDiffer: false });
    expect(readFileSync(rig.file, "utf8")).toBe(written);
    expect(statSync(join(rig.state, "twin.json")).mode & 0o777).toBe(0o600);
  });
});
