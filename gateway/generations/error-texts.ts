import type { ErrorText } from "../config/error-texts.ts";

/** What changing the configuration of a running gateway can say. */
export const generationErrors = {
  "KERB-CFG-SAFE-MODE": {
    title: {
      en: "The site file is wrong; the last good configuration runs in its place",
      vi: "Tệp cấu hình bị sai; đang chạy cấu hình tốt gần nhất thay cho nó",
    },
    likely: {
      en: "the file was edited and the gateway started anew before it was checked",
      vi: "tệp đã bị sửa và gateway khởi động lại trước khi tệp được kiểm tra",
    },
    do: {
      en: "kerb config check shows each mistake; mend the file, then: kerb config apply",
      vi: "kerb config check chỉ ra từng lỗi; sửa tệp rồi chạy: kerb config apply",
    },
    retry: false,
  },
  "KERB-CFG-REVERTED": {
    title: {
      en: "A changed configuration was taken back; the one before runs",
      vi: "Cấu hình mới đã bị thu hồi; cấu hình trước đó đang chạy",
    },
    likely: {
      en: "it cut the link, ended a driver or lost devices, or nobody confirmed it in time",
      vi: "nó làm mất kết nối, làm dừng driver, làm mất thiết bị, hoặc không ai xác nhận kịp",
    },
    do: {
      en: "mend the files (kerb config diff shows what they would change), then: kerb config apply",
      vi: "sửa các tệp (kerb config diff cho biết chúng sẽ đổi gì) rồi chạy: kerb config apply",
    },
    retry: false,
  },
  "KERB-CFG-REFUSED": {
    title: { en: "The changed files were not taken over", vi: "Các tệp đã sửa không được áp dụng" },
    likely: {
      en: "they are wrong, or another change is under way",
      vi: "tệp sai, hoặc đang có thay đổi khác",
    },
    do: { en: "run kerb config check", vi: "chạy kerb config check" },
    retry: false,
  },
  "KERB-CFG-PENDING": {
    title: {
      en: "The newest generation is still watched, or waits to be confirmed",
      vi: "Bản mới nhất vẫn đang được theo dõi, hoặc đang chờ xác nhận",
    },
    likely: {
      en: "it was applied less than 30 s ago, or with --confirm",
      vi: "nó vừa được áp dụng chưa đến 30 giây, hoặc có --confirm",
    },
    do: {
      en: "keep it: kerb config confirm   or take it back: kerb config rollback N",
      vi: "giữ lại: kerb config confirm   hoặc thu hồi: kerb config rollback N",
    },
    retry: true,
  },
  "KERB-CFG-NOTHING": {
    title: { en: "Nothing waits to be confirmed", vi: "Không có gì chờ xác nhận" },
    likely: {
      en: "it was kept already, or taken back because nobody confirmed it in time",
      vi: "nó đã được giữ, hoặc đã bị thu hồi vì không ai xác nhận kịp",
    },
    do: { en: "kerb config history shows which", vi: "kerb config history cho biết" },
    retry: false,
  },
  "KERB-CFG-GENERATION": {
    title: {
      en: "This generation cannot be taken",
      vi: "Không thể dùng bản cấu hình này",
    },
    likely: {
      en: "it is the one that runs, or is not among the newest 20",
      vi: "nó đang chạy, hoặc không nằm trong 20 bản mới nhất",
    },
    do: { en: "kerb config history lists them", vi: "kerb config history liệt kê các bản" },
    retry: false,
  },
  "KERB-CFG-KEEP": {
    title: {
      en: "The configuration cannot be kept, so it is not changed",
      vi: "Không lưu được cấu hình nên không thay đổi",
    },
    likely: {
      en: "the disk of the state folder is full or read-only",
      vi: "đĩa chứa thư mục state đầy hoặc chỉ đọc",
    },
    do: {
      en: "make room on the disk, or look at kerb health",
      vi: "giải phóng chỗ trên đĩa, hoặc xem kerb health",
    },
    retry: true,
  },
} as const satisfies Record<string, ErrorText>;
