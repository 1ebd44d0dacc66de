import { checkPrimeSync, createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";

/**
 * Key and certificate of every pretend server: made from a seed that everybody knows, so that they are the same on
 * each machine and after each start, as those of a real server are, and a site file can pin them.
 */

/** The name that the certificate is for. */
export const applicationUri = "urn:kerb:simulator";

const seed = "kerb pretend OPC UA server";
const primeBytes = 128;
const publicExponent = 65_537n;

/** Bytes by SHA-256 in counter mode. */
function seededBytes(purpose: string, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++)
    blocks.push(createHash("sha256").update(`${seed} ${purpose} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

function seededPrime(purpose: string): bigint {
  const start = seededBytes(purpose, primeBytes);
  // The two highest bits: the product of two such primes has its full length.
  start[0]! |= 0xc0;
  let candidate = BigInt(`0x${start.toString("hex")}`) | 1n;
  while (candidate % publicExponent === 1n || !checkPrimeSync(candidate)) candidate += 2n;
  return candidate;
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [before, now] = [0n, 1n];
  let [left, right] = [modulus, value % modulus];
  while (right !== 0n) {
    const quotient = left / right;
    [left, right] = [right, left - quotient * right];
    [before, now] = [now, before - quotient * now];
  }
  return before < 0n ? before + modulus : before;
}

function base64url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex").toString("base64url");
}

function seededKey(who: string) {
  const [one, two] = [seededPrime(`first prime${who}`), seededPrime(`second prime${who}`)];
  const [p, q] = one > two ? [one, two] : [two, one];
  const d = inverse(publicExponent, (p - 1n) * (q - 1n));
  const numbers = {
    n: p * q,
    e: publicExponent,
    d,
    p,
    q,
    dp: d % (p - 1n),
    dq: d % (q - 1n),
    qi: inverse(q, p),
  };
  const key = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, base64url(value)]));
  return createPrivateKey({ key: { kty: "RSA", ...key }, format: "jwk" });
}

/** DER: tag, length, content. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const hex = (text: string) => Buffer.from(text, "hex");
const text = (tag: number, content: string) => der(tag, Buffer.from(content, "latin1"));
const identifier = (content: string) => der(0x06, hex(content));
const extension = (id: string, value: Uint8Array, isCritical = false) =>
  sequence(identifier(id), ...(isCritical ? [hex("0101ff")] : []), der(0x04, value));

/** A self-signed application instance certificate (RFC 5280; OPC 10000-6, 6.2.2). */
function certificateOf(key: ReturnType<typeof seededKey>): Buffer {
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const keyId = createHash("sha1").update(publicKey).digest();
  const sha256WithRsa = sequence(identifier("2a864886f70d01010b"), hex("0500"));
  const name = sequence(der(0x31, sequence(identifier("550403"), text(0x0c, "kerb simulator"))));
  const alternatives = sequence(
    text(0x86, applicationUri),
    text(0x82, "localhost"),
    der(0x87, Buffer.from([127, 0, 0, 1])),
  );
  const extensions = sequence(
    extension("551d0e", der(0x04, keyId)),
    extension("551d23", sequence(der(0x80, keyId))),
    extension("551d13", sequence(), true),
    // digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment
    extension("551d0f", hex("030204f0"), true),
    // serverAuth, clientAuth
    extension("551d25", sequence(identifier("2b06010505070301"), identifier("2b06010505070302"))),
    extension("551d11", alternatives),
  );
  const body = sequence(
    der(0xa0, hex("020102")),
    der(0x02, hex("01")),
    sha256WithRsa,
    name,
    sequence(text(0x17, "200101000000Z"), text(0x17, "491231235959Z")),
    name,
    publicKey,
    der(0xa3, extensions),
  );
  return sequence(body, sha256WithRsa, der(0x03, hex("00"), sign("sha256", body, key)));
}

/** Private key and certificate, PEM: of every pretend server, or of the unit with this serial number. */
export function pretendIdentity(unit?: string): { key: string; certificate: string } {
  const key = seededKey(unit === undefined ? "" : ` of ${unit}`);
  const lines = certificateOf(key)
    .toString("base64")
    .replaceAll(/.{64}/g, (line) => `${line}\n`);
  return {
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.trim()}\n-----END CERTIFICATE-----\n`,
  };
}
