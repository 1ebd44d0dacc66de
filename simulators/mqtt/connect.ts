import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import type { IConnackPacket, IConnectPacket } from "mqtt-packet";
import type { Connection } from "./connection.ts";
import { hasBrokenProperty, toMessage } from "./message.ts";
import type { Router } from "./router.ts";
import type { Session, Will } from "./session.ts";
import { isTopicName } from "./topics.ts";

/** Return codes of MQTT 3.1.1 (clause 3.2.2.3) for the reason codes of MQTT 5; anything else is 3, unavailable. */
const returnCodes: Readonly<Record<number, number>> = { 0x84: 1, 0x85: 2, 0x86: 4, 0x8a: 5, 0x87: 5 };

const keepAliveFactor = 1.5;

/** An accepted CONNECT. `silenceMsMax` is Infinity without keep-alive. */
export interface Accepted {
  readonly session: Session;
  readonly silenceMsMax: number;
}

/** Answers a CONNECT with its CONNACK and attaches the session; undefined if it was refused (and is closed). */
export function acceptConnect(
  router: Router,
  connection: Connection,
  packet: IConnectPacket,
): Accepted | undefined {
  connection.version = packet.protocolVersion === 5 ? 5 : 4;
  const given = packet.properties ?? {};
  const reasonCode = refusal(router, packet);
  const clientId = packet.clientId === "" ? `auto-${randomUUID()}` : packet.clientId;
  const opened = reasonCode === undefined ? router.open(clientId, packet.clean === true) : undefined;
  if (opened === undefined) {
    refuse(router, connection, reasonCode ?? 0x97, clientId);
    return undefined;
  }
  const { session, present } = opened;
  if (connection.version === 5) session.expirySeconds = given.sessionExpiryInterval ?? 0;
  else session.expirySeconds = packet.clean === true ? 0 : 0xffff_ffff;
  session.will = willOf(packet, session.expirySeconds);
  connection.receiveMaximum = given.receiveMaximum ?? 65_535;
  connection.maximumPacketSize = given.maximumPacketSize ?? Infinity;
  router.counts.connections++;

  const connack: IConnackPacket = { cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent: present };
  if (connection.version === 5) {
    connack.properties = {
      receiveMaximum: router.limits.receiveMaximum,
      maximumPacketSize: router.limits.maximumPacketSize,
      topicAliasMaximum: router.limits.topicAliasMaximum,
      sharedSubscriptionAvailable: false,
    };
    if (packet.clientId === "") connack.properties.assignedClientIdentifier = clientId;
  }
  connection.send(connack);
  connection.established = true;
  session.attach(connection);
  const keepAliveSeconds = packet.keepalive ?? 0;
  return {
    session,
    silenceMsMax: keepAliveSeconds === 0 ? Infinity : keepAliveSeconds * 1000 * keepAliveFactor,
  };
}

/** The reason code that a CONNECT is refused with. */
function refusal(router: Router, packet: IConnectPacket): number | undefined {
  const { properties, will } = packet;
  if (packet.protocolVersion === 3) return 0x84;
  if (hasBrokenProperty(properties) || hasBrokenProperty(will?.properties)) return 0x81;
  if ((packet.keepalive ?? 0) < 0) return 0x81;
  if (properties?.receiveMaximum === 0 || properties?.maximumPacketSize === 0) return 0x82;
  if (will !== undefined && (!isTopicName(will.topic) || ![0, 1, 2].includes(will.qos ?? 0))) return 0x82;
  if (properties?.authenticationMethod !== undefined) return 0x8c;
  if (router.fault?.kind === "refuse-connack") return router.fault.reasonCode;
  if (!mayEnter(router.users, packet)) return packet.username === undefined ? 0x87 : 0x86;
  if (packet.clientId === "" && packet.protocolVersion !== 5 && packet.clean !== true) return 0x85;
  return undefined;
}

function refuse(router: Router, connection: Connection, reasonCode: number, clientId: string): void {
  router.log(`${JSON.stringify(clientId)} refused with 0x${reasonCode.toString(16)}`);
  connection.send({
    cmd: "connack",
    returnCode: returnCodes[reasonCode] ?? 3,
    reasonCode,
    sessionPresent: false,
  });
  connection.end();
}

function mayEnter(users: Readonly<Record<string, string>> | undefined, packet: IConnectPacket): boolean {
  if (users === undefined) return true;
  const { username, password } = packet;
  if (username === undefined || password === undefined || !Object.hasOwn(users, username)) return false;
  return timingSafeEqual(digest(users[username] ?? ""), digest(password));
}

function digest(text: string | Buffer): Buffer {
  return createHash("sha256").update(text).digest();
}

function willOf(packet: IConnectPacket, expirySeconds: number): Will | undefined {
  const { will } = packet;
  if (will === undefined) return undefined;
  // The message expiry of a will runs from its publication, which the delay puts off.
  const delaySeconds = Math.min(will.properties?.willDelayInterval ?? 0, expirySeconds);
  return { message: toMessage(will.topic, will, performance.now() + delaySeconds * 1000), delaySeconds };
}
