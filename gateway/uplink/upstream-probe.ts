import { randomBytes, X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import type { UplinkConfig } from "../config/config.ts";
import { uplinkCause } from "../health/causes.ts";
import { hungUpEarly, secureOptions, sentence } from "../mqtt/link.ts";
import { type Endpoint, endpointOf } from "../mqtt/endpoint.ts";

/** The way to a broker, step by step, as the uplink itself would go it. Each throws an error whose text says why. */

const stepTimeoutMs = 8000;

async function inTime<Result>(work: Promise<Result>, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const text = `${what} within ${stepTimeoutMs / 1000} s`;
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

/** How long a broker may take to look at our certificate, or its absence, after the handshake of TLS 1.3. */
const verdictMs = 1000;

/**
 * TLS over an open connection, the broker's certificate checked as the uplink checks it. In TLS 1.3 the handshake is
 * over before the broker has looked at our certificate, so its word on that is waited for.
 */
export async function probeTls(
  socket: Socket,
  endpoint: Endpoint,
  tls: UplinkConfig["tls"],
): Promise<{ secure: TLSSocket; certificates: Certificates }> {
  const own = tls?.cert === undefined ? undefined : new X509Certificate(readFileSync(tls.cert)).validTo;
  const secure = connectTls({ socket, ...secureOptions(endpoint.host, tls) });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  secure.on("error", (error) => failed.reject(new Error(spoken(error), { cause: error })));
  secure.once("close", () => failed.reject(new Error(hungUpEarly)));
  const opened = new Promise<void>((resolve) => secure.once("secureConnect", () => resolve()));
  // Not at once: what is written while OpenSSL hands the session out never leaves.
  const judged = new Promise<void>((resolve) => secure.once("session", () => setImmediate(resolve)));
  try {
    await inTime(Promise.race([opened, failed.promise]), "the broker did not answer the TLS handshake");
  } catch (error) {
    secure.destroy();
    if (uplinkCause(messageOf(error)) === "KERB-UP-HUNG-UP" && (await speaksPlain(endpoint)))
      throw new Error("the broker speaks no TLS at this port", { cause: error });
    throw error;
  }
  if (secure.getProtocol() === "TLSv1.3") {
    const waited = new AbortController();
    const enough = sleep(verdictMs, undefined, { signal: waited.signal }).catch(() => {});
    await Promise.race([judged, failed.promise, enough]).finally(() => waited.abort());
  }
  const certificates = {
    protocol: secure.getProtocol() ?? "TLS",
    brokerUntilMs: Date.parse(secure.getPeerCertificate().valid_to),
    ...(own === undefined ? {} : { ownUntilMs: Date.parse(own) }),
  };
  return { secure, certificates };
}

/** What an error on the way to a session says; a reset is a broker that hangs up. */
function spoken(error: Error & { code?: string | number }): string {
  const isReset = error.code === "ECONNRESET" || error.code === "EPIPE";
  return isReset ? `${hungUpEarly} (${error.code})` : sentence(error);
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** A connection of its own to the same port: `true` as soon as `isSo`, `false` when it ends or nothing comes. */
async function tried(endpoint: Endpoint, isSo: (socket: Socket) => Promise<boolean>): Promise<boolean> {
  const socket = await probePort(endpoint).catch(() => undefined);
  if (socket === undefined) return false;
  try {
    return await inTime(isSo(socket), "").catch(() => false);
  } finally {
    socket.destroy();
  }
}

/** Is a CONNECT without user and password answered in the clear? Whatever the answer: that is MQTT without TLS. */
function speaksPlain(endpoint: Endpoint): Promise<boolean> {
  const hello = generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    clientId: "",
    keepalive: 0,
  });
  return tried(endpoint, (socket) => {
    socket.write(hello);
    return new Promise((resolve) => {
      socket.once("data", (bytes: Buffer) => resolve(bytes[0] === 0x20));
      socket.once("error", () => resolve(false)).once("close", () => resolve(false));
    });
  });
}

/** Is a TLS handshake answered, if only by refusing us? */
function speaksTls(endpoint: Endpoint): Promise<boolean> {
  return tried(endpoint, (socket) => {
    // Nothing is sent over it: it is only asked whether TLS is spoken.
    const secure = connectTls({ socket, rejectUnauthorized: false });
    return new Promise((resolve) => {
      secure.once("secureConnect", () => resolve(true)).once("close", () => resolve(false));
      secure.on("error", (error) => resolve(/ended the TLS handshake/.test(sentence(error))));
    }).finally(() => secure.destroy()) as Promise<boolean>;
  });
}

/** What a login and the topics that the uplink listens to have shown. */
export interface LoggedIn {
  receiver: "online" | "offline" | "unknown";
}

/** How long a retained word of the receiver may take. */
const retainedMs = 500;

/** "online" from one that says so; a message that is not what it should be says nothing. */
function receiverIn(payload: Buffer): LoggedIn["receiver"] {
  try {
    const { online } = JSON.parse(payload.toString()) as { online?: unknown };
    return online === true ? "online" : "offline";
  } catch {
    return "unknown";
  }
}

/**
 * Logs in under an id of its own, so that the session of the gateway stays whose it is, listens to what the uplink
 * listens to, and leaves. Nothing stays at the broker.
 */
export async function probeLogin(
  stream: Socket | TLSSocket,
  config: UplinkConfig,
  { city, gateway }: { city: string; gateway: string },
): Promise<LoggedIn> {
  const { id, protocol, username, password } = config;
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
    if (topic.startsWith(`${city}/host/`) && receiver !== "online") receiver = receiverIn(payload);
  });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  client.on("error", (error) => failed.reject(new Error(spoken(error), { cause: error })));
  client.once("close", () => failed.reject(new Error(hungUpEarly)));
  try {
    const opened = new Promise<void>((resolve) => client.once("connect", () => resolve()));
    client.connect();
    await inTime(Promise.race([opened, failed.promise]), "the broker did not answer the CONNECT");
    const topics = [`${city}/ack/v1/${gateway}`, `${city}/host/v1/+`];
    await inTime(
      Promise.race([client.subscribeAsync(topics, { qos: 0 }), failed.promise]),
      "the broker did not answer the SUBSCRIBE",
    );
    await new Promise((resolve) => setTimeout(resolve, retainedMs));
    return { receiver };
  } catch (error) {
    const code = uplinkCause(messageOf(error));
    const endpoint = endpointOf(config);
    const isDoubtful = code === "KERB-UP-HUNG-UP" || code === "KERB-UP-NOT-MQTT";
    if (isDoubtful && !endpoint.isSecure && (await speaksTls(endpoint)))
      throw new Error("the broker wants TLS at this port", { cause: error });
    throw error;
  } finally {
    client.end(true);
    stream.destroy();
  }
}
