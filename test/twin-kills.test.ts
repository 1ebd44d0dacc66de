import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mosquittoPath, TestClient } from "../gateway/receiver/testing.ts";
import type { GatewayStatus } from "../gateway/supervisor.ts";
import type { Have } from "../gateway/twin/have.ts";
import { city, gatewayId, TwinRig } from "./twin-rig.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const haveTopic = `${city}/twin/v1/${gatewayId}/have`;
const wantTopic = `${city}/twin/v1/${gatewayId}/want`;

describe.skipIf(mosquittoPath === undefined)("a gateway that is killed", () => {
  let rig: TwinRig;
  beforeAll(async () => {
    rig = await TwinRig.start("60s", "3.1.1");
  }, 60_000);
  afterAll(() => rig.close());

  it("while it tries a document goes on with the old one, tries it twice more, and then no more", async () => {
    const client = await TestClient.connect(rig.broker.url, [haveTopic]);
    const document = rig.document({ polls: { weak: "250ms" } });
    await client.publish(wantTopic, Buffer.from(JSON.stringify(document)), { retain: true });
    for (const tries of [1, 2, 3]) {
      const { configuration } = await rig.until(
        ({ configuration: now }) => now?.pending !== undefined && now.twin?.runs !== undefined,
      );
      expect(configuration?.twin).toMatchObject({
        ver: document.ver,
        state: "staged",
        runs: { by: "an.nguyen@ioc" },
      });
      expect(rig.kept.taken).toMatchObject({ state: "staged", tries });
      await rig.stop();
      await rig.run();
    }
    const have = await client.next<Have>(haveTopic, ({ state }) => state === "rolledback");
    expect(have).toMatchObject({ errors: [{ code: "KERB-TWIN-CRASH" }], running: { ver: 0 } });
    const status = await rig.ask<GatewayStatus>("status");
    expect(status.configuration?.pending).toBeUndefined();
    expect(rig.kept).toMatchObject({ laid: null, taken: { tries: 3, state: "rolledback" } });
    await client.end();
  }, 60_000);
});
