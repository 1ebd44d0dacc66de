import { writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable } from "../errors.ts";
import { openSnapshot, snapshotFolder } from "../snapshots.ts";
import { CommandError, notFoundError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { controlSocket, findSite } from "./site.ts";

export interface SnapshotOptions {
  site?: string;
  output: string;
  json?: boolean;
  lang?: Language;
}

const words = {
  en: {
    gone: "there is no snapshot of this reference: its time is over, or it was taken on another box",
    goneHint: "the event's snapshot.keptUntil says how long it was kept; take the reference from the event",
    broken: "this snapshot cannot be opened: its file or the key beside it has been changed",
    brokenHint: "look into the folder snapshots of the state folder",
    unwritten: "the picture cannot be written",
    unwrittenHint: "name a new file in a folder that you may write to",
    taken: "taken by",
    at: "at",
  },
  vi: {
    gone: "không có ảnh nào mang mã này: đã hết hạn lưu, hoặc được chụp ở tủ khác",
    goneHint: "snapshot.keptUntil trong sự kiện cho biết hạn lưu; lấy mã từ chính sự kiện",
    broken: "không mở được ảnh này: tệp ảnh hoặc khóa bên cạnh đã bị thay đổi",
    brokenHint: "xem thư mục snapshots trong thư mục trạng thái",
    unwritten: "không ghi được ảnh",
    unwrittenHint: "đặt tên một tệp mới trong thư mục mà bạn được quyền ghi",
    taken: "chụp bởi",
    at: "lúc",
  },
};

const failed = (title: string, hint: string) =>
  new CommandError({ code: "KERB-CLI-FAILED", exitCode: exitCodes.unexpected, title, hint });

/** `kerb snapshot`: decrypts one kept picture on this box into a file of its own, for this user alone. */
export async function snapshot(ref: string, options: SnapshotOptions): Promise<number> {
  const text = words[languageOf(options.lang)];
  const folder = snapshotFolder(dirname(controlSocket(findSite(options.site))));
  const picture = await openSnapshot(folder, ref).catch((error: Error) => {
    throw failed(text.broken, `${text.brokenHint} (${error.message})`);
  });
  if (picture === undefined) throw notFoundError(text.gone, text.goneHint);
  const { device, type, takenMs, bytes } = picture;
  const file = resolve(options.output);
  try {
    // A file that is there already may be open to others, or be a link to elsewhere.
    writeFileSync(file, bytes, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw failed(`${text.unwritten}: ${file}`, `${text.unwrittenHint} (${(error as Error).message})`);
  }
  const taken = new Date(takenMs).toISOString();
  if (options.json === true) printData("snapshot", { file, device, type, taken, bytes: bytes.length });
  else printLines([`${file}   ${printable(type)}   ${text.taken} ${printable(device)} ${text.at} ${taken}`]);
  return exitCodes.ok;
}
