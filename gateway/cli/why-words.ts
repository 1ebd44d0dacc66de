import type { Language } from "../config/error-texts.ts";
import type { Rung } from "../driver.ts";

/** The words of `kerb why`, `problems` and `doctor`. */
interface WhyWords {
  rungs: Record<Rung, string>;
  seen: string;
  likely: string;
  remedy: string;
  behind: string;
  since: (time: string, span: string) => string;
  lastGood: (time: string) => string;
  states: Record<string, string>;
  noPast: string;
  gatewaySilent: string;
  allBears: string;
  noCause: string;
  noCauseDo: string;
  working: string;
  noProblems: (devices: number) => string;
  problems: (count: number, hidden: number) => string;
  more: (device: string) => string;
  config: string;
  configFine: (devices: number) => string;
  uplinkPort: (place: string) => string;
  notRunning: string;
  stateFolder: string;
  findings: (count: number) => string;
}

export const whyWords: Record<Language, WhyWords> = {
  en: {
    rungs: {
      network: "network",
      port: "port",
      line: "line",
      protocol: "protocol",
      login: "login",
      identity: "identity",
      values: "values",
      upstream: "upstream",
    },
    seen: "seen",
    likely: "likely",
    remedy: "do",
    behind: "behind it",
    since: (time, span) => `since ${time} (${span})`,
    lastGood: (time) => `last good ${time}`,
    states: {
      online: "online",
      listening: "listening",
      lost: "lost",
      starting: "starting",
      "wrong-device": "wrong device",
      quarantined: "quarantined",
      disabled: "disabled",
    },
    noPast: "no gateway is running: asked directly, nothing is known of the past",
    gatewaySilent: "the gateway does not answer: asked directly, nothing is known of the past",
    allBears: "Everything bears: no cause to look for.",
    noCause: "no known cause: no rule fits what was seen",
    noCauseDo: "these are the observations; send them to whoever knows the device (--json)",
    working: "works, with findings",
    noProblems: (devices) => `No problems; ${devices} devices.`,
    problems: (count, hidden) =>
      `${count} problem${count === 1 ? "" : "s"}${hidden === 0 ? "" : `, ${hidden} devices folded under them`}`,
    more: (device) => `more: kerb why ${device}`,
    config: "config",
    configFine: (devices) => `no mistake, ${devices} devices`,
    uplinkPort: (place) => `${place} takes connections`,
    notRunning: "no gateway is running",
    stateFolder: "state folder",
    findings: (count) => `${count} finding${count === 1 ? "" : "s"}`,
  },
  vi: {
    rungs: {
      network: "mạng",
      port: "cổng",
      line: "đường truyền",
      protocol: "giao thức",
      login: "đăng nhập",
      identity: "nhận dạng",
      values: "giá trị",
      upstream: "IOC",
    },
    seen: "thấy",
    likely: "có thể do",
    remedy: "cách xử lý",
    behind: "kéo theo",
    since: (time, span) => `từ ${time} (${span})`,
    lastGood: (time) => `đọc được lần cuối ${time}`,
    states: {
      online: "trực tuyến",
      listening: "đang lắng nghe",
      lost: "mất liên lạc",
      starting: "đang khởi động",
      "wrong-device": "sai thiết bị",
      quarantined: "bị cách ly",
      disabled: "đã tắt",
    },
    noPast: "không có gateway nào đang chạy: hỏi trực tiếp, không biết gì về trước đó",
    gatewaySilent: "gateway không phản hồi: hỏi trực tiếp, không biết gì về trước đó",
    allBears: "Mọi bậc đều ổn: không có gì phải tìm.",
    noCause: "chưa rõ nguyên nhân: không quy tắc nào khớp với những gì thấy được",
    noCauseDo: "dưới đây là các quan sát; hãy gửi cho người hiểu thiết bị (--json)",
    working: "hoạt động, có điều cần xem",
    noProblems: (devices) => `Không có vấn đề; ${devices} thiết bị.`,
    problems: (count, hidden) => `${count} vấn đề${hidden === 0 ? "" : `, gộp ${hidden} thiết bị liên quan`}`,
    more: (device) => `chi tiết: kerb why ${device}`,
    config: "cấu hình",
    configFine: (devices) => `không có lỗi, ${devices} thiết bị`,
    uplinkPort: (place) => `${place} nhận kết nối`,
    notRunning: "không có gateway nào đang chạy",
    stateFolder: "thư mục trạng thái",
    findings: (count) => `${count} phát hiện`,
  },
};
