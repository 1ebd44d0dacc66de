import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { lookup } from "node:dns/promises";
import { connect, isIP } from "node:net";
import type { Facts } from "../driver.ts";

/** Looks at the lowest rungs by itself: a name, a TCP port, a serial port. Sends no byte to any device. */

export type Reached = "open" | "refused" | "timeout" | "no-route" | "failed";

/** Whether a TCP port takes a connection, which is closed at once. */
export function knock(
  host: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ reached: Reached; ms: number; code?: string }> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const end = (reached: Reached, code?: string) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      resolve({ reached, ms: performance.now() - startedMs, ...(code === undefined ? {} : { code }) });
    };
    const onAbort = () => end("timeout");
    const timer = setTimeout(() => end("timeout"), timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.once("connect", () => end("open"));
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED") end("refused", code);
      else if (/^E(NETUNREACH|HOSTUNREACH|NETDOWN|HOSTDOWN|ADDRNOTAVAIL|INVAL|ACCES)$/.test(code))
        end("no-route", code);
      else if (code === "ETIMEDOUT") end("timeout", code);
      else end("failed", code);
    });
  });
}

/** "net.name": does the name lead to an address? Bounded: a resolver may hang. */
export async function resolveName(host: string, timeoutMs: number): Promise<Facts> {
  if (isIP(host.replace(/%.*$/, "")) !== 0) return { "net.address": host };
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), timeoutMs);
  const found = await Promise.race([lookup(host).catch(() => undefined), late.promise]);
  clearTimeout(timer);
  return found === undefined ? { "net.name": "unknown" } : { "net.name": "ok", "net.address": found.address };
}

/** "serial.port" of a path: "ok", "missing", "denied", "no-port" (a file that is no device). */
export async function lookAtPort(path: string): Promise<"ok" | "missing" | "denied" | "no-port"> {
  try {
    if (!(await stat(path)).isCharacterDevice()) return "no-port";
    await access(path, constants.R_OK | constants.W_OK);
    return "ok";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "denied" : "missing";
  }
}
