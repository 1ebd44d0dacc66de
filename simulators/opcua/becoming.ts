import type { OPCUAServer } from "node-opcua";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimulatorOptions } from "../simulator.ts";
import { pretendIdentity } from "./certificate.ts";
import type { Library } from "./library.ts";

/**
 * The identity may become another one while the server runs: its BuildInfo says so at the next question. Another
 * serial number is another unit: it has a certificate of its own, and all connections are cut.
 */
export class Becoming {
  readonly #library: Library;
  readonly #server: OPCUAServer;
  readonly #folder: string;
  readonly #identity: SimulatorOptions["identity"];
  readonly #first: string | undefined;
  readonly #cut: () => void;
  #unit: string | undefined;

  /** `folder` is where keys may be kept; `cut` ends all connections. */
  constructor(
    library: Library,
    server: OPCUAServer,
    folder: string,
    identity: SimulatorOptions["identity"],
    cut: () => void,
  ) {
    this.#library = library;
    this.#server = server;
    this.#folder = folder;
    this.#identity = identity;
    this.#first = this.#unit = identity.serial;
    this.#cut = cut;
  }

  /** Called before a request is served. */
  look(): void {
    const { vendor = "", model = "", firmware = "", serial } = this.#identity;
    const { buildInfo } = this.#server.engine;
    buildInfo.manufacturerName = vendor;
    buildInfo.productName = model;
    buildInfo.softwareVersion = firmware;
    buildInfo.buildNumber = serial ?? "";
    if (serial === this.#unit) return;
    this.#unit = serial;
    this.#swap(serial === this.#first ? undefined : (serial ?? ""));
    this.#cut();
  }

  #swap(who: string | undefined): void {
    const [certificate, key] = this.#filesOf(who);
    const provider = () => new this.#library.DiskCertificateKeyPairProvider(certificate, key);
    this.#server.setProvider(provider());
    for (const endpoint of this.#server.endpoints) endpoint.setCertificateProvider(provider());
  }

  #filesOf(who: string | undefined): [certificate: string, key: string] {
    if (who === undefined)
      return [
        join(this.#folder, "own/certs/certificate.pem"),
        join(this.#folder, "own/private/private_key.pem"),
      ];
    const name = createHash("sha256").update(who).digest("hex").slice(0, 16);
    const files: [string, string] = [join(this.#folder, `${name}.pem`), join(this.#folder, `${name}.key`)];
    if (existsSync(files[0])) return files;
    const { key, certificate } = pretendIdentity(who);
    writeFileSync(files[1], key, { mode: 0o600 });
    writeFileSync(files[0], certificate);
    return files;
  }
}
