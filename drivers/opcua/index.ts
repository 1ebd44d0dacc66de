import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Driver, type DriverContext } from "../../gateway/driver.ts";
import { OpcuaConnection, type Remains } from "./connection.ts";
import { openEndpoint, type OpenEndpoint } from "./endpoint.ts";
import { activate, closeSession, openSession, type Session } from "./session.ts";
import type { Address, Settings } from "./settings.ts";
import { urlOf } from "./url.ts";

/** Sessions whose server could not be told that they are over, by device: the next connect takes them over. */
const left = new Map<string, Remains & { url: string }>();

/** How long a session that is made too late is waited for. */
const goodbyeMs = 1000;

/** OPC UA over TCP (OPC 10000-6): reads, writes, calls methods, subscribes to values and events. */
export const driver: Driver<Settings, Address> = {
  name: "opcua",

  async connect(settings, context, signal) {
    const { url, place } = urlOf(settings);
    const open = await openEndpoint(settings, context.folder, signal);
    const before = left.get(context.deviceId);
    left.delete(context.deviceId);
    const leave = (remains: Remains): void => void left.set(context.deviceId, { ...remains, url });
    const said: Promise<unknown>[] = [];
    let session: Session | undefined;
    try {
      if (before !== undefined && before.url === url) {
        const back = await takeOver(before, open, settings, context, leave, signal);
        if (back !== undefined) return back;
      }
      session = await openSession(open, settings, `kerb ${context.deviceId}`, signal, (one) =>
        said.push(one),
      );
      const connection = new OpcuaConnection({ open, session, settings, context, leave });
      await connection.prepare(signal);
      return connection;
    } catch (error) {
      const end = async (): Promise<void> => {
        const isClosed = session === undefined || (await closeSession(open.channel, session));
        if (session !== undefined && !isClosed)
          leave({ session, lostMs: performance.now(), kept: undefined });
        await Promise.race([Promise.all(said), sleep(goodbyeMs, undefined, { ref: false })]);
        await open.channel.close();
      };
      // Who gives up does not wait for the server to be told so.
      const ending = end();
      if (!signal.aborted) await ending;
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
};

/** Goes on with a session that was left behind (OPC 10000-4, 5.6.3); undefined when the server has it no more. */
async function takeOver(
  before: Remains,
  open: OpenEndpoint,
  settings: Settings,
  context: DriverContext,
  leave: (remains: Remains) => void,
  signal: AbortSignal,
): Promise<OpcuaConnection | undefined> {
  const { session, lostMs, kept } = before;
  if (performance.now() - lostMs > session.timeoutMs) return undefined;
  try {
    await activate(open.channel, session, settings, open.protection, signal);
    const connection = new OpcuaConnection({ open, session, settings, context, leave, kept });
    await connection.prepare(signal);
    return connection;
  } catch (error) {
    const { lost } = open.channel;
    const isCutOff = error instanceof DeviceError && ["aborted", "silent"].includes(error.code);
    // The session may still be there: the next try finds it.
    if (isCutOff || lost !== undefined) leave(before);
    if (isCutOff) throw error;
    if (lost !== undefined) throw lost;
    return undefined;
  }
}
