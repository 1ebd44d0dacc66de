import { sentenceInVietnamese } from "../config/vietnamese.ts";

/**
 * Why a change was refused or taken back, in Vietnamese. The gateway says and keeps it in English; what a driver or a
 * broker said stands in it as it was said.
 */

type Rule = [pattern: RegExp, vietnamese: string, isOuter?: boolean];

const sentences: Rule[] = [
  [/^generation (.+) is the one that runs$/, "bản $1 chính là bản đang chạy"],
  [/^there is no generation (.+), or it is damaged$/, "không có bản $1, hoặc nó bị hỏng"],
  [/^generation (.+) is not settled yet$/, "bản $1 chưa được xác nhận xong"],
  [/^no generation waits to be confirmed$/, "không có bản nào đang chờ xác nhận"],
  [/^the configuration cannot be kept in (.+?): /, "không lưu được cấu hình vào $1: ", true],
  [
    /^the state folder (.+) belongs to the gateway (".+?"), and the site file says (".+?"); /,
    "thư mục trạng thái $1 thuộc gateway $2, còn tệp cấu hình ghi $3; ",
    true,
  ],
  [/^undelivered events: (\d+)$/, "số sự kiện chưa giao: $1"],
  [/^what it still keeps cannot be read now$/, "hiện không đọc được nó còn giữ những gì"],
  [/^it could not be carried out: /, "không thực hiện được: ", true],
  [/^the gateway ended before it was confirmed$/, "gateway đã dừng trước khi được xác nhận"],
  [/^the gateway stops$/, "gateway đang dừng"],
  [/^nobody confirmed it in time$/, "không ai xác nhận kịp thời"],
  [/^(.+) took it back$/, "$1 đã thu hồi"],
  [/^the host of the driver (".+?") ended$/, "tiến trình của driver $1 đã kết thúc"],
  [/^the host of the driver (".+?") ended \((.+)\)$/s, "tiến trình của driver $1 đã kết thúc ($2)"],
  [/^the link (".+?") was connected before and is not$/, "kết nối $1 trước đó đã nối mà giờ không còn"],
  [
    /^the link (".+?") was connected before and is not: (.+)$/s,
    "kết nối $1 trước đó đã nối mà giờ không còn: $2",
  ],
  [
    /^(\d+) devices were online before and are not \((.+?)\)(: .+)?$/s,
    "$1 thiết bị trước đó trực tuyến mà giờ không ($2)$3",
  ],
  [/^(\S+) was online before and is not(: .+)?$/s, "$1 trước đó trực tuyến mà giờ không$2"],
];

/** Behind the reason of a generation that was taken back while a secret is another one than it had. */
const secretStays = "; a secret stays as its file is: mend that, then kerb config apply";

/** A reason in Vietnamese; what nobody has put into Vietnamese stays as it is. */
export function reasonInVietnamese(reason: string): string {
  if (reason.endsWith(secretStays))
    return `${reasonInVietnamese(reason.slice(0, -secretStays.length))}; bí mật vẫn như trong tệp của nó: sửa tệp đó, rồi kerb config apply`;
  for (const [pattern, vietnamese, isOuter] of sentences) {
    const found = pattern.exec(reason);
    if (found === null) continue;
    const said = found[0].replace(pattern, vietnamese);
    return isOuter === true ? said + reasonInVietnamese(reason.slice(found[0].length)) : said;
  }
  return sentenceInVietnamese(reason);
}

/** The same in the language of who reads it. */
export function reasonIn(language: "en" | "vi", reason: string): string {
  return language === "vi" ? reasonInVietnamese(reason) : reason;
}
