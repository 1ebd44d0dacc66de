import { type ErrorCode, errorTable } from "../errors.ts";

/** Which entry of the table of errors a sentence of SQLite, OpenSSL, the socket or the broker belongs to. */

type Rule = [pattern: RegExp, code: ErrorCode];

const storageRules: Rule[] = [
  [/SQLITE_FULL|disk is full|ENOSPC/, "KERB-OUT-DISK-FULL"],
  [/SQLITE_(READONLY|CANTOPEN|PERM)|readonly database|unable to open|EROFS/, "KERB-OUT-READ-ONLY"],
  [/SQLITE_(CORRUPT|NOTADB)|malformed|not a database/, "KERB-OUT-DAMAGED"],
  [/SQLITE_|disk I\/O error|database is locked/, "KERB-OUT-FAILED"],
];

// In this order: a TLS alert also closes the connection, and a step that took too long says so in its own words.
const uplinkRules: Rule[] = [
  [/ECONNREFUSED/, "KERB-UP-REFUSED"],
  [/did not answer the (CONNECT|TLS handshake|SUBSCRIBE)|not answer pings/, "KERB-UP-SILENT"],
  [/ended the TLS handshake/, "KERB-UP-TLS-REJECTED"],
  [/speaks no TLS|wrong version number|packet length too long/i, "KERB-UP-TLS-PLAIN"],
  [/wants TLS/, "KERB-UP-TLS-WANTED"],
  [/key values mismatch|PEM routines|no start line|asn1 encoding/i, "KERB-UP-TLS-OWN"],
  [/ENOENT|EACCES|EISDIR|ENOTDIR/, "KERB-CFG-FILE"],
  [
    /ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ENETDOWN|ETIMEDOUT|does not answer|was not resolved/,
    "KERB-UP-UNREACHABLE",
  ],
  [/certificate has expired/i, "KERB-UP-TLS-EXPIRED"],
  [/not yet valid/i, "KERB-UP-TLS-NOT-YET"],
  [/altnames|ALTNAME/, "KERB-UP-TLS-NAME"],
  [/certificate|self.signed|unable to (get|verify)/i, "KERB-UP-TLS-UNTRUSTED"],
  [/user ?name or password|0x86/i, "KERB-UP-CREDENTIALS"],
  [/not authori[sz]ed|banned|0x87/i, "KERB-UP-NOT-AUTHORISED"],
  [/protocol version|0x84/i, "KERB-UP-PROTOCOL"],
  [/identifier (rejected|not valid)|0x85/i, "KERB-UP-CLIENT-ID"],
  [/server (unavailable|busy)|connection rate/i, "KERB-UP-FULL"],
  [/hung up before|before secure TLS connection/, "KERB-UP-HUNG-UP"],
  // What the parser of packets says of bytes that are none.
  [/^(Invalid|Cannot parse|Malformed|Packet |Unknown property|Not supported)/, "KERB-UP-NOT-MQTT"],
  [/quota|0x97/i, "KERB-UP-QUOTA"],
  [/too large|0x95/i, "KERB-UP-TOO-LARGE"],
  // MQTT 3.1.1 has no reason.
  [/^Subscribe error/, "KERB-UP-NOT-AUTHORISED"],
  [/half open|no acknowledgement|keepalive|connack timeout/i, "KERB-UP-SILENT"],
];

function firstMatch(rules: Rule[], text: string): ErrorCode | undefined {
  return rules.find(([pattern]) => pattern.test(text))?.[1];
}

/** The code for what the disk said when a commit failed. */
export function storageCause(failure: string): ErrorCode {
  return firstMatch(storageRules, failure) ?? "KERB-OUT-FAILED";
}

/** The code for why an uplink's last attempt or connection ended; it needs the disk for the number of its session. */
export function uplinkCause(reason: string): ErrorCode {
  return firstMatch(storageRules, reason) ?? firstMatch(uplinkRules, reason) ?? "KERB-UP-CLOSED";
}

/** The code of a device that is not online; undefined when the table has none. */
export function deviceCause(code: string | undefined): ErrorCode | undefined {
  const found = `KERB-DEV-${code?.toUpperCase() ?? ""}`;
  return Object.hasOwn(errorTable, found) ? (found as ErrorCode) : undefined;
}

const groupCauses = {
  net: "KERB-NET-SWITCH",
  host: "KERB-NET-HOST",
  line: "KERB-LINE-DEAD",
  broker: "KERB-MQTT-BROKER",
  place: "KERB-NET-HOST",
} as const;

/** The code of what several devices were lost with. */
export function groupCause(kind: keyof typeof groupCauses): ErrorCode {
  return groupCauses[kind];
}
