import mqtt from "mqtt";
import pino from "pino";
import { describe, expect, it } from "vitest";
import type { UplinkConfig } from "../config/config.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { brokered } from "../receiver/test-broker.ts";
import { city, mosquittoPath } from "../receiver/testing.ts";
import { MqttUplink } from "./mqtt.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const { broker, onEnd } = brokered();
const gateway = "gw-01";

/** An uplink that has told its birth. */
async function uplinkTo(url: string): Promise<MqttUplink> {
  const connected = Promise.withResolvers<void>();
  const outbox = {
    request: () => Promise.resolve(1),
    tell: ({ type }: { type: string }) => type === "connected" && connected.resolve(),
  } as unknown as Outbox;
  const limits = { keepaliveMs: 20_000, reconnectMaxMs: 1000, windowMax: 8, messageBytesMax: 65_536 };
  const config = { id: "ioc", url, protocol: "3.1.1", encoding: "columnar", ...limits } as UplinkConfig;
  const dictionary = { hash: "9f3c21aa", json: "[]" };
  const identity = { device: 0, city, gateway, software: "kerb", epoch: 7, epochs: [], dictionary };
  const uplink = new MqttUplink(config, outbox, identity, pino({ level: "silent" }));
  onEnd(() => uplink.stop());
  uplink.start();
  await connected.promise;
  return uplink;
}

describe.skipIf(mosquittoPath === undefined)("MqttUplink with mosquitto", () => {
  it("takes its will with it when it stops: an uplink of another id may have told its birth by then", async () => {
    const { url } = await broker();
    const uplink = await uplinkTo(url);
    await uplink.stop();
    // Whatever the broker still had to do about the old connection is done before it takes up this one.
    const client = await mqtt.connectAsync(url, { clientId: `kerb-${gateway}-ioc`, reconnectPeriod: 0 });
    onEnd(() => client.endAsync(true));
    const told: unknown[] = [];
    client.on("message", (_topic, payload) => told.push(JSON.parse(payload.toString())));
    await client.subscribeAsync(`${city}/st/v1/${gateway}`);
    await expect.poll(() => told).toMatchObject([{ online: false, ep: 7, reason: "stopped" }]);
  });
});
