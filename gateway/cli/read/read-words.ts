import { words } from "../../words.ts";
import { counted } from "../../text.ts";

/** What `kerb read` says beside its table. */
export const readWords = words({
  en: {
    counts: (requests: number, replies: number, errors: number) =>
      `${counted(requests, "request")}, ${counted(replies, "reply", "replies")}, ${counted(errors, "error")}`,
    loss: (percent: string, ms: number) => `${percent} % loss, p95 ${ms} ms`,
    more: (lines: number) => `… ${lines} more lines: name the points to watch`,
    progress: (device: string, heard: string, records: number, left: string) =>
      `${device} tells its values by itself: heard ${heard} points, ${records} records; waiting ${left} more (Ctrl-C ends the wait)`,
    anyRecord: "any record",
    silence: (limit: string) => `this device may be silent for ${limit} before it counts as lost (silence)`,
    noSilence: "no limit of silence is set for this device (silence)",
    unheard: (time: string, what: string, silence: string) =>
      `not heard within ${time}: ${what}; ${silence}; to wait longer: --wait 5m`,
    bare: (names: string) =>
      `no bytes of: ${names}; of what a device tells by itself they are shown by a direct read (stop the gateway), where the driver has them`,
  },
  vi: {
    counts: (requests, replies, errors) => `${requests} yêu cầu, ${replies} trả lời, ${errors} lỗi`,
    loss: (percent, ms) => `mất ${percent} %, p95 ${ms} ms`,
    more: (lines) => `… còn ${lines} dòng: hãy nêu tên các điểm đo cần xem`,
    progress: (device, heard, records, left) =>
      `${device} tự gửi giá trị: đã nghe ${heard} điểm, ${records} bản ghi; chờ thêm ${left} (Ctrl-C để thôi chờ)`,
    anyRecord: "bản ghi nào",
    silence: (limit) => `thiết bị này có thể im lặng đến ${limit} mới bị coi là mất (silence)`,
    noSilence: "chưa đặt giới hạn im lặng (silence) cho thiết bị này",
    unheard: (time, what, silence) =>
      `không nghe được trong ${time}: ${what}; ${silence}; chờ lâu hơn: --wait 5m`,
    bare: (names) =>
      `không có byte của: ${names}; giá trị do thiết bị tự gửi chỉ có byte khi đọc trực tiếp (dừng gateway) và driver có`,
  },
});
