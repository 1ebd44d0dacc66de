import type { Language } from "../config/error-texts.ts";
import type { GapCause } from "../gaps.ts";

/** What `kerb gaps` and `kerb buffer` say. */

interface BoxWords {
  runs: (place: string) => string;
  runsCure: string;
  noQueue: (file: string) => string;
  noQueueCure: string;
  stillNote: string;
  noDevice: (id: string) => string;
  noDeviceCure: (ids: string) => string;
  gaps: {
    from: string;
    to: string;
    lasted: string;
    device: string;
    cause: string;
    missing: string;
    ioc: string;
    box: string;
    more: (count: number) => string;
    open: string;
    unended: string;
    told: Record<"acknowledged" | "waiting" | "dropped", string>;
    events: (count: string) => string;
    polls: (count: string) => string;
    none: (since: string) => string;
    sum: (gaps: string, since: string, open: number, waiting: number) => string;
    causes: Record<GapCause, string>;
  };
  buffer: {
    kept: (events: string, bytes: string) => string;
    share: (percent: string, budget: string) => string;
    oldest: (age: string, since: string) => string;
    empty: string;
    class: string;
    urgent: string;
    telemetry: string;
    inflow: (events: string, bytes: string) => string;
    nothingIn: string;
    outage: (span: string) => string;
    full: string;
    disk: (free: string) => string;
    exported: (events: string, file: string) => string;
    damaged: (rows: string) => string;
    broken: (events: string) => string;
    brokenCure: string;
  };
}

export const boxWords: Record<Language, BoxWords> = {
  en: {
    runs: (place) => `the gateway of ${place} is running: its queue file must not be touched`,
    runsCure: "stop it first: systemctl stop kerb   or Ctrl-C where kerb run was started",
    noQueue: (file) => `there is no queue file ${file}`,
    noQueueCure: "give the site file with --site FILE, or the state folder of the box with --state FOLDER",
    stillNote: "no gateway runs: read from its queue file",
    noDevice: (id) => `there is no device "${id}"`,
    noDeviceCure: (ids) => `those of this box: ${ids}`,
    gaps: {
      from: "FROM",
      to: "TO",
      lasted: "FOR",
      device: "DEVICE",
      cause: "CAUSE",
      missing: "MISSING",
      ioc: "IOC",
      box: "(box)",
      more: (count) => `+${count} more`,
      open: "open",
      unended: "not seen",
      told: { acknowledged: "knows", waiting: "waits", dropped: "never told" },
      events: (count) => `${count} events`,
      polls: (count) => `${count} polls`,
      none: (since) => `no gap in the last ${since}`,
      sum: (gaps, since, open, waiting) =>
        `${gaps} in the last ${since}: ${open} open, ${waiting} of which the IOC does not know yet`,
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
      },
    },
    buffer: {
      kept: (events, bytes) => `kept      ${events} events, ${bytes}`,
      share: (percent, budget) => ` = ${percent} % of ${budget}`,
      oldest: (age, since) => `oldest    ${age}, since ${since}`,
      empty: "oldest    -, everything is with the IOC",
      class: "class    ",
      urgent: "urgent",
      telemetry: "telemetry",
      inflow: (events, bytes) => `comes in  ${events} events/s, ${bytes}/s`,
      nothingIn: "comes in  nothing",
      outage: (span) =>
        `outage    it can take ${span} more; then the oldest telemetry goes first, and is declared`,
      full: "outage    it is full: the oldest telemetry is dropped, and declared",
      disk: (free) => `disk      ${free} free`,
      exported: (events, file) => `${events} events written to ${file}`,
      damaged: (rows) => `${rows} damaged rows left out: their checksum is wrong`,
      broken: (events) => `the queue file is damaged: ${events} events could be read`,
      brokenCure:
        "what was read is in the file; the gateway itself salvages more when it is started on this state folder",
    },
  },
  vi: {
    runs: (place) => `gateway của ${place} đang chạy: không được đụng vào tệp hàng đợi của nó`,
    runsCure: "dừng nó trước: systemctl stop kerb   hoặc Ctrl-C nơi đã chạy kerb run",
    noQueue: (file) => `không có tệp hàng đợi ${file}`,
    noQueueCure: "chỉ ra tệp cấu hình bằng --site TỆP, hoặc thư mục trạng thái của hộp bằng --state THƯ_MỤC",
    stillNote: "không có gateway đang chạy: đọc từ tệp hàng đợi",
    noDevice: (id) => `không có thiết bị "${id}"`,
    noDeviceCure: (ids) => `các thiết bị của hộp này: ${ids}`,
    gaps: {
      from: "TỪ",
      to: "ĐẾN",
      lasted: "TRONG",
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
        `${gaps} trong ${since} qua: ${open} còn mở, ${waiting} IOC chưa biết`,
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
      damaged: (rows) => `bỏ qua ${rows} dòng hỏng: sai mã kiểm tra`,
      broken: (events) => `tệp hàng đợi bị hỏng: đọc được ${events} sự kiện`,
      brokenCure:
        "những gì đọc được nằm trong tệp; gateway tự cứu thêm khi khởi động trên thư mục trạng thái này",
    },
  },
};
