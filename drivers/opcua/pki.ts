import { createHash, createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from "node:crypto";
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { DeviceError } from "../../gateway/driver.ts";
import { crypto_utils } from "./library.ts";

/**
 * kerb's own certificate and the servers' certificates that it has met, all in one folder of its own. The library's
 * certificate manager is not used: it writes to the home folder, starts openssl and trusts whom it meets.
 */

type PrivateKey = ReturnType<typeof crypto_utils.coercePEMorDerToPrivateKey>;

/** The application certificate (OPC 10000-4, 6.1), in the shape that the secure channel asks for. */
export interface Identity {
  readonly applicationName: string;
  readonly clientName: string;
  readonly applicationUri: string;
  getCertificate(): Buffer;
  getCertificateChain(): Buffer[];
  getPrivateKey(): PrivateKey;
}

/** SHA-256 over the DER, 64 hex digits: what `openssl x509 -fingerprint -sha256` shows. */
export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

/** A box may come up with its clock years behind, and its certificate must last as long as the box. */
const validFrom = new Date("2024-01-01T00:00:00Z");
const validityDays = 9131;
const identities = new Map<string, Promise<Identity>>();

/** One for each folder and process; without a folder it lasts as long as the process. Rejects with "unsupported". */
export function identityIn(folder: string | undefined): Promise<Identity> {
  const key = folder ?? "";
  let identity = identities.get(key);
  if (identity === undefined) {
    identity = load(folder);
    identities.set(key, identity);
    // The next connect tries again: the folder may be writable by then.
    identity.catch(() => identities.delete(key));
  }
  return identity;
}

async function load(folder: string | undefined): Promise<Identity> {
  if (folder === undefined) return identityOf(await makePem());
  const file = join(folder, "own.pem");
  try {
    const identity = identityOf(await readFile(file, "utf8").catch(() => make(folder, file)));
    await show(folder, identity.getCertificate());
    return identity;
  } catch (error) {
    const { message } = error as Error;
    throw new DeviceError("unsupported", `kerb's own certificate ${file} cannot be used: ${message}`, {
      cause: error,
    });
  }
}

/** Made whole or not at all: two processes that start at once end up with the same one. */
async function make(folder: string, file: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  const pem = await makePem();
  try {
    await writeFile(temporary, pem, { mode: 0o600, flag: "wx", flush: true });
    await chmod(temporary, 0o600);
    await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(temporary, { force: true });
  }
  return readFile(file, "utf8");
}

/** The certificate as people hand it to a server; the driver itself does without. */
async function show(folder: string, certificate: Buffer): Promise<void> {
  const file = join(folder, "kerb.der");
  const shown = await readFile(file).catch(() => undefined);
  if (shown?.equals(certificate) !== true) await writeFile(file, certificate).catch(() => {});
}

async function makePem(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const { cert } = await crypto_utils.createSelfSignedCertificate({
    privateKey: await crypto_utils.pemToPrivateKey(privateKey),
    subject: "CN=kerb",
    dns: [hostname()],
    applicationUri: `urn:${hostname()}:kerb:${randomBytes(4).toString("hex")}`,
    purpose: crypto_utils.CertificatePurpose.ForApplication,
    notBefore: validFrom,
    validity: validityDays,
  });
  return `${privateKey.trim()}\n${cert.trim()}\n`;
}

function identityOf(pem: string): Identity {
  const at = pem.indexOf("-----BEGIN CERTIFICATE-----");
  const certificate = new X509Certificate(pem.slice(at));
  const keyObject = createPrivateKey(pem.slice(0, at));
  if (!certificate.checkPrivateKey(keyObject)) throw new Error("key and certificate do not belong together");
  const key = crypto_utils.coercePEMorDerToPrivateKey(
    keyObject.export({ type: "pkcs8", format: "pem" }).toString(),
  );
  const applicationUri = /URI:([^,\s]+)/.exec(certificate.subjectAltName ?? "")?.[1];
  if (applicationUri === undefined) throw new Error("the certificate names no application URI");
  return {
    applicationName: "kerb",
    clientName: "kerb",
    applicationUri,
    getCertificate: () => certificate.raw,
    getCertificateChain: () => [certificate.raw],
    getPrivateKey: () => key,
  };
}

/** Pins of this process, where there is no folder to keep them. */
const pinsInMemory = new Map<string, string>();

/** The fingerprint that was met first at a place; undefined: none yet. */
export async function pinOf(folder: string | undefined, place: string): Promise<string | undefined> {
  if (folder === undefined) return pinsInMemory.get(place);
  try {
    return (await readFile(pinFile(folder, place), "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    // Not knowing whom it trusts, it trusts nobody.
    throw new DeviceError("denied", `${place}: its pin cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Keeps a fingerprint for good. Rejects with "denied" when that cannot be. */
export async function pin(folder: string | undefined, place: string, fingerprint: string): Promise<void> {
  if (folder === undefined) {
    pinsInMemory.set(place, fingerprint);
    return;
  }
  const file = pinFile(folder, place);
  try {
    await mkdir(join(folder, "pins"), { recursive: true, mode: 0o700 });
    const temporary = `${file}.${randomBytes(6).toString("hex")}`;
    await writeFile(temporary, `${fingerprint}\n`, { mode: 0o600, flush: true });
    await rename(temporary, file);
  } catch (error) {
    throw new DeviceError("denied", `${place}: its pin cannot be kept: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function pinFile(folder: string, place: string): string {
  return join(folder, "pins", `${place.replaceAll(/[^\w.-]/g, "_")}.sha256`);
}
