import { connect } from "node:net";
import { mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { city, runProgram, type Bench, type Program } from "./processes.ts";
import { freePort } from "../ports.ts";

/** A throw-away certificate authority, and Debian's broker behind it. */

export interface Certificate {
  cert: string;
  key: string;
}

/** An authority made by `openssl`, in a folder of its own; good for two days. */
export class Authority {
  readonly folder: string;
  readonly ca: string;
  readonly #openssl: string;
  readonly #key: string;

  constructor(openssl: string, folder: string, name: string) {
    this.#openssl = openssl;
    this.folder = join(folder, name);
    this.ca = join(this.folder, "ca.pem");
    this.#key = join(this.folder, "ca.key");
    mkdirSync(this.folder);
    const subject = ["-subj", `/CN=${name}`, "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE"];
    runProgram(openssl, "req", "-x509", ...newKey(this.#key), ...subject, "-out", this.ca);
  }

  /** A certificate with this common name; `names` are the subject's alternative names, "DNS:…" or "IP:…". */
  issue(commonName: string, names: readonly string[] = []): Certificate {
    const [cert, key, request, more] = ["pem", "key", "csr", "ext"].map((end) =>
      join(this.folder, `${commonName}.${end}`),
    ) as [string, string, string, string];
    writeFileSync(more, names.length === 0 ? "" : `subjectAltName=${names.join(",")}\n`);
    runProgram(this.#openssl, "req", ...newKey(key), "-subj", `/CN=${commonName}`, "-out", request);
    const signer = ["-CA", this.ca, "-CAkey", this.#key, "-CAcreateserial", "-days", "2", "-extfile", more];
    runProgram(this.#openssl, "x509", "-req", "-in", request, ...signer, "-out", cert);
    return { cert, key };
  }
}

function newKey(file: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file];
}

/** The name in the broker's certificate, beside 127.0.0.1. */
export const brokerName = "broker.kerb.test";

/** A mosquitto that lets in who has a certificate, by its common name, to the topics of contract v1. */
export async function startBroker(bench: Bench, mosquitto: string, authority: Authority): Promise<Broker> {
  const port = await freePort();
  const { cert, key } = authority.issue("broker", [`DNS:${brokerName}`, "IP:127.0.0.1"]);
  const [config, acl] = [join(bench.folder, "mosquitto.conf"), join(bench.folder, "acl")];
  const own = ["up/v1/%u/#", "st/v1/%u", "dict/v1/%u", "rsp/v1/%u/#", "twin/v1/%u/have"];
  const theirs = ["ack/v1/%u", "cmd/v1/%u/#", "twin/v1/%u/want", "host/#"];
  const rules = [
    "user ioc",
    `topic readwrite ${city}/#`,
    ...own.map((topic) => `pattern write ${city}/${topic}`),
    ...theirs.map((topic) => `pattern read ${city}/${topic}`),
  ];
  const lines = [
    `listener ${port} 127.0.0.1`,
    `cafile ${authority.ca}`,
    `certfile ${cert}`,
    `keyfile ${key}`,
    "require_certificate true",
    "use_identity_as_username true",
    "allow_anonymous false",
    `acl_file ${acl}`,
    // As root it would become another user, who may not read the folder.
    `user ${userInfo().username}`,
    "log_type all",
  ];
  writeFileSync(acl, `${rules.join("\n")}\n`, { mode: 0o600 });
  writeFileSync(config, `${lines.join("\n")}\n`);
  const program = bench.start(mosquitto, "-c", config);
  await program.line((line) => line.includes("running"));
  await listens(port);
  return { port, program };
}

export interface Broker {
  port: number;
  program: Program;
}

function listens(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}
