import { randomBytes, X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { MqttClient } from "mqtt";
import type { UplinkConfig } from "./config.ts";
import { secureOptions, sentence } from "./mqtt/link.ts";
import type { Endpoint } from "./upstream-endpoint.ts";

/** The way to a broker, step by step, as the uplink itself would go it. Each throws an error whose text says why. */

const stepTimeoutMs = 8000;

async function inTime<Result>(work: Promise<Result>, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const text = `${what} within ${stepTimeoutMs / 1000} s (ETIMEDOUT)`;
    timer = setTimeout(() => reject(new Error(text)), stepTimeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The addresses of its name. */
export async function probeName({ host }: Endpoint): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await inTime(lookup(host, { all: true }), `the name ${host} was not resolved`);
  return [...new Set(found.map(({ address }) => address))];
}

/** An open connection to its port. */
export async function probePort({ host, port }: Endpoint): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  const opened = new Promise<Socket>((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error) => reject(new Error(sentence(error), { cause: error })));
  });
  try {
    return await inTime(opened, `${host}:${port} does not answer`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Until when certificates are good. `own`: this gateway's, where it has one. */
export interface Certificates {
  protocol: string;
  brokerUntilMs: number;
  ownUntilMs?: number;
}

/** TLS over an open connection, the broker's certificate checked as the uplink checks it. */
export async function probeTls(
  socket: Socket,
  { host }: Endpoint,
  tls: UplinkConfig["tls"],
): Promise<{ secure: TLSSocket; certificates: Certificates }> {
  const own = tls?.cert === undefined ? undefined : new X509Certificate(readFileSync(tls.cert)).validTo;
  const secure = connectTls({ socket, ...secureOptions(host, tls) });
  const opened = new Promise<void>((resolve, reject) => {
    secure.once("secureConnect", () => resolve());
    secure.once("error", (error) => reject(new Error(sentence(error), { cause: error })));
  });
  await inTime(opened, "the broker did not answer the TLS handshake: no acknowledgement");
  const certificates = {
    protocol: secure.getProtocol() ?? "TLS",
    brokerUntilMs: Date.parse(secure.getPeerCertificate().valid_to),
    ...(own === undefined ? {} : { ownUntilMs: Date.parse(own) }),
  };
  return { secure, certificates };
}

/** What a login and the topics that the uplink listens to have shown. */
export interface LoggedIn {
  receiver: "online" | "offline" | "unknown";
}

/** How long a retained word of the receiver may take. */
const retainedMs = 500;

/**
 * Logs in under an id of its own, so that the session of the gateway stays whose it is, listens to what the uplink
 * listens to, and leaves. Nothing stays at the broker.
 */
export async function probeLogin(
  stream: Socket | TLSSocket,
  { id, protocol, username, password }: UplinkConfig,
  { city, gateway }: { city: string; gateway: string },
): Promise<LoggedIn> {
  const client = new MqttClient(() => stream, {
    protocolId: "MQTT",
    protocolVersion: protocol === 5 ? 5 : 4,
    clientId: `kerb-${gateway}-${id}-test-${randomBytes(3).toString("hex")}`,
    clean: true,
    reconnectPeriod: 0,
    manualConnect: true,
    resubscribe: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  });
  let receiver: LoggedIn["receiver"] = "unknown";
  client.on("message", (topic, payload) => {
    if (!topic.startsWith(`${city}/host/`)) return;
    const { online } = JSON.parse(payload.toString()) as { online?: unknown };
    if (receiver !== "online") receiver = online === true ? "online" : "offline";
  });
  try {
    const opened = new Promise<void>((resolve, reject) => {
      client.once("connect", () => resolve());
      client.once("error", (error) => reject(new Error(sentence(error), { cause: error })));
      client.once("close", () => reject(new Error("the connection was closed")));
    });
    client.connect();
    await inTime(opened, "the broker did not answer the CONNECT: no acknowledgement");
    const granted = await client.subscribeAsync([`${city}/ack/v1/${gateway}`, `${city}/host/v1/+`], {
      qos: 0,
    });
    const refused = granted.find(({ qos }) => qos >= 0x80);
    if (refused !== undefined) throw new Error(`not authorised to listen to ${refused.topic}`);
    await new Promise((resolve) => setTimeout(resolve, retainedMs));
    return { receiver };
  } finally {
    client.end(true);
    stream.destroy();
  }
}
