import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import { DeviceError } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** TLS to a camera: nothing is sent before it is known who is there. */

/** How a camera proves who it is. */
export interface Trust {
  readonly context: SecureContext;
  /** SHA-256 of its certificate, hex; undefined: the authorities of `context` vouch for it. */
  readonly pin: string | undefined;
  readonly serverName: string;
}

/** Reads the authorities' file anew, so that a new connection meets a new one. Throws `DeviceError` "denied". */
export function trustOf({ tls, host }: Settings, place: string): Trust | undefined {
  if (tls === undefined) return undefined;
  const { ca, pin, serverName = host } = tls;
  try {
    const context = createSecureContext(ca === undefined ? {} : { ca: readFileSync(ca) });
    return { context, pin, serverName };
  } catch (error) {
    throw new DeviceError("denied", `${place}: tls.ca: ${(error as Error).message}`, { cause: error });
  }
}

/** What is wrong with the certificate that was shown; undefined: it is the camera's. */
function complaint(socket: TLSSocket, { pin, serverName }: Trust): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return "it shows no certificate";
  const shown = createHash("sha256").update(certificate.raw).digest("hex");
  if (pin !== undefined)
    return shown === pin
      ? undefined
      : `it shows another certificate than the pinned one; if it was renewed, write "pin: ${shown}"`;
  if (socket.authorized) return undefined;
  const why = String(socket.authorizationError ?? "unknown");
  return `its certificate is not trusted for ${serverName} (${why}); if its fingerprint is right, write under tls "pin: ${shown}"`;
}

/**
 * Connects and checks the certificate. Codes: aborted, silent, denied (another certificate, or nobody vouches for
 * it), and what `failed` makes of an error of the network.
 */
export function secured(
  {
    host,
    port,
    place,
    trust,
    timeoutMs,
    signal,
  }: {
    readonly host: string;
    readonly port: number;
    readonly place: string;
    readonly trust: Trust;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
  failed: (place: string, error: Error) => DeviceError,
): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect({
    host,
    port,
    secureContext: trust.context,
    // The check is `complaint`: here the connection would be gone before its certificate could be shown.
    rejectUnauthorized: false,
    checkServerIdentity: (_name, certificate) => checkServerIdentity(trust.serverName, certificate),
    ...(isIP(trust.serverName) === 0 ? { servername: trust.serverName } : {}),
  });
  const giveUp = (): void => reject(new DeviceError("aborted", `${place}: given up`));
  const timer = setTimeout(
    () => reject(new DeviceError("silent", `${place}: no TLS within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  );
  signal.addEventListener("abort", giveUp, { once: true });
  socket.on("error", (error) => reject(failed(place, error)));
  socket.on("close", () => reject(new DeviceError("hung-up", `${place}: closed before TLS was agreed`)));
  socket.once("secureConnect", () => {
    const wrong = complaint(socket, trust);
    if (wrong === undefined) resolve(socket);
    else reject(new DeviceError("denied", `${place}: ${wrong}`));
  });
  promise.catch(() => socket.destroy());
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  });
}
