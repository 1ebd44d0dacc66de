import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  type Command,
  type CommandContent,
  type CommandMode,
  type CommandValue,
  lifeMsMax,
  newCommandId,
  signCommand,
} from "../../commands/command.ts";

/** What an IOC wants done. Times are ms. */
export interface Wanted {
  gateway: string;
  device: string;
  /** Point → value in the point's unit. */
  args: Record<string, CommandValue>;
  /** The issuer of the site file, or one of its people: "an.nguyen@ioc". */
  by: string;
  role: string;
  /** After so long it must not be begun any more; 30 s. */
  lifeMs?: number;
  /** After so long the points go back by themselves. */
  leaseMs?: number;
  reason?: string;
  mode?: CommandMode;
  /** The token that the `arm` before has brought. */
  arm?: string;
  /** The nonce that a gateway without a proved clock has given. */
  nonce?: string;
  id?: string;
}

const lifeMsDefault = 30_000;

/** A signed command of what is wanted, issued now. Throws `RangeError` on values that JSON does not have. */
export function makeCommand(wanted: Wanted, key: KeyObject, nowMs = Date.now()): Command {
  const { gateway, device, args, by, role, leaseMs, reason, arm, nonce } = wanted;
  const { lifeMs = lifeMsDefault, mode = "execute", id = newCommandId(nowMs) } = wanted;
  const issued = Math.round(nowMs);
  const content: CommandContent = {
    v: 1,
    id,
    gw: gateway,
    dev: device,
    op: "set",
    args,
    mode,
    ...(arm === undefined ? {} : { arm }),
    notAfter: issued + Math.min(Math.max(1, Math.round(lifeMs)), lifeMsMax),
    issued,
    by,
    role,
    ...(leaseMs === undefined ? {} : { lease: Math.round(leaseMs) }),
    ...(reason === undefined ? {} : { reason }),
    ...(nonce === undefined ? {} : { nonce }),
  };
  return signCommand(content, key);
}

/** A new key pair of an issuer: the private one as PEM, the public one as the site file has it. */
export function newIssuerKey(): { pem: string; publicKey: string } {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { pem, publicKey: publicKeyOf(privateKey) };
}

/** The private key of an issuer from its PEM. Throws on what is none, and on any other kind of key. */
export function issuerKeyOf(pem: string | Buffer): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== "ed25519")
    throw new RangeError(`expected an Ed25519 key, not ${key.asymmetricKeyType ?? "another"}`);
  return key;
}

/** What `commands.issuers` of a site file has as `key`: 32 bytes in base64. */
export function publicKeyOf(key: KeyObject): string {
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("base64");
}
