import { words } from "../words.ts";

/** What `kerb explain` says. */
export const explainWords = words({
  en: {
    likely: "likely",
    remedy: "do",
    retry: "again",
    retried: "the gateway tries again by itself",
    notRetried: "stays until somebody does something about it",
    unknown: (code: string) => `there is no code "${code}"`,
    near: (codes: string) => `near it: ${codes}`,
    lists: "kerb explain lists all codes",
    more: "kerb explain CODE: what it means and what to do",
    groups: {
      CFG: "Configuration",
      CLI: "The command line",
      CLOCK: "The clock",
      CMD: "Commands to devices",
      DEV: "Devices",
      GW: "The gateway",
      HOST: "Driver processes",
      OUT: "The outbox",
      UP: "The link to the IOC",
    },
  },
  vi: {
    likely: "có thể do",
    remedy: "cách xử lý",
    retry: "thử lại",
    retried: "gateway tự thử lại",
    notRetried: "giữ nguyên cho đến khi có người xử lý",
    unknown: (code) => `không có mã "${code}"`,
    near: (codes) => `gần giống: ${codes}`,
    lists: "kerb explain liệt kê mọi mã",
    more: "kerb explain MÃ: ý nghĩa và cách xử lý",
    groups: {
      CFG: "Cấu hình",
      CLI: "Dòng lệnh",
      CLOCK: "Đồng hồ",
      CMD: "Lệnh điều khiển thiết bị",
      DEV: "Thiết bị",
      GW: "Gateway",
      HOST: "Tiến trình driver",
      OUT: "Hộp gửi",
      UP: "Kết nối tới trung tâm điều hành",
    },
  },
});
