import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority, type Certificate } from "../interop/tls.ts";

/** Certificates for HTTPS devices and their clients, as texts. */
export interface Certificates {
  ca: string;
  /** For 127.0.0.1 and device.test. */
  server: Certificate;
  client: Certificate;
}

let made: Certificates | undefined;

/** An authority of its own with a certificate for each side, made once by `openssl`. */
export function makeCertificates(): Certificates {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), "kerb-http-"));
  try {
    const authority = new Authority("openssl", folder, "authority");
    const texts = (name: string, names: readonly string[]): Certificate => {
      const { cert, key } = authority.issue(name, names);
      return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    };
    made = {
      ca: readFileSync(authority.ca, "utf8"),
      server: texts("server", ["DNS:device.test", "IP:127.0.0.1"]),
      client: texts("client", []),
    };
    return made;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
