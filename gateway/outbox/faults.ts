/**
 * What an error of the queue asks for. "full": wait and try again on the same handle, its transaction was rolled
 * back. "file": the handle is not trusted any more and the file must be opened again. "other": neither helps.
 */
export function faultOf(error: unknown): "full" | "file" | "other" {
  const { code = "", name, message } = error as { code?: string; name?: string; message?: string };
  if (code === "SQLITE_FULL") return "full";
  if (/^SQLITE_(IOERR|READONLY|CANTOPEN|PROTOCOL|PERM|CONSTRAINT|MISUSE|BUSY|LOCKED)/.test(code))
    return "file";
  if (isDamage(error)) return "file";
  if (name === "TypeError" && message?.includes("connection is not open") === true) return "file";
  return waitable.test(code) ? "file" : "other";
}

/** True for a failure of a file system that may pass, unlike a path that is wrong. */
export function isPassing(error: unknown): boolean {
  const { code = "", cause } = error as { code?: string; cause?: { code?: string } };
  return waitable.test(code) || waitable.test(cause?.code ?? "");
}

const waitable = /^(EROFS|EIO|ENOSPC|EDQUOT|ENODEV|ENXIO|ESTALE|ENOTCONN|ETIMEDOUT|EREMOTEIO|EBADF|EUCLEAN)$/;

/** What statements that never change name and SQLite does not know was described on a page that is damaged. */
export function isDamage(error: unknown): boolean {
  const { code = "" } = error as { code?: string };
  return /^SQLITE_(NOTADB|CORRUPT|ERROR$)/.test(code);
}

/** What an error says, with SQLite's or the system's code before it. */
export function sentence(error: unknown): string {
  const { code = "", message } = error as { code?: string; message: string };
  return code === "" || message.startsWith(code) ? message : `${code}: ${message}`;
}

/** KERB-OUT-OWNER: the state folder belongs to another gateway. `kept`: its events that are still here. */
export interface OtherOwner {
  owner: string;
  gateway: string;
  folder: string;
  /** undefined: its queue cannot be read now. */
  kept: number | undefined;
}

export function ownerSentence({ owner, gateway, folder, kept }: OtherOwner): string {
  const keeps = kept === undefined ? "what it still keeps cannot be read now" : `undelivered events: ${kept}`;
  return `the state folder ${folder} belongs to the gateway "${owner}", and the site file says "${gateway}"; ${keeps}`;
}
