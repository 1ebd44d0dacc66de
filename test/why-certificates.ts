import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "node:net";
import { runProgram } from "./interop/processes.ts";
import type { Certificate } from "./interop/tls.ts";
import { type Listening, opened } from "./why-rig.ts";

/** Certificates that do not hold today, and a server that shows one. */

const config = `[ca]
default_ca = own
[own]
database = index
rand_serial = yes
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
`;

/** A certificate that vouches for itself, valid in these years only. */
export function certificateOf(fromYear: number, toYear: number): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "kerb-why-tls-"));
  const file = (name: string) => join(folder, name);
  const names = { index: file("index"), ".": folder };
  try {
    writeFileSync(
      file("config"),
      config.replace(/(?<== )(?:index|\.)$/gm, (name) => names[name as keyof typeof names]),
    );
    writeFileSync(file("index"), "");
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const request = ["-keyout", file("key"), "-out", file("request"), "-subj", "/CN=device.test"];
    runProgram("openssl", "req", "-new", ...curve, ...request);
    const years = ["-startdate", `${fromYear}0101000000Z`, "-enddate", `${toYear}0101000000Z`];
    const files = ["-config", file("config"), "-keyfile", file("key"), "-in", file("request")];
    const how = ["-batch", "-notext", "-selfsign", "-out", file("cert")];
    runProgram("openssl", "ca", ...how, ...files, ...years);
    return { cert: readFileSync(file("cert"), "utf8"), key: readFileSync(file("key"), "utf8") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A server that shows this certificate to whoever comes. */
export function showing(certificate: Certificate): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer(certificate).on("tlsClientError", () => {});
  server.on("connection", (socket: Socket) => sockets.add(socket));
  return opened(server, sockets);
}
