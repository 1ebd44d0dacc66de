import mqttPacket from "mqtt-packet";
import { expect, it } from "vitest";
import { messages, packetOf } from "./mqtt-messages.ts";
import { Tape } from "./tape.ts";

it("keeps no picture, and says that there was one", () => {
  const tape = new Tape();
  const frames = tape.connection();
  const sides = messages(tape, frames);
  const heads = ["ffd8ffe000104a464946", "89504e470d0a1a0a", "5249464610000000574542505650", "7b7d"];
  for (const head of heads) {
    const payload = Buffer.from(head, "hex");
    sides.device(
      mqttPacket.generate({ cmd: "publish", topic: "cam", payload, qos: 0, retain: false, dup: false }),
    );
  }
  expect(frames.map(({ bytes }) => bytes.toString("latin1"))).toEqual([expect.stringContaining("{}")]);
  expect([...tape.skipped]).toEqual(["pictures"]);
});

it("keeps nothing more of a side that says what cannot be kept, and does not end with it", () => {
  const tape = new Tape();
  const frames = tape.connection();
  const { kerb, device } = messages(tape, frames);
  const said = mqttPacket.generate({
    cmd: "subscribe",
    messageId: 7,
    subscriptions: [{ topic: "a/#", qos: 1 }],
  });
  const told = mqttPacket.generate({
    cmd: "publish",
    topic: "a/b",
    payload: "1",
    qos: 0,
    retain: false,
    dup: false,
  });
  kerb(said);
  // A broker that asks for something itself, for nothing at that.
  device(Buffer.from("82020001", "hex"));
  device(said);
  device(told);
  expect(frames.map(({ from, bytes }) => `${from} ${packetOf({ bytes })?.cmd}`)).toEqual([
    "kerb subscribe",
    "device publish",
  ]);
  // What MQTT 3.1.1 has no packet for: a side is not kept any further from there on.
  kerb(Buffer.concat([Buffer.from("82020001", "hex"), said]));
  expect(frames).toHaveLength(2);
});
