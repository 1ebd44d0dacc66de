import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync, statSync } from "node:fs";

/** The largest configuration file. */
export const fileBytesMax = 1024 ** 2;
const pieceBytes = 16_384;

const systemErrors: Record<string, string> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
  ELOOP: "its links go round in a circle",
};

function utf8Problem(content: Buffer): string | undefined {
  if (content[0] === 0xff && content[1] === 0xfe) return "it is saved as UTF-16: save it as UTF-8";
  if (content.includes(0)) return "it is no text";
  if (isUtf8(content)) return undefined;
  const text = content.toString("latin1").split("\n");
  const line = text.findIndex((one) => !isUtf8(Buffer.from(one, "latin1")));
  return `it is not UTF-8 (line ${line + 1}): save it as UTF-8`;
}

/** What is wrong with a file that holds more than this. */
export function tooLarge(bytesMax: number): string {
  return `it is larger than ${bytesMax / 1024} KiB`;
}

/** What a text file holds; `raw` is `text` with its byte order mark. */
export type FileText = { text: string; raw: string } | { problem: string };

/** Text that is at hand, as if it had been read. */
export function asRead(raw: string): FileText {
  return { text: raw.replace(/^\ufeff/, ""), raw };
}

/** undefined: there are more. Piece by piece: memory for the largest file costs more than most files. */
function bytesOf(handle: number, bytesMax: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let left = bytesMax; left >= 0;) {
    const piece = Buffer.allocUnsafe(pieceBytes);
    const got = readSync(handle, piece);
    if (got === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, got));
    left -= got;
  }
  return undefined;
}

/** The text of a regular UTF-8 file without its byte order mark, or why it cannot be used. Never throws. */
export function readText(file: string, bytesMax: number): FileText {
  let handle: number | undefined;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) return { problem: "it is a folder" };
    // A pipe or a device would block the whole process.
    if (!stat.isFile()) return { problem: "it is not a regular file" };
    handle = openSync(file, "r");
    const content = bytesOf(handle, bytesMax);
    if (content === undefined) return { problem: tooLarge(bytesMax) };
    const problem = utf8Problem(content);
    return problem === undefined ? asRead(content.toString("utf8")) : { problem };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    return { problem: systemErrors[code] ?? `it cannot be read (${code})` };
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}
