import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import {
  generate,
  parser as createParser,
  type IConnectPacket,
  type IPublishPacket,
  type Packet,
} from "mqtt-packet";
import { afterEach } from "vitest";
import { startBroker, type Broker, type BrokerOptions } from "./broker.ts";

const open: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A broker that ends with the test. */
export async function testBroker(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await startBroker(options);
  open.push(() => broker.close());
  return broker;
}

/** An mqtt.js client that never reconnects and ends with the test. */
export async function testClient(broker: Broker, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(
    broker.url,
    { reconnectPeriod: 0, connectTimeout: 5000, ...options },
    false,
  );
  client.on("error", () => {});
  open.push(() => client.endAsync(true));
  return client;
}

/** What a client receives, with promises instead of a wait. */
export class Inbox {
  readonly packets: IPublishPacket[] = [];
  #waiting: { count: number; resolve: () => void } | undefined;

  constructor(client: MqttClient) {
    client.on("message", (_topic, _payload, packet) => {
      this.packets.push(packet);
      if (this.packets.length >= (this.#waiting?.count ?? Infinity)) this.#waiting?.resolve();
    });
  }

  /** Resolves when `count` messages have arrived in all. */
  async atLeast(count: number): Promise<IPublishPacket[]> {
    if (this.packets.length < count) {
      await new Promise<void>((resolve) => (this.#waiting = { count, resolve }));
    }
    return this.packets;
  }

  get texts(): string[] {
    return this.packets.map((packet) => `${packet.topic}=${packet.payload.toString()}`);
  }
}

/** Everything published before this call has reached `client` when it returns: its own message comes behind it. */
export async function barrier(publisher: MqttClient, client: MqttClient): Promise<void> {
  const topic = `barrier/${Math.random().toString(36).slice(2)}`;
  const arrived = new Promise<void>((resolve) => {
    client.on("message", (name) => {
      if (name === topic) resolve();
    });
  });
  await client.subscribeAsync(topic, { qos: 1 });
  await publisher.publishAsync(topic, "", { qos: 1 });
  await arrived;
}

/** A client that does only what the test says: it acknowledges nothing by itself. */
export class RawClient {
  readonly socket: Socket;
  readonly packets: Packet[] = [];
  readonly #version: 4 | 5;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(socket: Socket, version: 4 | 5) {
    this.socket = socket;
    this.#version = version;
    const parser = createParser({ protocolVersion: version });
    parser.on("packet", (packet) => {
      this.packets.push(packet);
      this.#wake?.();
    });
    socket.on("data", (chunk: Buffer) => parser.parse(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
    });
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: this.#version }));
  }

  of<Command extends Packet["cmd"]>(cmd: Command): Extract<Packet, { cmd: Command }>[] {
    return this.packets.filter((packet) => packet.cmd === cmd) as Extract<Packet, { cmd: Command }>[];
  }

  /** The `count`th packet of a kind; rejects if the broker hangs up before it. */
  async take<Command extends Packet["cmd"]>(
    cmd: Command,
    count = 1,
  ): Promise<Extract<Packet, { cmd: Command }>> {
    for (;;) {
      const packet = this.of(cmd)[count - 1];
      if (packet !== undefined) return packet;
      if (this.#closed) throw new Error(`closed before ${cmd} ${count}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Resolves when the broker has hung up. */
  async closed(): Promise<void> {
    while (!this.#closed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** Everything the broker sent before this call has arrived when it returns. */
  async ping(): Promise<void> {
    const before = this.of("pingresp").length;
    this.send({ cmd: "pingreq" });
    await this.take("pingresp", before + 1);
  }
}

/** Opens a socket and sends a CONNECT (`connect` undefined: none); ends with the test. */
export async function rawClient(
  broker: Broker,
  packet?: Partial<IConnectPacket> & { protocolVersion: 4 | 5 },
): Promise<RawClient> {
  const socket = connect({ port: broker.port, host: "127.0.0.1", noDelay: true });
  open.push(() => void socket.destroy());
  await once(socket, "connect");
  const client = new RawClient(socket, packet?.protocolVersion === 4 ? 4 : 5);
  if (packet !== undefined) {
    client.send({
      cmd: "connect",
      protocolId: "MQTT",
      clean: true,
      keepalive: 0,
      clientId: "raw",
      ...packet,
    });
  }
  return client;
}
