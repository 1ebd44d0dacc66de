import { gunzipSync, gzipSync } from "node:zlib";

/** Archives that every machine opens: tar in gzip. Source of the layout: POSIX.1-2017, pax, "ustar Interchange Format". */

export interface ArchiveFile {
  /** With "/" between folders. */
  name: string;
  bytes: Buffer;
  mode?: number;
}

const block = 512;
const nameMax = 100;
const prefixMax = 155;
const unpackedMax = 4 * 1024 ** 3 - 1;
/** A bomb stops here: nothing of a box is packed to less than a hundredth, and a small box has 512 MB. */
const unpackedLimit = (packed: number): number => Math.min(unpackedMax, 32 * 1024 ** 2 + 100 * packed);

/** A name in its two fields; throws for one that has no room there. */
function fields(name: string): { name: Buffer; prefix: Buffer } {
  const whole = Buffer.from(name);
  if (whole.length <= nameMax) return { name: whole, prefix: Buffer.alloc(0) };
  for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) {
    const [prefix, rest] = [Buffer.from(name.slice(0, at)), Buffer.from(name.slice(at + 1))];
    if (prefix.length <= prefixMax && rest.length <= nameMax && rest.length > 0)
      return { name: rest, prefix };
  }
  throw new Error(`the name is too long for an archive: ${name}`);
}

function head({ name: whole, bytes, mode = 0o600 }: ArchiveFile, madeMs: number): Buffer {
  const { name, prefix } = fields(whole);
  const bytesHead = Buffer.alloc(block);
  const octal = (value: number, at: number, length: number) =>
    bytesHead.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  name.copy(bytesHead, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(bytes.length, 124, 12);
  octal(Math.floor(madeMs / 1000), 136, 12);
  bytesHead.write("        0", 148, "latin1");
  bytesHead.write("ustar\u000000", 257, "latin1");
  prefix.copy(bytesHead, 345);
  const sum = bytesHead.reduce((total, byte) => total + byte, 0);
  bytesHead.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytesHead;
}

/** The files as one archive. */
export function pack(files: readonly ArchiveFile[], madeMs: number): Buffer {
  const parts = files.flatMap((file) => [
    head(file, madeMs),
    file.bytes,
    Buffer.alloc((block - (file.bytes.length % block)) % block),
  ]);
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * block)]));
}

/** The files of an archive that `pack` made. Throws when it is cut off or damaged. */
export function unpack(archive: Uint8Array): ArchiveFile[] {
  const bytes = gunzipSync(archive, { maxOutputLength: unpackedLimit(archive.length) });
  const files: ArchiveFile[] = [];
  for (let at = 0; at + block <= bytes.length;) {
    const own = bytes.subarray(at, at + block);
    if (own.every((byte) => byte === 0)) return files;
    const text = (from: number, length: number) =>
      own.toString("utf8", from, from + length).replace(/\0[^]*$/, "");
    const size = Number.parseInt(text(124, 12), 8);
    const prefix = text(345, prefixMax);
    const name = prefix === "" ? text(0, nameMax) : `${prefix}/${text(0, nameMax)}`;
    at += block;
    if (!(size >= 0) || at + size > bytes.length) throw new Error("the archive is cut off");
    files.push({
      name,
      bytes: bytes.subarray(at, at + size),
      mode: Number.parseInt(text(100, 8), 8) & 0o777,
    });
    at += Math.ceil(size / block) * block;
  }
  throw new Error("the archive is cut off");
}
