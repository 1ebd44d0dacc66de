import { afterEach, describe, expect, test } from "vitest";
import { modbusRig, online, type Rig } from "./test-writing.ts";

/** A device with a switch: while it is on local, a person at it goes before everybody else. */

let rig: Rig;
afterEach(() => rig.close());

const pollMs = { fast: 50, normal: 50, slow: 50 };
const started = async (point: string, when: boolean | number) => {
  rig = await modbusRig({ device: { localOverride: { point, when }, pollMs } });
  rig.simulator.set("door", 0);
  rig.simulator.set("actual", 0);
  await online(rig);
};
const byHim = { point: "level", value: 20, timeoutMs: 3000, isLocal: true } as const;

describe("a person at the device", () => {
  test("is seen by a poll, and his end too", async () => {
    await started("door", true);
    expect(rig.loop.report.override).toBeUndefined();
    rig.simulator.set("door", 1);
    await expect.poll(() => rig.loop.report.override).toBe("door is true");
    rig.simulator.set("door", 0);
    await expect.poll(() => rig.loop.report.override).toBeUndefined();
    rig.simulator.set("actual", 3);
    expect(rig.loop.report.override).toBeUndefined();
  });

  test("is seen before each write, which is refused then, unless it is his own", async () => {
    await started("door", true);
    expect(await rig.write("level", 10)).toMatchObject({ state: "done" });
    rig.simulator.set("door", 1);
    expect(await rig.write("level", 30)).toMatchObject({
      state: "failed",
      code: "override",
      reason: "door is true",
    });
    expect(rig.written()).toHaveLength(1);
    expect(await rig.loop.writing.write(byHim)).toMatchObject({ state: "done", readBack: 20 });
  });

  test("may be there where nobody can say: nothing is written", async () => {
    await started("missing", true);
    expect(await rig.write("level", 30)).toMatchObject({ state: "failed", code: "interlock" });
    expect(rig.written()).toHaveLength(0);
    expect(await rig.loop.writing.write(byHim)).toMatchObject({ state: "done" });
  });
});
