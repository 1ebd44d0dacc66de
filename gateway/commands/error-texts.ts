import type { ErrorText } from "../config/error-texts.ts";
import { outcomeErrors } from "./outcome-texts.ts";

/** Why a command is refused, fails or ends without an answer; the reason beside a code names place and value. */
export const commandErrors = {
  "KERB-CMD-SIZE": {
    title: { en: "A command is too long", vi: "Lệnh quá dài" },
    likely: {
      en: "it was not made by a kerb IOC, or its texts are very long",
      vi: "lệnh không do IOC của kerb tạo, hoặc nội dung quá dài",
    },
    do: {
      en: "keep a command within 8 KiB",
      vi: "giữ lệnh trong 8 KiB",
    },
    retry: false,
  },
  "KERB-CMD-TOPIC": {
    title: {
      en: "A command came on a topic that is not its own",
      vi: "Lệnh đến trên topic không phải của nó",
    },
    likely: {
      en: "the sender's topic and the gateway or device in the command differ",
      vi: "topic của bên gửi khác với gateway hoặc thiết bị ghi trong lệnh",
    },
    do: {
      en: "publish to {city}/cmd/v1/{gateway}/{device}, the same two as in `gw` and `dev`",
      vi: "gửi vào {city}/cmd/v1/{gateway}/{device}, trùng với `gw` và `dev`",
    },
    retry: false,
  },
  "KERB-CMD-RETAINED": {
    title: { en: "A command was kept by the broker", vi: "Lệnh bị máy chủ MQTT lưu lại" },
    likely: {
      en: "the sender has published it with the retain flag, so it would come again at each connection",
      vi: "bên gửi đặt cờ retain, nên lệnh sẽ đến lại mỗi lần kết nối",
    },
    do: {
      en: "send commands without retain, and clear the topic with an empty retained message",
      vi: "gửi lệnh không kèm retain, và xóa topic bằng một tin rỗng có retain",
    },
    retry: false,
  },
  "KERB-CMD-JSON": {
    title: { en: "A command is not JSON", vi: "Lệnh không phải JSON" },
    likely: {
      en: "it was cut, garbled, or has a key twice",
      vi: "lệnh bị cắt, bị hỏng, hoặc có khóa lặp lại",
    },
    do: {
      en: "send one JSON object in UTF-8, each key once",
      vi: "gửi một đối tượng JSON mã hóa UTF-8, mỗi khóa một lần",
    },
    retry: false,
  },
  "KERB-CMD-SCHEMA": {
    title: { en: "A command does not have its form", vi: "Lệnh không đúng định dạng" },
    likely: {
      en: "a key is missing, unknown, or has a value that it cannot have",
      vi: "thiếu khóa, có khóa lạ, hoặc giá trị không hợp lệ",
    },
    do: {
      en: "send what `kerb command` sends; the reason names the key",
      vi: "gửi đúng như `kerb command`; lý do nêu tên khóa",
    },
    retry: false,
  },
  "KERB-CMD-OPERATION": {
    title: {
      en: "A command asks for an operation that does not exist",
      vi: "Lệnh yêu cầu thao tác không tồn tại",
    },
    likely: {
      en: "the IOC is newer than this gateway",
      vi: "IOC mới hơn gateway này",
    },
    do: {
      en: "use `set`, or update the gateway",
      vi: "dùng `set`, hoặc cập nhật gateway",
    },
    retry: false,
  },
  "KERB-CMD-GATEWAY": {
    title: { en: "A command is for another gateway", vi: "Lệnh dành cho gateway khác" },
    likely: {
      en: "it was sent again elsewhere, or the IOC has mixed up two boxes",
      vi: "lệnh bị gửi lại ở nơi khác, hoặc IOC nhầm hai hộp",
    },
    do: {
      en: "look for who sent it: a signed command must not travel to another box",
      vi: "tìm bên gửi: lệnh đã ký không được chuyển sang hộp khác",
    },
    retry: false,
  },
  "KERB-CMD-ISSUER": {
    title: { en: "Nobody known has issued a command", vi: "Bên phát lệnh không được biết" },
    likely: {
      en: "its issuer is not under `commands.issuers` of the site file",
      vi: "bên phát lệnh không có trong `commands.issuers` của tệp cấu hình",
    },
    do: {
      en: "add the issuer with its key, or find out who sends",
      vi: "thêm bên phát lệnh và khóa, hoặc tìm xem ai gửi",
    },
    retry: false,
  },
  "KERB-CMD-SIGNATURE": {
    title: { en: "The signature of a command is wrong", vi: "Chữ ký của lệnh sai" },
    likely: {
      en: "it was changed on the way, was signed with another key, or is forged",
      vi: "lệnh bị sửa trên đường, ký bằng khóa khác, hoặc bị giả mạo",
    },
    do: {
      en: "compare the key in `commands.issuers` with the issuer's; if it is the same, the broker may be broken into",
      vi: "so khóa trong `commands.issuers` với khóa của bên phát lệnh; nếu trùng, có thể máy chủ MQTT bị xâm nhập",
    },
    retry: false,
  },
  "KERB-CMD-DUPLICATE": {
    title: { en: "The id of a command was used for another one", vi: "Mã lệnh đã dùng cho lệnh khác" },
    likely: {
      en: "the IOC makes its ids wrongly, or somebody tries to hide a command",
      vi: "IOC tạo mã sai, hoặc có người cố che giấu lệnh",
    },
    do: {
      en: "give each command a new ULID",
      vi: "tạo ULID mới cho mỗi lệnh",
    },
    retry: false,
  },
  "KERB-CMD-ROLE": {
    title: { en: "The role does not allow the command", vi: "Vai trò không cho phép lệnh này" },
    likely: {
      en: "the issuer does not have this role, or the role has not this device or point",
      vi: "bên phát lệnh không có vai trò này, hoặc vai trò không gồm thiết bị hay điểm đó",
    },
    do: {
      en: "use the right role, or extend `commands.roles`",
      vi: "dùng đúng vai trò, hoặc mở rộng `commands.roles`",
    },
    retry: false,
  },
  "KERB-CMD-DEVICE": {
    title: {
      en: "A command is for a device that this gateway does not have",
      vi: "Lệnh dành cho thiết bị không có ở gateway này",
    },
    likely: {
      en: "the device was removed, renamed or switched off in the site file",
      vi: "thiết bị đã bị gỡ, đổi tên hoặc tắt trong tệp cấu hình",
    },
    do: {
      en: "compare `dev` with `kerb status`",
      vi: "so `dev` với `kerb status`",
    },
    retry: false,
  },
  "KERB-CMD-PHASE": {
    title: { en: "A signal phase is never driven", vi: "Không bao giờ điều khiển trực tiếp pha đèn" },
    likely: {
      en: "the command writes to a signal controller something else than plan, mode or lamp test",
      vi: "lệnh ghi vào tủ đèn tín hiệu điểm khác ngoài chương trình, chế độ hoặc thử đèn",
    },
    do: {
      en: "ask for a plan or a mode; the controller decides on its phases",
      vi: "yêu cầu chương trình hoặc chế độ; tủ điều khiển tự quyết định pha",
    },
    retry: false,
  },
  "KERB-CMD-POINT": {
    title: { en: "The point may not be written", vi: "Điểm này không được phép ghi" },
    likely: {
      en: "it is not listed under `write.allow` of the device, or the profile does not offer it",
      vi: "điểm không có trong `write.allow` của thiết bị, hoặc hồ sơ không cho ghi",
    },
    do: {
      en: "list it there if it is to be operated from afar",
      vi: "thêm vào danh sách nếu cần điều khiển từ xa",
    },
    retry: false,
  },
  "KERB-CMD-VALUE": {
    title: { en: "The point cannot have this value", vi: "Điểm không nhận giá trị này" },
    likely: {
      en: "another kind of value, or none of the point's words",
      vi: "sai kiểu giá trị, hoặc không thuộc các giá trị của điểm",
    },
    do: {
      en: "send one of those that the reason names",
      vi: "gửi một trong các giá trị nêu trong lý do",
    },
    retry: false,
  },
  "KERB-CMD-LIMIT": {
    title: { en: "The value is outside its limits", vi: "Giá trị ngoài giới hạn" },
    likely: {
      en: "wrong unit, or more than profile and site file allow",
      vi: "sai đơn vị, hoặc vượt mức hồ sơ và tệp cấu hình cho phép",
    },
    do: {
      en: "keep within the limits that the reason names",
      vi: "giữ trong giới hạn nêu trong lý do",
    },
    retry: false,
  },
  "KERB-CMD-STEP": {
    title: { en: "The value lies between two steps", vi: "Giá trị nằm giữa hai nấc" },
    likely: {
      en: "the device takes only multiples of its step",
      vi: "thiết bị chỉ nhận bội số của nấc",
    },
    do: {
      en: "round it to the step that the reason names",
      vi: "làm tròn theo nấc nêu trong lý do",
    },
    retry: false,
  },
  "KERB-CMD-LEASE": {
    title: { en: "The lease is longer than it may be", vi: "Thời hạn giữ giá trị quá dài" },
    likely: {
      en: "the profile lets the point go back earlier",
      vi: "hồ sơ yêu cầu điểm tự trở về sớm hơn",
    },
    do: {
      en: "ask for at most the time that the reason names, and renew it",
      vi: "xin tối đa thời gian nêu trong lý do, rồi gia hạn",
    },
    retry: false,
  },
  "KERB-CMD-SINGLE": {
    title: { en: "A safety point is commanded alone", vi: "Điểm an toàn phải được ra lệnh riêng" },
    likely: {
      en: "the command has further points beside it",
      vi: "lệnh còn có điểm khác đi kèm",
    },
    do: {
      en: "send one command for each point",
      vi: "gửi một lệnh cho mỗi điểm",
    },
    retry: false,
  },
  "KERB-CMD-EXPIRED": {
    title: { en: "The command came too late", vi: "Lệnh đến quá muộn" },
    likely: {
      en: "the link was down, the device was busy, or somebody sends an old command again",
      vi: "mất kết nối, thiết bị bận, hoặc có người gửi lại lệnh cũ",
    },
    do: {
      en: "send a new command",
      vi: "gửi lệnh mới",
    },
    retry: false,
  },
  "KERB-CMD-FUTURE": {
    title: { en: "The command was issued in the future", vi: "Lệnh được phát ở thời điểm tương lai" },
    likely: {
      en: "the clock of the IOC or of the box is wrong",
      vi: "đồng hồ của IOC hoặc của hộp sai",
    },
    do: {
      en: "compare both with a time server",
      vi: "so cả hai với máy chủ thời gian",
    },
    retry: false,
  },
  "KERB-CMD-LIFETIME": {
    title: { en: "The command is valid for too long", vi: "Lệnh có hiệu lực quá dài" },
    likely: {
      en: "`notAfter` is more than 60 s after `issued`, or before it",
      vi: "`notAfter` cách `issued` hơn 60 giây, hoặc trước đó",
    },
    do: {
      en: "send it when it is to be executed, valid for 60 s at most",
      vi: "gửi khi cần thực hiện, hiệu lực tối đa 60 giây",
    },
    retry: false,
  },
  "KERB-CMD-CLOCK": {
    title: {
      en: "The box cannot tell whether a command is fresh",
      vi: "Hộp không biết lệnh còn mới hay không",
    },
    likely: {
      en: "its clock is not proved by a time server",
      vi: "đồng hồ chưa được máy chủ thời gian xác nhận",
    },
    do: {
      en: "send a new command with the `nonce` of this answer within 60 s, and let the box reach a time server",
      vi: "gửi lệnh mới kèm `nonce` của câu trả lời này trong 60 giây, và cho hộp kết nối máy chủ thời gian",
    },
    retry: false,
  },
  "KERB-CMD-NONCE": {
    title: { en: "The nonce of a command is not valid", vi: "Nonce của lệnh không hợp lệ" },
    likely: {
      en: "it was used, is older than 60 s, is another issuer's, or the gateway was started anew",
      vi: "đã dùng, quá 60 giây, của bên khác, hoặc gateway vừa khởi động lại",
    },
    do: {
      en: "take a fresh one from the gateway's answer",
      vi: "lấy nonce mới từ câu trả lời của gateway",
    },
    retry: false,
  },
  "KERB-CMD-RATE": {
    title: { en: "Too many commands in a minute", vi: "Quá nhiều lệnh trong một phút" },
    likely: {
      en: "a loop at the IOC, or a stolen key",
      vi: "IOC bị lặp, hoặc khóa bị lộ",
    },
    do: {
      en: "wait a minute; raise `commands.ratePerMinute` only for a known need",
      vi: "chờ một phút; chỉ tăng `commands.ratePerMinute` khi thật cần",
    },
    retry: false,
  },
  "KERB-CMD-ARM-NEEDED": {
    title: { en: "The point must be armed first", vi: "Điểm này phải được chuẩn bị (arm) trước" },
    likely: {
      en: "the point is a safety point, and the command was sent in one step",
      vi: "đây là điểm an toàn, mà lệnh gửi chỉ một bước",
    },
    do: {
      en: "send `arm`, then `commit` with its token within 15 s",
      vi: "gửi `arm`, rồi `commit` kèm mã trong 15 giây",
    },
    retry: false,
  },
  "KERB-CMD-ARM-UNKNOWN": {
    title: { en: "The arm token is not known", vi: "Mã chuẩn bị không được biết" },
    likely: {
      en: "it was never given, or the gateway was started anew since",
      vi: "mã chưa từng được cấp, hoặc gateway đã khởi động lại",
    },
    do: {
      en: "arm again",
      vi: "chuẩn bị lại",
    },
    retry: false,
  },
  "KERB-CMD-ARM-USED": {
    title: { en: "The arm token was used already", vi: "Mã chuẩn bị đã được dùng" },
    likely: {
      en: "the commit was sent twice under two ids, or the arm was aborted",
      vi: "lệnh commit bị gửi hai lần với hai mã, hoặc đã bị hủy",
    },
    do: {
      en: "arm again if it is to be done once more",
      vi: "chuẩn bị lại nếu cần thực hiện lần nữa",
    },
    retry: false,
  },
  "KERB-CMD-ARM-EXPIRED": {
    title: { en: "The arm token has expired", vi: "Mã chuẩn bị đã hết hạn" },
    likely: {
      en: "more than 15 s have passed since the arm",
      vi: "đã quá 15 giây kể từ lúc chuẩn bị",
    },
    do: {
      en: "arm again and commit at once",
      vi: "chuẩn bị lại và thực hiện ngay",
    },
    retry: false,
  },
  "KERB-CMD-ARM-OTHER": {
    title: { en: "The arm token is for something else", vi: "Mã chuẩn bị dành cho việc khác" },
    likely: {
      en: "device, point, value or issuer differ from what was armed",
      vi: "thiết bị, điểm, giá trị hoặc bên phát lệnh khác với lúc chuẩn bị",
    },
    do: {
      en: "arm exactly what is to be committed",
      vi: "chuẩn bị đúng nội dung sẽ thực hiện",
    },
    retry: false,
  },
  "KERB-CMD-TWO-PERSON": {
    title: { en: "A second person must commit", vi: "Cần người thứ hai xác nhận" },
    likely: {
      en: "the same person has armed and committed",
      vi: "cùng một người vừa chuẩn bị vừa thực hiện",
    },
    do: {
      en: "let another person send the commit",
      vi: "để người khác gửi commit",
    },
    retry: false,
  },
  ...outcomeErrors,
} satisfies Record<string, ErrorText>;

export type CommandCode = keyof typeof commandErrors;
