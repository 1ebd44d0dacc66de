import type { ErrorText } from "../config/error-texts.ts";

/** Why a sound command is not carried out, or what it came to; the reason beside a code names place and value. */
export const outcomeErrors = {
  "KERB-CMD-OFFLINE": {
    title: {
      en: "The device of a command cannot be reached",
      vi: "Không liên lạc được với thiết bị nhận lệnh",
    },
    likely: {
      en: "it is lost, not found yet, or held back",
      vi: "thiết bị mất kết nối, chưa tìm thấy, hoặc đang bị tạm dừng",
    },
    do: {
      en: "see `kerb status`; send the command when it is back",
      vi: "xem `kerb status`; gửi lệnh khi thiết bị trở lại",
    },
    retry: false,
  },
  "KERB-CMD-IDENTITY": {
    title: { en: "The device is not surely the one to write to", vi: "Không chắc đây là thiết bị cần ghi" },
    likely: {
      en: "another unit, or firmware that the profile does not cover",
      vi: "thiết bị khác, hoặc phần mềm ngoài phạm vi hồ sơ",
    },
    do: {
      en: "`kerb identify` shows who answers; accept it there if it is right",
      vi: "`kerb identify` cho biết thiết bị nào trả lời; chấp nhận tại đó nếu đúng",
    },
    retry: false,
  },
  "KERB-CMD-OVERRIDE": {
    title: { en: "Somebody operates the device on site", vi: "Có người đang vận hành tại chỗ" },
    likely: {
      en: "the switch at the cabinet is on local",
      vi: "công tắc tại tủ đang ở chế độ tại chỗ",
    },
    do: {
      en: "call the site; local operation goes before any command",
      vi: "liên hệ hiện trường; vận hành tại chỗ được ưu tiên",
    },
    retry: false,
  },
  "KERB-CMD-INTERLOCK": {
    title: { en: "An interlock forbids the command", vi: "Khóa liên động không cho phép lệnh" },
    likely: {
      en: "a condition of the profile is not met, or could not be read",
      vi: "điều kiện trong hồ sơ không thỏa, hoặc không đọc được",
    },
    do: {
      en: "see to the condition that the reason names, then send a new command",
      vi: "xử lý điều kiện nêu trong lý do, rồi gửi lệnh mới",
    },
    retry: false,
  },
  "KERB-CMD-BUSY": {
    title: { en: "Too many commands wait", vi: "Quá nhiều lệnh đang chờ" },
    likely: {
      en: "the device is slower than commands come, or too many leases run",
      vi: "thiết bị chậm hơn tốc độ gửi lệnh, hoặc quá nhiều thời hạn đang chạy",
    },
    do: {
      en: "wait for the results of those before",
      vi: "chờ kết quả của các lệnh trước",
    },
    retry: false,
  },
  "KERB-CMD-JOURNAL": {
    title: { en: "The journal of commands cannot be written", vi: "Không ghi được nhật ký lệnh" },
    likely: {
      en: "the disk is full or faulty",
      vi: "đĩa đầy hoặc hỏng",
    },
    do: {
      en: "free the disk; nothing is written to a device without a record",
      vi: "giải phóng đĩa; không ghi vào thiết bị nếu không có nhật ký",
    },
    retry: false,
  },
  "KERB-CMD-STOPPING": {
    title: { en: "The gateway is about to stop", vi: "Gateway đang dừng" },
    likely: {
      en: "it is restarted or updated",
      vi: "đang khởi động lại hoặc cập nhật",
    },
    do: {
      en: "send a new command when it is back",
      vi: "gửi lệnh mới khi gateway trở lại",
    },
    retry: false,
  },
  "KERB-CMD-RESTARTED": {
    title: {
      en: "The gateway was started anew during a command",
      vi: "Gateway khởi động lại khi đang thực hiện lệnh",
    },
    likely: {
      en: "a power cut, a crash or an update at that moment",
      vi: "mất điện, lỗi hoặc cập nhật đúng lúc đó",
    },
    do: {
      en: "wait for the result that follows: the gateway reads the point",
      vi: "chờ kết quả tiếp theo: gateway sẽ đọc lại điểm",
    },
    retry: false,
  },
  "KERB-CMD-HOST": {
    title: {
      en: "Nobody can say whether a command was executed",
      vi: "Không rõ lệnh đã được thực hiện hay chưa",
    },
    likely: {
      en: "the driver's process has ended or does not answer",
      vi: "tiến trình của driver đã dừng hoặc không phản hồi",
    },
    do: {
      en: "wait for the result that follows: the gateway reads the point",
      vi: "chờ kết quả tiếp theo: gateway sẽ đọc lại điểm",
    },
    retry: false,
  },
  "KERB-CMD-NOT-WRITTEN": {
    title: { en: "The device has another value than was ordered", vi: "Thiết bị có giá trị khác với lệnh" },
    likely: {
      en: "the write did not reach it, or something else has changed it since",
      vi: "lệnh ghi không tới nơi, hoặc giá trị đã bị thay đổi sau đó",
    },
    do: {
      en: "send a new command if it is still wanted",
      vi: "gửi lệnh mới nếu vẫn cần",
    },
    retry: false,
  },
  "KERB-CMD-PARTIAL": {
    title: {
      en: "A part of a command was executed, and the rest was not",
      vi: "Lệnh chỉ được thực hiện một phần",
    },
    likely: {
      en: "one of its points could not be written after others had been",
      vi: "một điểm không ghi được sau khi các điểm khác đã được ghi",
    },
    do: {
      en: "see which points stand as ordered, then order the rest, or order those back",
      vi: "xem điểm nào đã được ghi, rồi gửi lệnh cho phần còn lại hoặc ghi lại giá trị cũ",
    },
    retry: false,
  },
  "KERB-CMD-LAPSED": {
    title: {
      en: "A device has let go of a leased value by itself",
      vi: "Thiết bị đã tự bỏ giá trị được thuê có thời hạn",
    },
    likely: {
      en: "nobody refreshed it for too long, or somebody has set another value at the device",
      vi: "quá lâu không được làm mới, hoặc có người đã đặt giá trị khác tại thiết bị",
    },
    do: {
      en: "nothing is written any more for this lease; order it anew if it is still wanted",
      vi: "không ghi gì thêm cho lần thuê này; gửi lệnh mới nếu vẫn cần",
    },
    retry: false,
  },
  "KERB-CMD-UNRESOLVED": {
    title: {
      en: "Nobody will know whether a command was executed",
      vi: "Không thể xác định lệnh đã được thực hiện hay chưa",
    },
    likely: {
      en: "the device could not be read for a day",
      vi: "không đọc được thiết bị trong một ngày",
    },
    do: {
      en: "look at the device on site",
      vi: "kiểm tra thiết bị tại hiện trường",
    },
    retry: false,
  },
  "KERB-CMD-BEFORE": {
    title: {
      en: "The value before a write cannot be read",
      vi: "Không đọc được giá trị trước khi ghi",
    },
    likely: {
      en: "the device does not tell the point, or not well",
      vi: "thiết bị không cho biết giá trị điểm, hoặc giá trị không tốt",
    },
    do: {
      en: "see why the point is not good; nothing was written",
      vi: "xem vì sao điểm không tốt; chưa có gì được ghi",
    },
    retry: false,
  },
} satisfies Record<string, ErrorText>;
