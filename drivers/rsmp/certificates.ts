import { readFileSync } from "node:fs";
import type { TlsOptions } from "node:tls";
import type { Settings } from "./settings.ts";

/** What the files of the certificates hold, for a TLS server. Throws where one cannot be read. */
export function certificatesOf({ cert, key, ca, minVersion }: NonNullable<Settings["tls"]>): TlsOptions {
  return {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(ca === undefined ? {} : { ca: readFileSync(ca), requestCert: true }),
    minVersion,
  };
}
