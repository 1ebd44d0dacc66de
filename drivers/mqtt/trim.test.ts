import * as fc from "fast-check";
import { generate, parser, type Packet } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { tooLarge, Trimmer } from "./trim.ts";

const bytesMax = 200;

function publish(topic: string, bytes: number, qos: 0 | 1, version: 4 | 5): Buffer {
  const payload = Buffer.alloc(bytes, topic);
  const packet = { cmd: "publish", topic, payload, qos, retain: false, dup: false, messageId: 7 } as const;
  return generate(packet, { protocolVersion: version });
}

/** What a client reads of a stream that came in these pieces. */
function read(stream: Buffer, cuts: readonly number[], version: 4 | 5): Packet[] {
  const trimmer = new Trimmer(bytesMax, version === 5);
  const packets: Packet[] = [];
  const reading = parser({ protocolVersion: version });
  reading.on("packet", (packet) => packets.push(packet));
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].toSorted((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    const rest = trimmer.trim(stream.subarray(from, end));
    if (rest.length > 0) reading.parse(rest);
    from = end;
  }
  return packets;
}

const message = fc.record({
  topic: fc.constantFrom("a", "some/longer/topic"),
  bytes: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(127, 128, 5000)),
  qos: fc.constantFrom<(0 | 1)[]>(0, 1),
});

describe.each([4, 5] as const)("MQTT version %i", (version) => {
  test("however a stream is cut, small messages come through and large ones leave their topic and id", () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        fc.array(fc.nat(20_000), { maxLength: 8 }),
        (all, cuts) => {
          const packets = all.map(({ topic, bytes, qos }) => publish(topic, bytes, qos, version));
          const seen = read(Buffer.concat(packets), cuts, version);
          expect(
            seen.map((one) => one.cmd === "publish" && [one.topic, one.qos, one.messageId, one.payload]),
          ).toEqual(
            all.map(({ topic, bytes, qos }, i) => [
              topic,
              qos,
              qos === 1 ? 7 : undefined,
              packets[i]!.length > bytesMax ? tooLarge : Buffer.alloc(bytes, topic),
            ]),
          );
        },
      ),
    );
  });
});

test("an oversized packet that is no message, and a length that never ends, are errors", () => {
  const suback = Buffer.concat([Buffer.from([0x90, 0xff, 0x7f]), Buffer.alloc(20)]);
  expect(() => new Trimmer(bytesMax, false).trim(suback)).toThrow(/packet of/);
  expect(() => new Trimmer(bytesMax, false).trim(Buffer.alloc(8, 0xff))).toThrow(/malformed/);
  const liar = Buffer.concat([Buffer.from([0x30, 0xff, 0x03, 0xff, 0xff]), Buffer.alloc(600)]);
  expect(() => new Trimmer(bytesMax, false).trim(liar)).toThrow(/longer than itself/);
});
