import type { GapCause } from "../../gaps.ts";
import { words } from "../../words.ts";
import { counted } from "../../text.ts";

/** What `kerb gaps` and `kerb buffer` say. */
export const boxWords = words({
  en: {
    runs: (place: string) => `the gateway of ${place} is running: its outbox must not be touched`,
    runsCure: "stop it first: systemctl stop kerb   or Ctrl-C where kerb run was started",
    noQueue: (file: string) => `there is no outbox file ${file}`,
    noQueueCure: "give the site file with --site FILE, or the state folder of the box with --state FOLDER",
    stillNote: "no gateway runs: read from its outbox file",
    adopt: {
      own: (gateway: string) => `the state folder belongs to "${gateway}" already: there is nothing to do`,
      damaged: (owner: string) => `the outbox of "${owner}" was damaged and is not salvaged yet`,
      mendCure: (owner: string) =>
        `start the gateway once more under its old id "${owner}": it mends its outbox`,
      failed: (seen: string) => `nothing was taken over: ${seen}`,
      will: (owner: string, gateway: string, left: string) =>
        `"${owner}" becomes "${gateway}". Undelivered events: ${left}. They are put aside with the outbox of "${owner}": only under that id can they be delivered.`,
      saidNo: "nothing was taken over",
      done: (gateway: string, left: string, folder: string) => [
        `the state folder belongs to "${gateway}" now; the IOC is told so with its first event`,
        `the former outbox, with ${left} undelivered events, is in ${folder}`,
        `to read them: kerb buffer export FILE --state ${folder}; to deliver them: kerb run with the former site file, its gateway.state set to that folder`,
      ],
    },
    gaps: {
      from: "FROM",
      to: "TO",
      lasted: "FOR",
      device: "DEVICE",
      cause: "CAUSE",
      missing: "MISSING",
      ioc: "IOC",
      box: "(box)",
      more: (count: number) => `+${count} more`,
      open: "open",
      unended: "not seen",
      told: { acknowledged: "knows", waiting: "waits", dropped: "never told" },
      events: (count: string) => `${count} ${count === "1" ? "event" : "events"}`,
      polls: (count: string) => `${count} polls`,
      none: (since: string) => `no gap in the last ${since}`,
      sum: (gaps: number, since: string, open: number, waiting: number) =>
        `${counted(gaps, "gap")} in the last ${since}: ${open} open, ${waiting} of which the IOC does not know yet`,
      causes: {
        device_offline: "device did not answer",
        not_listening: "nobody listened to it",
        driver_error: "driver process ended",
        box_off: "gateway did not run",
        buffer_overflow: "outbox was full",
        handover_overflow: "way to the outbox full",
        storage: "stored events lost",
        clock_step: "clock was set",
        disabled: "switched off",
        config_change: "site file changed",
      } satisfies Record<GapCause, string>,
    },
    buffer: {
      kept: (events: string, bytes: string) =>
        `kept      ${events} ${events === "1" ? "event" : "events"}, ${bytes}`,
      share: (percent: string, budget: string) => ` = ${percent} % of ${budget}`,
      oldest: (age: string, since: string) => `oldest    ${age}, since ${since}`,
      empty: "oldest    -, everything is with the IOC",
      class: "class    ",
      urgent: "urgent",
      telemetry: "telemetry",
      inflow: (events: string, bytes: string) => `comes in  ${events} events/s, ${bytes}/s`,
      nothingIn: "comes in  nothing",
      outage: (span: string) =>
        `outage    it can take ${span} more; then the oldest telemetry goes first, and is declared`,
      full: "outage    it is full: the oldest telemetry is dropped, and declared",
      disk: (free: string) => `disk      ${free} free`,
      exported: (events: string, file: string) =>
        `${events} ${events === "1" ? "event" : "events"} written to ${file}`,
      unread: (events: string) =>
        `${events} damaged ${events === "1" ? "event" : "events"} could not be read:`,
      range: (epoch: number, numbers: string) => `epoch ${epoch}, number ${numbers}`,
      reasons: {
        checksum: "the checksum of the row is wrong",
        content: "what the row says is not understood",
        page: "no readable page of the file holds it",
      },
      moreRanges: (ranges: number) => `… and ${ranges} more ranges: --json lists them all`,
      uncounted: "which numbers the file had cannot be said: its own account is damaged too",
      unreadCure:
        "keep the state folder: a gateway that is started on it salvages what it can and declares the rest to the IOC",
    },
  },
  vi: {
    runs: (place) => `gateway của ${place} đang chạy: không được đụng vào hộp gửi của nó`,
    runsCure: "dừng nó trước: systemctl stop kerb   hoặc Ctrl-C nơi đã chạy kerb run",
    noQueue: (file) => `không có tệp hộp gửi ${file}`,
    noQueueCure: "chỉ ra tệp cấu hình bằng --site FILE, hoặc thư mục trạng thái của hộp bằng --state FOLDER",
    stillNote: "không có gateway đang chạy: đọc từ tệp của hộp gửi",
    adopt: {
      own: (gateway) => `thư mục trạng thái đã thuộc về "${gateway}": không cần làm gì`,
      damaged: (owner) => `hộp gửi của "${owner}" bị hỏng và chưa được cứu xong`,
      mendCure: (owner) => `chạy gateway thêm một lần dưới id cũ "${owner}": nó tự sửa hộp gửi của mình`,
      failed: (seen) => `chưa tiếp quản gì: ${seen}`,
      will: (owner, gateway, left) =>
        `"${owner}" trở thành "${gateway}". Số sự kiện chưa giao: ${left}. Chúng được cất riêng cùng hộp gửi của "${owner}": chỉ giao được dưới id đó.`,
      saidNo: "chưa tiếp quản gì",
      done: (gateway, left, folder) => [
        `thư mục trạng thái nay thuộc về "${gateway}"; IOC được báo bằng sự kiện đầu tiên của nó`,
        `hộp gửi cũ, với ${left} sự kiện chưa giao, nằm ở ${folder}`,
        `để đọc chúng: kerb buffer export TỆP --state ${folder}; để giao chúng: kerb run với tệp cấu hình cũ, gateway.state đặt là thư mục đó`,
      ],
    },
    gaps: {
      from: "TỪ",
      to: "ĐẾN",
      lasted: "KÉO DÀI",
      device: "THIẾT BỊ",
      cause: "NGUYÊN NHÂN",
      missing: "THIẾU",
      ioc: "IOC",
      box: "(hộp)",
      more: (count) => `+${count} nữa`,
      open: "còn mở",
      unended: "không thấy",
      told: { acknowledged: "đã biết", waiting: "đang chờ", dropped: "chưa được báo" },
      events: (count) => `${count} sự kiện`,
      polls: (count) => `${count} lần đọc`,
      none: (since) => `không có khoảng trống nào trong ${since} qua`,
      sum: (gaps, since, open, waiting) =>
        `${gaps} khoảng trống trong ${since} qua: ${open} còn mở, ${waiting} mà IOC chưa biết`,
      causes: {
        device_offline: "thiết bị không trả lời",
        not_listening: "không ai lắng nghe nó",
        driver_error: "tiến trình driver đã dừng",
        box_off: "gateway không chạy",
        buffer_overflow: "hộp gửi bị đầy",
        handover_overflow: "đường vào hộp gửi bị đầy",
        storage: "mất sự kiện đã lưu",
        clock_step: "đồng hồ được chỉnh",
        disabled: "đã tắt",
        config_change: "tệp cấu hình thay đổi",
      },
    },
    buffer: {
      kept: (events, bytes) => `đang giữ  ${events} sự kiện, ${bytes}`,
      share: (percent, budget) => ` = ${percent} % của ${budget}`,
      oldest: (age, since) => `cũ nhất   ${age}, từ ${since}`,
      empty: "cũ nhất   -, IOC đã nhận tất cả",
      class: "loại     ",
      urgent: "khẩn",
      telemetry: "số đo",
      inflow: (events, bytes) => `nhận vào  ${events} sự kiện/s, ${bytes}/s`,
      nothingIn: "nhận vào  không có gì",
      outage: (span) =>
        `mất mạng  chịu được thêm ${span}; sau đó số đo cũ nhất bị bỏ trước, và được khai báo`,
      full: "mất mạng  đã đầy: số đo cũ nhất bị bỏ, và được khai báo",
      disk: (free) => `đĩa       còn trống ${free}`,
      exported: (events, file) => `đã ghi ${events} sự kiện vào ${file}`,
      unread: (events) => `${events} sự kiện bị hỏng, không đọc được:`,
      range: (epoch, numbers) => `epoch ${epoch}, số ${numbers}`,
      reasons: {
        checksum: "mã kiểm tra của dòng bị sai",
        content: "không hiểu được nội dung của dòng",
        page: "không trang nào đọc được của tệp chứa nó",
      },
      moreRanges: (ranges) => `… và ${ranges} đoạn nữa: --json liệt kê tất cả`,
      uncounted: "không biết tệp từng có những số nào: sổ của chính nó cũng bị hỏng",
      unreadCure:
        "giữ lại thư mục trạng thái: gateway khởi động trên đó sẽ cứu những gì có thể và khai báo phần còn lại với IOC",
    },
  },
});
