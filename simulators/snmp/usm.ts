import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";

/** The user-based security model of SNMPv3 (RFC 3414, 3826, 7860), written for the simulator alone. */

export interface User {
  name: string;
  auth?: { protocol: AuthProtocol; password: string };
  priv?: { protocol: string; password: string };
}

export type AuthProtocol = "md5" | "sha" | "sha224" | "sha256" | "sha384" | "sha512";

const hashes: Record<AuthProtocol, { name: string; digestBytes: number }> = {
  md5: { name: "md5", digestBytes: 12 },
  sha: { name: "sha1", digestBytes: 12 },
  sha224: { name: "sha224", digestBytes: 16 },
  sha256: { name: "sha256", digestBytes: 24 },
  sha384: { name: "sha384", digestBytes: 32 },
  sha512: { name: "sha512", digestBytes: 48 },
};

/** RFC 3414 A.2: a password, repeated to 2^20 octets, hashed, and made local to one engine. */
export function localKey(protocol: AuthProtocol, password: string, engineId: Uint8Array): Buffer {
  const { name } = hashes[protocol];
  const text = Buffer.from(password);
  const million = Buffer.alloc(1_048_576);
  for (let at = 0; at < million.length; at += text.length) text.copy(million, at);
  const key = createHash(name).update(million).digest();
  return createHash(name).update(key).update(engineId).update(key).digest();
}

/** The keys of one user at one engine. */
export class Keys {
  readonly user: User;
  readonly #authKey: Buffer | undefined;
  readonly #privKey: Buffer | undefined;

  constructor(user: User, engineId: Uint8Array) {
    this.user = user;
    const { auth, priv } = user;
    if (auth === undefined) return;
    this.#authKey = localKey(auth.protocol, auth.password, engineId);
    if (priv === undefined) return;
    if (priv.protocol !== "aes")
      throw new Error(`the simulator encrypts with aes, not with ${priv.protocol}`);
    this.#privKey = localKey(auth.protocol, priv.password, engineId).subarray(0, 16);
  }

  get digestBytes(): number {
    return this.user.auth === undefined ? 0 : hashes[this.user.auth.protocol].digestBytes;
  }

  /** The digest over a message whose digest field holds zeros. */
  digest(message: Uint8Array): Buffer {
    const { name, digestBytes } = hashes[this.user.auth!.protocol];
    return createHmac(name, this.#authKey!).update(message).digest().subarray(0, digestBytes);
  }

  encrypt(plain: Uint8Array, boots: number, time: number): { cipher: Buffer; salt: Buffer } {
    const salt = randomBytes(8);
    const cipher = createCipheriv("aes-128-cfb", this.#privKey!, vector(boots, time, salt));
    return { cipher: Buffer.concat([cipher.update(plain), cipher.final()]), salt };
  }

  decrypt(bytes: Uint8Array, boots: number, time: number, salt: Uint8Array): Buffer {
    const decipher = createDecipheriv("aes-128-cfb", this.#privKey!, vector(boots, time, salt));
    return Buffer.concat([decipher.update(bytes), decipher.final()]);
  }
}

function vector(boots: number, time: number, salt: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(boots, 0);
  head.writeUInt32BE(time, 4);
  return Buffer.concat([head, salt]);
}
