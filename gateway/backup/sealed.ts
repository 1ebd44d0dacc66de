import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";

/**
 * A backup under a passphrase: one line that says how, then AES-256-GCM over everything, with that line as associated
 * data; the key by scrypt (RFC 7914). Whoever has the file and not the passphrase has nothing, and cannot change it.
 */

const mark = "kerb-sealed-1 ";
/** 64 MiB twice over, about 0.6 s on a small box: each guess costs as much (OWASP, Password Storage, scrypt). */
const cost = { N: 65_536, r: 8, p: 2 };
const keyBytes = 32;
const tagBytes = 16;
const headBytesMax = 1024;

export const passphraseCharsMin = 10;

interface Head {
  N: number;
  r: number;
  p: number;
  salt: string;
  iv: string;
}

function keyOf(passphrase: string, { N, r, p, salt }: Head): Promise<Buffer> {
  const options = { N, r, p, maxmem: 256 * 1024 ** 2 };
  return new Promise((resolve, reject) => {
    // The same letters typed on another keyboard may be other code points.
    scrypt(passphrase.normalize("NFC"), Buffer.from(salt, "base64"), keyBytes, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

export async function seal(bytes: Uint8Array, passphrase: string): Promise<Buffer> {
  const head: Head = {
    ...cost,
    salt: randomBytes(16).toString("base64"),
    iv: randomBytes(12).toString("base64"),
  };
  const line = Buffer.from(`${mark}${JSON.stringify(head)}\n`);
  const cipher = createCipheriv("aes-256-gcm", await keyOf(passphrase, head), Buffer.from(head.iv, "base64"));
  cipher.setAAD(line);
  return Buffer.concat([line, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

export function isSealed(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, mark.length)).equals(Buffer.from(mark));
}

/** The passphrase is another one, or the file is not what was written. */
export class UnsealError extends Error {}

/** Throws `UnsealError`. */
export async function unseal(sealed: Buffer, passphrase: string): Promise<Buffer> {
  const end = sealed.subarray(0, headBytesMax).indexOf(10);
  if (!isSealed(sealed) || end < 0 || sealed.length < end + 1 + tagBytes)
    throw new UnsealError("this is no sealed backup");
  try {
    const head = JSON.parse(sealed.toString("utf8", mark.length, end)) as Head;
    if (!(head.N <= 2 ** 17 && head.r <= 8 && head.p <= 4)) throw new RangeError("unusual cost");
    const key = await keyOf(passphrase, head);
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(head.iv, "base64"), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(sealed.subarray(0, end + 1));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(end + 1, -tagBytes)), decipher.final()]);
  } catch (error) {
    throw new UnsealError("the passphrase is wrong, or the file was changed", { cause: error });
  }
}
