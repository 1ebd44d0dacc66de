import { X509Certificate } from "node:crypto";
import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { BlockList, connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { DeviceError, socketErrorCode } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** The way to a server: the address is resolved once and kept, and TLS is proved before a byte is sent. */

export interface Target {
  readonly host: string;
  readonly port: number;
  /** The addresses to which the sockets of the connection go, and no other: of several the first that answers. */
  readonly addresses: readonly LookupAddress[];
  readonly tls: Settings["tls"];
  /** At the head of each error message: "https://10.0.0.9:8443". */
  readonly place: string;
}

const ownNets = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
] as const)
  ownNets.addSubnet(net, prefix, "ipv4");
ownNets.addAddress("::", "ipv6");
ownNets.addAddress("::1", "ipv6");
ownNets.addSubnet("fe80::", 10, "ipv6");

/** An address that no name of a device may stand for: this box itself, and what answers only beside it. */
export function isOwnAddress(address: string): boolean {
  // An IPv4 address in IPv6 clothes is known to the list as what it is.
  return ownNets.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

export function placeOf({ host = "", port, tls }: Pick<Settings, "host" | "port" | "tls">): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${name}:${port ?? (tls === undefined ? 80 : 443)}`;
}

/** Rejects with `unreachable` (no such name), or `denied` for a name that leads to this box. */
export async function resolveTarget(settings: Settings): Promise<Target> {
  const { host = "", port, tls } = settings;
  const place = placeOf(settings);
  const target = { host, port: port ?? (tls === undefined ? 80 : 443), tls, place };
  if (isIP(host) !== 0) return { ...target, addresses: [{ address: host, family: isIP(host) }] };
  const found = await lookup(host, { all: true }).catch((error: unknown) => {
    throw new DeviceError("unreachable", `${place}: there is no address for the name "${host}"`, {
      cause: error,
    });
  });
  const own = host === "localhost" ? undefined : found.find(({ address }) => isOwnAddress(address));
  if (own !== undefined)
    throw new DeviceError("denied", `${place}: the name leads to ${own.address}, which is this box itself`);
  return { ...target, addresses: found.slice(0, 8) };
}

const fingerprintOf = (certificate: X509Certificate | undefined): string =>
  certificate === undefined ? "" : certificate.fingerprint256.replaceAll(":", "").toLowerCase();

/** Gives the addresses that are known; nothing is looked up a second time. */
function pinned(addresses: readonly LookupAddress[]): LookupFunction {
  const [first = { address: "", family: 4 }] = addresses;
  return (_host, { all }, give) => {
    if (all === true) give(null, [...addresses]);
    else give(null, first.address, first.family);
  };
}

/** Opens a socket; `ready` is called once, when a request may be sent or with why none may. */
export function openSocket(
  target: Target,
  ready: (error: Error | undefined, socket: Socket) => void,
): Socket {
  const { addresses, port, tls, host, place } = target;
  const way = { host, port, lookup: pinned(addresses), autoSelectFamily: addresses.length > 1 };
  if (tls === undefined) {
    const socket = connectTcp({ ...way, noDelay: true });
    socket.once("connect", () => ready(undefined, socket));
    socket.once("error", (error) => ready(error, socket));
    return socket;
  }
  const { ca, cert, key, pin, serverName } = tls;
  const name = serverName ?? (isIP(host) === 0 ? host : undefined);
  const options: ConnectionOptions = {
    ...way,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    // Judged below, where the fingerprint is known.
    rejectUnauthorized: false,
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key }),
  };
  const socket = connectTls(options);
  socket.setNoDelay(true);
  socket.once("error", (error) => ready(error, socket));
  socket.once("secureConnect", () => {
    const fingerprint = fingerprintOf(socket.getPeerX509Certificate());
    const wanted = pin?.slice("sha256:".length).replaceAll(":", "").toLowerCase();
    const isTrusted = wanted === undefined ? socket.authorized : wanted === fingerprint;
    if (isTrusted) return ready(undefined, socket);
    const why =
      wanted === undefined
        ? `is not trusted (${String(socket.authorizationError)})`
        : "is not the one that is pinned";
    ready(
      new DeviceError("denied", `${place}: the certificate ${why}; its fingerprint is sha256:${fingerprint}`),
      socket,
    );
  });
  return socket;
}

/** Connects without a word of HTTP. Rejects with the `DeviceError` of a server that is not there, or not trusted. */
export async function reach(settings: Settings): Promise<Socket> {
  const target = await resolveTarget(settings);
  return new Promise((resolve, reject) => {
    const socket = openSocket(target, (error) => {
      clearTimeout(timer);
      if (error === undefined) return resolve(socket);
      socket.destroy();
      reject(explained(error, target.place));
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new DeviceError("silent", `${target.place}: no TLS within ${settings.timeout} ms`));
    }, settings.timeout);
  });
}

/** What a socket or Node's HTTP parser says, as the loss of a device. */
export function explained(error: NodeJS.ErrnoException, place: string): DeviceError {
  if (error instanceof DeviceError) return error;
  const { code = "" } = error;
  // Of several addresses none of which answers, only the code is told.
  const message = error.message === "" ? code : error.message;
  const known = socketErrorCode(error);
  if (known !== undefined && known !== "hung-up")
    return new DeviceError(known, `${place}: ${message}`, { cause: error });
  if (code.startsWith("HPE_")) {
    const reason = (error as { reason?: string }).reason ?? message;
    return new DeviceError("garbage", `${place}: what came is not HTTP (${reason})`, { cause: error });
  }
  if (/^ERR_(SSL|TLS|OSSL)|^(EPROTO|CERT_|UNABLE_|DEPTH_|SELF_)/.test(code)) {
    const old = /no application protocol/i.test(message)
      ? "it speaks HTTP/2 only, and kerb HTTP/1.1"
      : /protocol version|unsupported protocol/i.test(message)
        ? "it speaks nothing newer than TLS 1.1, and kerb wants TLS 1.2"
        : undefined;
    if (old !== undefined) return new DeviceError("unsupported", `${place}: ${old}`, { cause: error });
    // An answer in clear on a port that should speak TLS is no refusal.
    const isNoTls = /wrong version number|packet length too long|record layer/i.test(message);
    return new DeviceError(isNoTls ? "garbage" : "denied", `${place}: TLS failed: ${shortReason(message)}`, {
      cause: error,
    });
  }
  if (code.startsWith("ERR_INVALID"))
    return new DeviceError("denied", `${place}: a header cannot be sent: ${message}`, { cause: error });
  return new DeviceError("hung-up", `${place}: the server closed the connection (${message})`, {
    cause: error,
  });
}

/** OpenSSL's line without its numbers: "tlsv1 alert unknown ca". */
function shortReason(message: string): string {
  const parts = message.trim().split(":");
  return (parts.length > 4 ? parts[parts.length >= 6 ? 5 : 3] : message)?.trim().slice(0, 120) ?? message;
}
