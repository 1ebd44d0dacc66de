import { createHash, type KeyObject, randomUUID, sign } from "node:crypto";
import { lchown, link, mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { issuerKeyOf, newIssuerKey, publicKeyOf } from "./receiver/commands/make.ts";

/**
 * The key by which this box is known: Ed25519, made when it is first needed, in the state folder and for its user
 * alone. It signs what the box says, each time under a name of its own, so that nothing passes for something else.
 */

const keyFile = "box.key";

/** `publicKey`: 32 bytes in base64. */
export interface Signature {
  publicKey: string;
  /** Base64. */
  signature: string;
}

/** What a signature is given for: the name, and the SHA-256 (hex) of the bytes that are meant. */
export interface Signed {
  what: "kerb-report" | "kerb-report-page";
  sha256: string;
}

/** The text that is signed: one line without its end, so that any tool can check it. */
export function signedText({ what, sha256: hash }: Signed): string {
  return `${what} sha256:${hash}`;
}

export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** What people compare: the first 16 bytes of the SHA-256 of the public key, "7c41 9f0a …". */
export function fingerprintOf(publicKey: string): string {
  const hex = sha256(Buffer.from(publicKey, "base64")).slice(0, 32);
  return hex.replaceAll(/(.{4})(?=.)/g, "$1 ");
}

async function makeKey(folder: string, file: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const fresh = `${file}.${randomUUID()}`;
  await writeFile(fresh, newIssuerKey().pem, { mode: 0o600, flush: true, flag: "wx" });
  // Made by root, it is still the gateway's.
  const { uid, gid } = await stat(folder);
  if (process.getuid?.() === 0) await lchown(fresh, uid, gid);
  // Whoever was first has made the key: a link never replaces one that is there.
  await link(fresh, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await rm(fresh, { force: true });
  const parent = await open(folder, "r");
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

/** The private key; made where there is none. Rejects where the folder cannot be used or the file holds no such key. */
async function boxKey(stateFolder: string): Promise<KeyObject> {
  const file = join(stateFolder, keyFile);
  const read = () => readFile(file, "utf8");
  const pem = await read().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    await makeKey(stateFolder, file);
    return read();
  });
  return issuerKeyOf(pem);
}

/** The public key of the box of a state folder, 32 bytes in base64. */
export async function boxPublicKey(stateFolder: string): Promise<string> {
  return publicKeyOf(await boxKey(stateFolder));
}

/** Signs in the name of the box. Rejects where there is no key to be had. */
export async function signAsBox(stateFolder: string, signed: Signed): Promise<Signature> {
  const key = await boxKey(stateFolder);
  const signature = sign(null, Buffer.from(signedText(signed)), key).toString("base64");
  return { publicKey: publicKeyOf(key), signature };
}
