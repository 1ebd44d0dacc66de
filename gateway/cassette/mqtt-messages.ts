import mqttPacket, { type Packet } from "mqtt-packet";
import type { Frame } from "./cassette.ts";
import type { Tape } from "./tape.ts";

/**
 * What is published and what is listened to, taken out of an MQTT connection. On a tape each is the packet that
 * MQTT 3.1.1 has for it, all numbers 1: topic, payload, QoS and whether it was retained, and no login.
 */

/** What is longer is a bridge's list of all its devices, or a picture. */
const keptBytesMax = 32_768;
/** Of such a packet nothing is waited for. */
const pendingBytesMax = 4_194_304;

/** JPEG, PNG, WebP (in RIFF). */
const pictureHeads = ["ffd8ff", "89504e47", "52494646"].map((head) => Buffer.from(head, "hex"));

/** A picture shows persons and plates, and no point is read from it. */
const isPicture = (packet: Packet): boolean =>
  packet.cmd === "publish" &&
  pictureHeads.some((head) => Buffer.from(packet.payload).subarray(0, head.length).equals(head));

/** The packet as a tape has it; undefined: it is not kept. Throws where MQTT 3.1.1 has none for it. */
function keptOf(packet: Packet, from: Frame["from"]): Buffer | undefined {
  if (packet.cmd === "publish") {
    const { topic, payload, qos, retain } = packet;
    const number = qos === 0 ? {} : { messageId: 1 };
    return mqttPacket.generate({ cmd: "publish", topic, payload, qos, retain, dup: false, ...number });
  }
  if (packet.cmd !== "subscribe" || from !== "kerb") return undefined;
  const subscriptions = packet.subscriptions.map(({ topic, qos }) => ({ topic, qos }));
  return mqttPacket.generate({ cmd: "subscribe", messageId: 1, subscriptions });
}

/** Where the bytes of either side go. A side that says what is no MQTT is not kept any further. */
export function messages(tape: Tape, frames: Frame[]): Record<Frame["from"], (chunk: Buffer) => void> {
  // Shared, because only the CONNECT says by which version the answers are to be read.
  const version = { protocolVersion: 4 };
  const side = (from: Frame["from"]) => {
    const parser = mqttPacket.parser(version);
    let isBroken = false;
    const kept = (packet: Packet): Buffer | undefined => {
      try {
        return isBroken ? undefined : keptOf(packet, from);
      } catch {
        isBroken = true;
        return undefined;
      }
    };
    parser.on("error", () => (isBroken = true));
    parser.on("packet", (packet) => {
      const { cmd } = packet;
      if (cmd === "connect") version.protocolVersion = packet.protocolVersion ?? 4;
      const bytes = kept(packet);
      if (bytes === undefined) return;
      if (isPicture(packet)) tape.skipped.add("pictures");
      else if (bytes.length <= keptBytesMax) tape.keep(frames, from, bytes);
      else tape.skipped.add("long messages");
    });
    return (chunk: Buffer) => {
      if (!isBroken && chunk.length > 0 && parser.parse(chunk) > pendingBytesMax) isBroken = true;
    };
  };
  return { kerb: side("kerb"), device: side("device") };
}

/** The packet of a frame; undefined: it is none. */
export function packetOf({ bytes }: Pick<Frame, "bytes">): Packet | undefined {
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  let found: Packet | undefined;
  parser.on("error", () => {});
  parser.on("packet", (packet) => (found ??= packet));
  parser.parse(bytes);
  return found;
}
