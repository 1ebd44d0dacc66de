import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mosquittoPath } from "../gateway/receiver/testing.ts";
import { CommandRig } from "./command-rig.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

describe.skipIf(mosquittoPath === undefined)("a command, from the IOC to the device and back", () => {
  let rig: CommandRig;
  beforeAll(async () => {
    rig = await CommandRig.start();
  }, 60_000);
  afterAll(() => rig?.close());

  it("is executed once and read back", async () => {
    const commander = rig.commander();
    const followed = await commander.execute(rig.wanted({ dim: 70 }), rig.key);
    expect(followed.states.map(({ state }) => state)).toEqual(["accepted", "running", "done"]);
    expect(followed.last).toMatchObject({ state: "done", before: { dim: 40 }, readBack: { dim: 70 } });
    expect(rig.written).toEqual(["function 6 holding 0 = 0046"]);
  });
});
