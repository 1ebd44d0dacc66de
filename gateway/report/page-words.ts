import { stateWords } from "../state-words.ts";
import type { Language } from "../config/error-texts.ts";
import type { Problem, Report, ReportDevice, ReportPoint } from "./report.ts";

/** The words of the printed report. */
interface PageWords {
  /** What a document of the state begins with. */
  motto: [name: string, words: string] | undefined;
  title: string;
  contract: string;
  contractor: string;
  acceptedBy: string;
  note: string;
  place: string;
  made: string;
  problems: string;
  noProblems: string;
  verdict(summary: Report["summary"]): string;
  severity: Record<Problem["severity"], string>;
  about: Record<Problem["about"], string>;
  problemTitles: [number: string, severity: string, where: string, what: string];
  seen: string;
  likely: string;
  do: string;
  behind: string;
  missing: string;
  missingParts: Record<Report["missing"][number], string>;
  box: string;
  gateway: string;
  city: string;
  version: string;
  via: Record<Report["box"]["via"], string>;
  source: string;
  startedAt: string;
  clock: string;
  clocks: Record<Report["box"]["clock"], string>;
  disk: string;
  free: string;
  books: string;
  accepted: string;
  delivered: string;
  kept: string;
  dropped: string;
  closes: string;
  open: string;
  fill(used: string, all: string): string;
  audit: string;
  audits: Record<Report["box"]["audit"], string>;
  uplink: string;
  links: Record<string, string>;
  receivers: Record<string, string>;
  receiver: string;
  lastAcknowledgement: string;
  never: string;
  overview: string;
  overviewTitles: [device: string, model: string, state: string, read: string];
  devices: string;
  verdicts: Record<ReportDevice["verdict"], string>;
  states: Record<ReportDevice["state"], string>;
  address: string;
  identity: string;
  firmware: string;
  serial: string;
  untold: string;
  profile: string;
  noProfile: string;
  covers: Record<NonNullable<ReportDevice["profile"]>["covers"], string>;
  versions: string;
  status: Record<string, string>;
  state: string;
  writable: string;
  yes: string;
  no: string;
  tests: string;
  readTest: string;
  readResult(answered: number, asked: number, good: number, latency: string): string;
  notRead: string;
  identityTest: string;
  identityResults: Record<ReportDevice["tests"]["identity"], string>;
  pollTest: string;
  pollResult(answered: string, polls: string, loss: string, mean: string): string;
  notPolled: string;
  writeTest: string;
  writeStates: Record<"done" | "failed", string>;
  notWritten: string;
  readBack: string;
  events: string;
  unknown: string;
  pointTitles: [point: string, value: string, quality: string, age: string, limits: string];
  qualities: Record<ReportPoint["quality"], string>;
  outside: string;
  valuesOf(device: string): string;
  noPoints: string;
  signatures: string;
  partyOne: string;
  partyTwo: string;
  signLines: [name: string, position: string, signature: string, stamp: string];
  dayLine: string;
  integrity: string;
  digest: string;
  key: string;
  fingerprint: string;
  unsigned: string;
  howToVerify: string;
}

const en: PageWords = {
  motto: undefined,
  title: "Commissioning report",
  contract: "Contract",
  contractor: "Contractor",
  acceptedBy: "Accepting party",
  note: "Note",
  place: "Site",
  made: "Made",
  problems: "Open problems",
  noProblems: "None: everything that was tested is as it should be.",
  verdict: ({ ok, failing, notCommissioned, blocking, warnings }) =>
    `${ok} devices ok, ${failing} failing, ${notCommissioned} not commissioned. ${blocking} blocking, ${warnings} warnings.`,
  severity: { blocking: "Blocking", warning: "Warning" },
  about: { gateway: "gateway", box: "box", uplink: "link to the IOC", driver: "driver", device: "device" },
  problemTitles: ["#", "Level", "Where", "What, and what to do"],
  seen: "seen",
  likely: "likely",
  do: "do",
  behind: "with it",
  missing: "Not in this report",
  missingParts: {
    gateway: "links to the IOC, events and loss: no gateway was running",
    books: "the books of events: they could not be asked",
    audit: "tests of writing: this user may not read the journal of commands",
    readings: "the newest values that the gateway keeps",
  },
  box: "Box",
  gateway: "Gateway",
  city: "City",
  version: "kerb",
  via: { gateway: "through the running gateway", direct: "devices read directly, no gateway ran" },
  source: "Read",
  startedAt: "Running since",
  clock: "Clock",
  clocks: { synced: "set by the time service", holdover: "not confirmed", unsynced: "wrong" },
  disk: "Disk",
  free: "free",
  books: "Events",
  accepted: "accepted",
  delivered: "delivered",
  kept: "kept",
  dropped: "dropped",
  closes: "the books balance",
  open: "THE BOOKS DO NOT BALANCE",
  fill: (used, all) => `outbox ${used} of ${all}`,
  audit: "Journal of commands",
  audits: { none: "none", whole: "whole, every hash is right", broken: "ALTERED", unread: "not read" },
  uplink: "Link to the IOC",
  links: {
    connected: "connected",
    connecting: "connecting",
    waiting: "not connected",
    stopped: "stopped",
  },
  receivers: { online: "online", offline: "offline", unknown: "unknown" },
  receiver: "receiver",
  lastAcknowledgement: "last acknowledgement",
  never: "none yet",
  overview: "All devices",
  overviewTitles: ["Device", "Maker, model, firmware", "State", "Points read"],
  devices: "Each device",
  verdicts: { ok: "ok", failing: "failing", "not-commissioned": "not commissioned" },
  states: { ...stateWords.en, unknown: "not known to the gateway" },
  address: "Address",
  identity: "Identity",
  firmware: "firmware",
  serial: "serial number",
  untold: "the device does not say it",
  profile: "Profile",
  noProfile: "none, points of its own",
  covers: {
    inside: "covers the firmware",
    outside: "DOES NOT COVER the firmware",
    untold: "firmware not told",
  },
  versions: "for",
  status: { official: "official", community: "community", "field-verified": "verified in the field" },
  state: "State",
  writable: "May be written",
  yes: "yes",
  no: "no",
  tests: "Tests",
  readTest: "Reading",
  readResult: (answered, asked, good, latency) =>
    `${answered} of ${asked} points, ${good} good, in ${latency}`,
  notRead: "not done",
  identityTest: "Identity",
  identityResults: {
    matches: "matches the profile",
    differs: "another model than the profile's",
    untold: "the device does not say all of it",
    unknowable: "to be compared with the name plate",
    "other-unit": "another unit than before",
    unasked: "no answer",
  },
  pollTest: "Loss",
  pollResult: (answered, polls, loss, mean) =>
    `${loss} %: ${answered} of ${polls} polls answered since the start, ${mean} on average`,
  notPolled: "not known",
  writeTest: "Writing",
  writeStates: { done: "done", failed: "failed" },
  notWritten: "not done (nothing in the journal of commands)",
  readBack: "read back",
  events: "Events",
  unknown: "not known",
  pointTitles: ["Point", "Value", "Quality", "Age", "Limits"],
  qualities: {
    good: "good",
    uncertain: "uncertain",
    bad: "bad",
    unheard: "not heard yet",
    unread: "not read",
  },
  outside: "outside",
  valuesOf: (device) => `Values of ${device}`,
  noPoints: "It has no points: it only tells what happens.",
  signatures: "Signatures",
  partyOne: "For the contractor",
  partyTwo: "For the accepting party",
  signLines: ["Full name", "Position", "Signature", "Stamp"],
  dayLine: "…………………, date …… / …… / ………",
  integrity: "Whether this report is genuine",
  digest: "Digest (SHA-256)",
  key: "Key of the box",
  fingerprint: "Fingerprint",
  unsigned: "NOT SIGNED",
  howToVerify:
    "kerb report verify FILE checks the signature; kerb report key on the box shows its fingerprint.",
};

const vi: PageWords = {
  motto: ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc"],
  title: "Báo cáo nghiệm thu",
  contract: "Hợp đồng",
  contractor: "Đơn vị thi công",
  acceptedBy: "Bên nghiệm thu",
  note: "Ghi chú",
  place: "Công trình",
  made: "Lập lúc",
  problems: "Vấn đề còn tồn tại",
  noProblems: "Không có: mọi mục đã kiểm tra đều đạt.",
  verdict: ({ ok, failing, notCommissioned, blocking, warnings }) =>
    `${ok} thiết bị đạt, ${failing} không đạt, ${notCommissioned} chưa đưa vào vận hành. ${blocking} mục phải khắc phục, ${warnings} cảnh báo.`,
  severity: { blocking: "Phải khắc phục", warning: "Cảnh báo" },
  about: { gateway: "gateway", box: "hộp", uplink: "kết nối IOC", driver: "driver", device: "thiết bị" },
  problemTitles: ["#", "Mức", "Ở đâu", "Vấn đề và cách xử lý"],
  seen: "ghi nhận",
  likely: "có thể do",
  do: "cách xử lý",
  behind: "kéo theo",
  missing: "Chưa có trong báo cáo này",
  missingParts: {
    gateway: "kết nối IOC, sự kiện và tỷ lệ đọc hỏng: không có gateway nào đang chạy",
    books: "sổ sự kiện: không hỏi được",
    audit: "thử ghi: người dùng này không được đọc nhật ký lệnh",
    readings: "các giá trị mới nhất mà gateway giữ",
  },
  box: "Hộp gateway",
  gateway: "Gateway",
  city: "Thành phố",
  version: "kerb",
  via: {
    gateway: "qua gateway đang chạy",
    direct: "đọc trực tiếp thiết bị, không có gateway đang chạy",
  },
  source: "Cách đọc",
  startedAt: "Chạy từ",
  clock: "Đồng hồ",
  clocks: { synced: "được dịch vụ thời gian chỉnh", holdover: "chưa được xác nhận", unsynced: "sai" },
  disk: "Đĩa",
  free: "còn trống",
  books: "Sự kiện",
  accepted: "đã nhận",
  delivered: "đã giao",
  kept: "đang giữ",
  dropped: "đã bỏ",
  closes: "sổ khớp",
  open: "SỔ KHÔNG KHỚP",
  fill: (used, all) => `hộp gửi ${used} trên ${all}`,
  audit: "Nhật ký lệnh",
  audits: {
    none: "không có",
    whole: "nguyên vẹn, mọi mã băm đều đúng",
    broken: "ĐÃ BỊ SỬA",
    unread: "không đọc được",
  },
  uplink: "Kết nối IOC",
  links: {
    connected: "đã kết nối",
    connecting: "đang kết nối",
    waiting: "chưa kết nối",
    stopped: "đã dừng",
  },
  receivers: { online: "trực tuyến", offline: "ngoại tuyến", unknown: "chưa rõ" },
  receiver: "bộ nhận",
  lastAcknowledgement: "xác nhận cuối",
  never: "chưa có",
  overview: "Danh sách thiết bị",
  overviewTitles: ["Thiết bị", "Hãng, model, firmware", "Trạng thái", "Điểm đọc được"],
  devices: "Từng thiết bị",
  verdicts: { ok: "đạt", failing: "không đạt", "not-commissioned": "chưa đưa vào vận hành" },
  states: { ...stateWords.vi, unknown: "gateway chưa biết" },
  address: "Địa chỉ",
  identity: "Nhận dạng",
  firmware: "firmware",
  serial: "số sê-ri",
  untold: "thiết bị không tự khai báo",
  profile: "Hồ sơ",
  noProfile: "không có, điểm khai báo riêng",
  covers: {
    inside: "dùng được cho firmware này",
    outside: "KHÔNG DÙNG cho firmware này",
    untold: "không rõ firmware",
  },
  versions: "dùng cho",
  status: { official: "chính thức", community: "cộng đồng", "field-verified": "đã kiểm chứng thực địa" },
  state: "Trạng thái",
  writable: "Được phép ghi",
  yes: "có",
  no: "không",
  tests: "Kiểm tra",
  readTest: "Đọc",
  readResult: (answered, asked, good, latency) =>
    `${answered} trên ${asked} điểm, ${good} tốt, trong ${latency}`,
  notRead: "chưa thực hiện",
  identityTest: "Nhận dạng",
  identityResults: {
    matches: "đúng với hồ sơ",
    differs: "khác model trong hồ sơ",
    untold: "thiết bị không tự khai báo đủ",
    unknowable: "phải đối chiếu với nhãn thiết bị",
    "other-unit": "không phải chiếc trước đây",
    unasked: "không trả lời",
  },
  pollTest: "Tỷ lệ đọc hỏng",
  pollResult: (answered, polls, loss, mean) =>
    `${loss} %: ${answered} trên ${polls} lần đọc được trả lời từ khi khởi động, trung bình ${mean}`,
  notPolled: "chưa rõ",
  writeTest: "Thử ghi",
  writeStates: { done: "đã thực hiện", failed: "không thành" },
  notWritten: "chưa thực hiện (nhật ký lệnh không có)",
  readBack: "đọc lại",
  events: "Sự kiện",
  unknown: "chưa rõ",
  pointTitles: ["Điểm", "Giá trị", "Chất lượng", "Cách đây", "Giới hạn"],
  qualities: {
    good: "tốt",
    uncertain: "không chắc",
    bad: "xấu",
    unheard: "chưa nghe",
    unread: "chưa đọc",
  },
  outside: "ngoài giới hạn",
  valuesOf: (device) => `Giá trị của ${device}`,
  noPoints: "Thiết bị không có điểm đo: chỉ báo sự kiện.",
  signatures: "Ký xác nhận",
  partyOne: "Đại diện đơn vị thi công",
  partyTwo: "Đại diện bên nghiệm thu",
  signLines: ["Họ tên", "Chức vụ", "Chữ ký", "Đóng dấu"],
  dayLine: "…………………, ngày …… tháng …… năm ………",
  integrity: "Kiểm tra tính xác thực của báo cáo",
  digest: "Mã băm (SHA-256)",
  key: "Khóa của hộp",
  fingerprint: "Dấu vân tay của khóa",
  unsigned: "CHƯA KÝ SỐ",
  howToVerify:
    "Lệnh kerb report verify TỆP kiểm tra chữ ký số; lệnh kerb report key trên hộp cho xem dấu vân tay.",
};

export const pageWords: Record<Language, PageWords> = { en, vi };
