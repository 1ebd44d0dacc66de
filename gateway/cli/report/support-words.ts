import { words } from "../../words.ts";

/** What `kerb support-bundle` says. */
export const supportWords = words({
  en: {
    file: "FILE",
    size: "SIZE",
    what: "WHAT",
    hidden: (places: number) => `hidden in it: passwords, keys, tokens, logins, plates (${places} places)`,
    preview: "nothing was written; without --list it goes into one .tar.gz",
    written: (file: string) =>
      `written: ${file}   mail it to whoever helps you; it holds no secret of this site`,
    parts: {
      "about.json": "when, of which gateway, what was hidden",
      "versions.json": "kerb, Node, SQLite",
      "machine.json": "system, memory, addresses, time",
      "status.json": "links, outbox, drivers, devices at this moment",
      "health.json": "what is wrong",
      "books.json": "every event accounted for",
      "gaps.json": "what was missing in the last 7 days",
      "buffer.json": "how full the outbox is",
      "drivers.json": "how far each driver is proven",
      "state-files.json": "files of the state folder: names and sizes",
      "config-check.json": "mistakes in the site's files",
      "config/": "the site's files without secrets and comments",
      "log.txt": "the last lines of the log",
    },
  },
  vi: {
    file: "TỆP",
    size: "CỠ",
    what: "NỘI DUNG",
    hidden: (places) => `đã che: mật khẩu, khóa, mã truy cập, tên đăng nhập, biển số (${places} chỗ)`,
    preview: "chưa ghi gì; không có --list thì tất cả vào một tệp .tar.gz",
    written: (file) => `đã ghi: ${file}   gửi cho người hỗ trợ bạn; không chứa bí mật nào của trạm`,
    parts: {
      "about.json": "lúc nào, của gateway nào, đã che gì",
      "versions.json": "kerb, Node, SQLite",
      "machine.json": "hệ điều hành, bộ nhớ, địa chỉ, giờ",
      "status.json": "kết nối, hộp gửi, driver, thiết bị lúc này",
      "health.json": "điều gì đang sai",
      "books.json": "sổ của mọi sự kiện",
      "gaps.json": "thiếu gì trong 7 ngày qua",
      "buffer.json": "hộp gửi đầy bao nhiêu",
      "drivers.json": "mỗi driver được kiểm chứng tới đâu",
      "state-files.json": "các tệp trong thư mục trạng thái: tên và cỡ",
      "config-check.json": "lỗi trong các tệp cấu hình",
      "config/": "các tệp cấu hình, không có bí mật và ghi chú",
      "log.txt": "những dòng nhật ký cuối",
    },
  },
});
