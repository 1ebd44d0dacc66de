import { expect, test } from "vitest";
import { hungUpEarly } from "../mqtt/link.ts";
import { uplinkCause } from "./causes.ts";

// What Node, OpenSSL, mqtt.js and kerb's own link say; most of it is brought about in test/interop/upstream.test.ts.
test.for([
  ["connect ECONNREFUSED 127.0.0.1:1", "REFUSED"],
  ["10.0.0.1 does not answer within 4 s", "UNREACHABLE"],
  ["getaddrinfo ENOTFOUND broker.test", "UNREACHABLE"],
  ["the name broker.test was not resolved within 8 s", "UNREACHABLE"],
  ["the broker did not answer the CONNECT within 20 s", "SILENT"],
  ["the broker did not answer the TLS handshake within 8 s", "SILENT"],
  ["the broker does not answer pings", "SILENT"],
  ["Connection refused: Bad username or password", "CREDENTIALS"],
  ["Connection refused: Bad User Name or Password", "CREDENTIALS"],
  ["Connection refused: Not authorized", "NOT-AUTHORISED"],
  ["Connection refused: Banned", "NOT-AUTHORISED"],
  ["Subscribe error: Not authorized", "NOT-AUTHORISED"],
  ["Subscribe error: Unspecified error", "NOT-AUTHORISED"],
  ["Connection refused: Identifier rejected", "CLIENT-ID"],
  ["Connection refused: Client Identifier not valid", "CLIENT-ID"],
  ["Connection refused: Unacceptable protocol version", "PROTOCOL"],
  ["Connection refused: Unsupported Protocol Version", "PROTOCOL"],
  ["Connection refused: Server unavailable", "FULL"],
  ["Connection refused: Server busy", "FULL"],
  ["Connection refused: Connection rate exceeded", "FULL"],
  ["Connection refused: Quota exceeded", "QUOTA"],
  [hungUpEarly, "HUNG-UP"],
  [`${hungUpEarly} (ECONNRESET)`, "HUNG-UP"],
  ["Client network socket disconnected before secure TLS connection was established", "HUNG-UP"],
  ["Invalid header flag bits, must be 0x0 for puback packet", "NOT-MQTT"],
  ["certificate has expired", "TLS-EXPIRED"],
  ["certificate is not yet valid", "TLS-NOT-YET"],
  [
    "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b",
    "TLS-NAME",
  ],
  ["self-signed certificate in certificate chain", "TLS-UNTRUSTED"],
  ["unable to get local issuer certificate", "TLS-UNTRUSTED"],
  ["the broker ended the TLS handshake: certificate expired (see uplinks → tls)", "TLS-REJECTED"],
  ["the connection was closed", "CLOSED"],
] as const)("%s is KERB-UP-%s", ([reason, code]) => {
  expect(uplinkCause(reason)).toBe(`KERB-UP-${code}`);
});
