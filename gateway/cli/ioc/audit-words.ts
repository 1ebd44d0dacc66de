import { scheduleIssuer } from "../../commands/command.ts";
import type { Language } from "../../config/error-texts.ts";
import { words } from "../../words.ts";

/** What `kerb audit` says. */
export const auditWords = words({
  en: {
    none: "there is no journal of commands in",
    noneHint:
      "name the gateway's state folder with --state FOLDER; a site that opens nothing for writing has none",
    whole: (records: string, from: string, to: string) =>
      `whole: ${records} records, ${from} to ${to}, every hash is right`,
    broken: "BROKEN",
    declared: "the gateway itself has told of it at",
    cut: "bytes of an unfinished line were cut off",
    lost: "records were lost",
    unread: "a line could not be read",
    torn: "bytes of a line that is not finished yet",
    noHead: "there is no head.json: a tail that was cut off would not be missed",
    tip: "the last hash",
    unreadable: "this line is not what was written",
    claimed: "claimed",
  },
  vi: {
    none: "không có nhật ký lệnh trong",
    noneHint:
      "chỉ ra thư mục trạng thái bằng --state THƯ_MỤC; nơi không mở điểm nào để ghi thì không có nhật ký",
    whole: (records, from, to) => `nguyên vẹn: ${records} bản ghi, ${from} đến ${to}, mọi mã băm đều đúng`,
    broken: "BỊ SỬA",
    declared: "chính gateway đã khai báo tại",
    cut: "byte của một dòng dở dang đã bị cắt",
    lost: "bản ghi bị mất",
    unread: "một dòng không đọc được",
    torn: "byte của một dòng chưa viết xong",
    noHead: "không có head.json: nếu phần cuối bị cắt sẽ không phát hiện được",
    tip: "mã băm cuối",
    unreadable: "dòng này không phải dòng đã ghi",
    claimed: "tự khai",
  },
});

/** Who has done it: whoever came by the box's own socket ("@local") has only said who he is, and nobody has proved it. */
export function whoIn(language: Language, by: string): string {
  return by.endsWith("@local") && by !== scheduleIssuer ? `${by} (${auditWords[language].claimed})` : by;
}
