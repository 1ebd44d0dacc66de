import mqttPacket from "mqtt-packet";
import { expect, it } from "vitest";
import { messages } from "./mqtt-messages.ts";
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
