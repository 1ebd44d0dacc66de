import { generate, type IPublishPacket } from "mqtt-packet";

type PublishProperties = NonNullable<IPublishPacket["properties"]>;

/** MQTT 3.1.1 or 5. */
export type Version = 4 | 5;

/** QoS of a delivery; QoS 2 is taken from publishers and handed on as 1. */
export type DeliveryQos = 0 | 1;

/** An application message inside the broker. `expiresAtMs` is on the clock of `performance.now()`. */
export interface Message {
  readonly topic: string;
  payload: Buffer;
  readonly qos: DeliveryQos;
  readonly retain: boolean;
  /** The properties that a broker passes on unaltered (MQTT 5 clause 3.3.2.3), without the expiry interval. */
  readonly properties: PublishProperties | undefined;
  readonly expiresAtMs: number;
}

/** The properties of a PUBLISH or of a will, as the parser gives them. */
type ReceivedProperties = Pick<
  PublishProperties,
  | "payloadFormatIndicator"
  | "contentType"
  | "responseTopic"
  | "correlationData"
  | "userProperties"
  | "messageExpiryInterval"
>;

interface Received {
  qos?: number | undefined;
  retain?: boolean | undefined;
  payload: Buffer | string;
  properties?: ReceivedProperties | undefined;
}

/** The message that a PUBLISH or a will carries. */
export function toMessage(topic: string, received: Received, nowMs: number): Message {
  const given = received.properties;
  let properties: PublishProperties | undefined;
  if (given !== undefined) {
    properties = {};
    if (given.payloadFormatIndicator !== undefined) {
      properties.payloadFormatIndicator = given.payloadFormatIndicator;
    }
    if (given.contentType !== undefined) properties.contentType = given.contentType;
    if (given.responseTopic !== undefined) properties.responseTopic = given.responseTopic;
    if (given.correlationData !== undefined) properties.correlationData = given.correlationData;
    if (given.userProperties !== undefined) properties.userProperties = given.userProperties;
  }
  const expirySeconds = given?.messageExpiryInterval;
  return {
    topic,
    payload: typeof received.payload === "string" ? Buffer.from(received.payload) : received.payload,
    qos: (received.qos ?? 0) > 0 ? 1 : 0,
    retain: received.retain === true,
    properties,
    expiresAtMs: expirySeconds === undefined ? Infinity : nowMs + expirySeconds * 1000,
  };
}

/** Copies the payload out of the socket's chunk, so that a kept message does not keep its neighbours. */
export function detachPayload(message: Message): void {
  if (message.payload.byteLength < message.payload.buffer.byteLength) {
    message.payload = Buffer.from(message.payload);
  }
}

/** Bytes that a kept message is counted with. */
export function keptBytes(message: Message): number {
  return message.payload.byteLength + message.topic.length + 64;
}

/**
 * Whether the parser could make nothing of some property: it hands on null, -1 or undefined for one that is cut
 * short and an array for one that may occur only once, instead of an error.
 */
export function hasBrokenProperty(properties: object | undefined): boolean {
  return Object.entries(properties ?? {}).some(([name, value]) => {
    if (name === "userProperties") {
      return Object.values(value as Record<string, unknown>).some((text) =>
        Array.isArray(text) ? text.some((one) => typeof one !== "string") : typeof text !== "string",
      );
    }
    if (value === null || value === undefined || Array.isArray(value)) return true;
    return typeof value === "number" && !(value >= 0);
  });
}

/** How one delivery differs from another of the same message. */
export interface Variant {
  readonly version: Version;
  readonly qos: DeliveryQos;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

/** A PUBLISH ready to send. With QoS 1 the two bytes at `messageIdOffset` are still to be filled. */
export interface EncodedPublish {
  readonly bytes: Buffer;
  readonly messageIdOffset: number;
}

/** Encodes messages, each variant of the latest one only once, so that a fan-out costs one encoding. */
export class PublishEncoder {
  #message: Message | undefined;
  readonly #variants = new Map<string, EncodedPublish>();

  encode(message: Message, variant: Variant, nowMs: number): EncodedPublish {
    if (this.#message !== message) {
      this.#message = message;
      this.#variants.clear();
    }
    // A subscriber must see how long the message has still to live, not how long it had [MQTT-3.3.2-6].
    const remaining = Math.max(0, Math.ceil((message.expiresAtMs - nowMs) / 1000));
    const key = `${variant.version} ${variant.qos} ${variant.retain} ${remaining} ${variant.identifiers.join(",")}`;
    let encoded = this.#variants.get(key);
    if (encoded === undefined) {
      encoded = encodePublish(message, variant, remaining);
      this.#variants.set(key, encoded);
    }
    return encoded;
  }
}

function encodePublish(message: Message, variant: Variant, remainingSeconds: number): EncodedPublish {
  const packet: IPublishPacket = {
    cmd: "publish",
    topic: message.topic,
    payload: message.payload,
    qos: variant.qos,
    retain: variant.retain,
    dup: false,
    messageId: 0,
  };
  if (variant.version === 5) {
    packet.properties = { ...message.properties };
    if (remainingSeconds !== Infinity) packet.properties.messageExpiryInterval = remainingSeconds;
    if (variant.identifiers.length > 0) packet.properties.subscriptionIdentifier = [...variant.identifiers];
  }
  const bytes = generate(packet, { protocolVersion: variant.version });
  let lengthBytes = 1;
  while (((bytes[lengthBytes] ?? 0) & 0x80) !== 0) lengthBytes++;
  return { bytes, messageIdOffset: 1 + lengthBytes + bytes.readUInt16BE(1 + lengthBytes) + 2 };
}
