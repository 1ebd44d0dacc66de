import { readFileSync } from "node:fs";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { Settings } from "./settings.ts";

/** What MQTT is spoken over. Throws when a certificate file cannot be read or is none. */
export function streamOf({ tls, host }: Settings, socket: Socket): Duplex {
  if (tls === undefined) return socket;
  const serverName = tls.serverName ?? (isIP(host) === 0 ? host : undefined);
  return connectTls({
    socket,
    host,
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
}
