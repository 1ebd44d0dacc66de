import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../gateway/driver.ts";
import { driver } from "./index.ts";
import { settings as schema, type Address, type Settings } from "./settings.ts";

/** A site that a test plays by hand: it says what it is told to say, byte by byte if need be. */

export type Message = Record<string, unknown>;

export const patient = (): AbortSignal => new AbortController().signal;

async function aFreePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export class ScriptedSite {
  readonly socket: Socket;
  readonly received: Message[] = [];
  closed = false;
  #text = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString();
      const pieces = this.#text.split("\f");
      this.#text = pieces.pop() ?? "";
      for (const piece of pieces) this.received.push(JSON.parse(piece) as Message);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => (this.closed = true));
  }

  /** Calls, again and again until somebody listens. */
  static async call(port: number): Promise<ScriptedSite> {
    for (let i = 0; i < 200; i++) {
      const socket = connect(port, "127.0.0.1");
      const isUp = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
      if (isUp) return new ScriptedSite(socket);
      await sleep(20);
    }
    throw new Error(`nobody listens on ${port}`);
  }

  say(type: string, body: Message = {}): string {
    const mId = randomUUID();
    this.write(`${JSON.stringify({ mType: "rSMsg", type, mId, ...body })}\f`);
    return mId;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  acknowledge(message: Message, rea?: string): void {
    const type = rea === undefined ? "MessageAck" : "MessageNotAck";
    const reason = rea === undefined ? {} : { rea };
    this.write(`${JSON.stringify({ mType: "rSMsg", type, oMId: message["mId"], ...reason })}\f`);
  }

  version(siteId: string, { versions = ["3.2.2"], sxl = "1.2.1", ...more }: Message = {}): string {
    const RSMP = (versions as string[]).map((vers) => ({ vers }));
    return this.say("Version", { RSMP, siteId: [{ sId: siteId }], SXL: sxl, ...more });
  }

  /** The first message that has come of this kind and was not asked for before. */
  async next(is: string | ((message: Message) => boolean), withinMs = 3000): Promise<Message> {
    const end = performance.now() + withinMs;
    const fits = typeof is === "string" ? (message: Message) => message["type"] === is : is;
    for (;;) {
      const at = this.received.findIndex(fits);
      if (at >= 0) return this.received.splice(at, 1)[0]!;
      if (performance.now() > end)
        throw new Error(`no ${String(is)}; there are ${JSON.stringify(this.received)}`);
      await sleep(5);
    }
  }

  /** What kerb said to the message of this id. */
  verdict(id: string): Promise<Message> {
    return this.next((message) => message["oMId"] === id);
  }

  async gone(withinMs = 3000): Promise<void> {
    const end = performance.now() + withinMs;
    while (!this.closed) {
      if (performance.now() > end) throw new Error("kerb has not hung up");
      await sleep(5);
    }
  }

  /** The whole handshake, as the specification has it. */
  async shakeHands(siteId: string, options: Message = {}): Promise<Message> {
    const id = this.version(siteId, options);
    await this.verdict(id);
    const version = await this.next("Version");
    this.acknowledge(version);
    await this.verdict(this.say("Watchdog", { wTs: new Date().toISOString() }));
    this.acknowledge(await this.next("Watchdog"));
    return version;
  }

  hangUp(): void {
    this.socket.destroy();
  }
}

/** A driver's device and its port. */
export interface Stage {
  port: number;
  settings: Settings;
  log: string[];
  strangers: string[];
  /** What the host says of the box's clock. */
  clock: { isWrong: boolean };
  connect(signal?: AbortSignal): Promise<Connection<Address>>;
}

export async function stage(more: Record<string, unknown> = {}, port?: number): Promise<Stage> {
  const own = port ?? (await aFreePort());
  const settings = schema.parse({
    host: "127.0.0.1",
    port: own,
    siteId: "SITE-1",
    component: "TC1",
    timeout: 1000,
    wait: 4000,
    reconnect: 100,
    ...more,
  });
  const log: string[] = [];
  const strangers: string[] = [];
  const clock = { isWrong: false };
  const context = {
    deviceId: "tlc-1",
    log: (_: string, text: string) => void log.push(text),
    stranger: (who: string) => void strangers.push(who),
    clockIsWrong: () => clock.isWrong,
  };
  return {
    port: own,
    settings,
    log,
    strangers,
    clock,
    connect: (signal = patient()) => driver.connect(settings, context, signal),
  };
}

/** A connection and the site at its other end, after the handshake. */
export async function met(
  more: Record<string, unknown> = {},
  versions: readonly string[] = ["3.2.2"],
): Promise<{ site: ScriptedSite; connection: Connection<Address>; on: Stage }> {
  const on = await stage(more);
  const connecting = on.connect();
  const site = await ScriptedSite.call(on.port);
  await site.shakeHands(on.settings.siteId, { versions });
  return { site, connection: await connecting, on };
}

/** The code of the `DeviceError` with which a call ends. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "resolved",
    (error: Error & { code?: string }) =>
      error.name === "DeviceError" ? String(error.code) : `not a DeviceError: ${error.message}`,
  );
}
