import { DeviceError, type Driver, type DriverContext } from "../../gateway/driver.ts";
import { Channel, unprotected } from "./channel.ts";
import { OpcuaConnection, type Remains } from "./connection.ts";
import { endpointsOf, openEndpoint, urlOf, type OpenEndpoint } from "./endpoint.ts";
import { activate, openSession, type Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";

/** Sessions whose server could not be told that they are over, by device: the next connect takes them over. */
const left = new Map<string, Remains & { url: string }>();

/** OPC UA over TCP (OPC 10000-6): reads, writes, calls methods, subscribes to values and events. */
export const driver: Driver<Settings, Address> = {
  name: "opcua",

  async connect(settings, context, signal) {
    const { url, place } = urlOf(settings);
    const open = await openEndpoint(settings, context.folder, signal);
    const before = left.get(context.deviceId);
    left.delete(context.deviceId);
    let session: Session | undefined;
    try {
      const mine = before?.url === url ? before : undefined;
      const isBack = mine !== undefined && (await takeOver(mine, open, settings, signal));
      session = isBack
        ? mine.session
        : await openSession(open, settings, `kerb ${context.deviceId}`, signal);
      const connection = new OpcuaConnection(
        open,
        session,
        settings,
        context,
        (remains) => left.set(context.deviceId, { ...remains, url }),
        isBack ? mine.kept : undefined,
      );
      await connection.prepare(signal);
      return connection;
    } catch (error) {
      if (session !== undefined) left.set(context.deviceId, { session, lostMs: performance.now(), kept: undefined, url });
      await open.channel.close();
      throw error instanceof DeviceError
        ? error
        : new DeviceError("garbage", `${place}: ${String(error)}`, { cause: error });
    }
  },

  describe({ node, path, field, event, method, member, index }) {
    const where = node ?? path ?? `event field ${field ?? ""}`;
    const part = `${member === undefined ? "" : ` member ${member}`}${index === undefined ? "" : ` [${index}]`}`;
    const what = `${event === undefined ? "" : ` events ${event}`}${method === undefined ? "" : ` method ${method}`}`;
    return `${where}${part}${what}`;
  },

  async *discover(scope, context, signal) {
    const found = await endpointsAt(scope, context, signal);
    for (const one of found) yield one;
  },
};

/** Activates a session that was left behind on the new channel (OPC 10000-4, 5.6.3); false when it is gone. */
async function takeOver(
  { session, lostMs }: Remains,
  { channel, protection }: OpenEndpoint,
  settings: Settings,
  signal: AbortSignal,
): Promise<boolean> {
  if (performance.now() - lostMs > session.timeoutMs) return false;
  try {
    await activate(channel, session, settings, protection, signal);
    return true;
  } catch (error) {
    if (!(error instanceof DeviceError) || ["aborted", "silent"].includes(error.code)) throw error;
    // It has expired, or the server wants a new one.
    if (channel.lost !== undefined) throw channel.lost;
    return false;
  }
}

/** The endpoints of one "host:port", each as settings that reach it. */
async function endpointsAt(scope: string, _context: DriverContext, signal: AbortSignal) {
  const [, host = "", port = "4840"] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(scope) ?? [];
  if (host === "" || host.includes("/"))
    throw new DeviceError("unsupported", `"${scope}" is no host or host:port`);
  const { settings: schema } = await import("./settings.ts");
  const base = schema.parse({ host, port: Number(port), security: "none" });
  const { url, place } = urlOf(base);
  const options = { url, place, timeoutMs: base.timeout, protection: unprotected };
  const channel = await Channel.open(options, signal);
  try {
    const endpoints = await endpointsOf(channel, url, signal);
    const [server] = endpoints.map((one) => one.server);
    const shown = endpoints.map(({ securityMode, securityPolicyUri }) => `${securityMode} ${securityPolicyUri ?? ""}`);
    return [
      {
        settings: { ...base, security: "sign-and-encrypt" as const },
        identity: {
          ...(server?.applicationName.text ? { model: server.applicationName.text } : {}),
          more: { ApplicationUri: server?.applicationUri ?? "", endpoints: shown.join(", ") },
        },
      },
    ];
  } finally {
    await channel.close();
  }
}
