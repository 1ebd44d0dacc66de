import { DeviceError, type Driver } from "../../gateway/driver.ts";
import { Client, describedPath } from "./client.ts";
import { HttpConnection } from "./connection.ts";
import type { Address, Settings } from "./settings.ts";
import { placeOf, resolveTarget } from "./socket.ts";

/** HTTP and HTTPS: polls JSON, XML and CSV, takes what devices post, and writes JSON. */
export const driver: Driver<Settings, Address> = {
  name: "http",

  line: (settings) =>
    settings.shared && settings.host !== undefined ? placeOf(settings).toLowerCase() : undefined,

  async connect(settings, context, signal) {
    const { host, webhook } = settings;
    const place = host === undefined ? `http://${webhook?.listen ?? ""}/hook` : placeOf(settings);
    // HTTP has no session: the first request opens the socket, to the address that is found here.
    const target = host === undefined ? undefined : await orAborted(resolveTarget(settings), place, signal);
    if (signal.aborted) throw new DeviceError("aborted", `${place}: given up`);
    const client = target === undefined ? undefined : new Client(settings, target);
    return new HttpConnection(settings, place, client, context);
  },

  describe({ path = "posted", pick, format }) {
    return `${describedPath(path)} ${pick}${format === undefined ? "" : ` (${format})`}`;
  },
};

/** A name is looked up by the system, which cannot be told to give up. */
function orAborted<Result>(work: Promise<Result>, place: string, signal: AbortSignal): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const onAbort = () => reject(new DeviceError("aborted", `${place}: given up`));
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  return promise;
}
