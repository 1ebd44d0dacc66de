import { counted } from "../../text.ts";
import { words } from "../../words.ts";

/** The words of `kerb why`, `problems` and `doctor`, beside those that all verbs have. */
export const whyWords = words({
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
    behind: "behind it",
    since: (time: string, span: string) => `since ${time} (${span})`,
    lastGood: (time: string) => `last good ${time}`,
    noPast: "no gateway is running: asked directly, nothing is known of the past",
    gatewaySilent: "the gateway does not answer: asked directly, nothing is known of the past",
    searching: (seconds: number) =>
      `no unit is understood: other units and line settings are tried, for about ${seconds} s (Ctrl-C ends it)`,
    allBears: "Every step holds: nothing to look for.",
    toSet: (id: string, site: string) =>
      `A setting is changed with: kerb device set ${id} KEY=VALUE${site}   the login: --user NAME`,
    noCause: "no known cause: no rule fits what was seen",
    noCauseDo: "these are the observations; send them to whoever knows the device (--json)",
    noProblems: (devices: number) => `No problems; ${counted(devices, "device")}.`,
    problems: (count: number, hidden: number) =>
      `${count} problem${count === 1 ? "" : "s"}${hidden === 0 ? "" : `, ${hidden} devices folded under them`}`,
    more: (device: string) => `more: kerb why ${device}`,
    checks: { config: "site file", gateway: "gateway" },
    configFine: (devices: number) => `no mistake, ${counted(devices, "device")}`,
    notRunning: "no gateway is running",
    findings: (count: number) => `${count} finding${count === 1 ? "" : "s"}`,
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
    behind: "kéo theo",
    since: (time, span) => `từ ${time} (${span})`,
    lastGood: (time) => `đọc được lần cuối ${time}`,
    noPast: "không có gateway nào đang chạy: hỏi trực tiếp, không biết gì về trước đó",
    gatewaySilent: "gateway không phản hồi: hỏi trực tiếp, không biết gì về trước đó",
    searching: (seconds) =>
      `không nghe rõ unit nào: đang thử unit và thông số đường truyền khác, khoảng ${seconds} giây (Ctrl-C để dừng)`,
    allBears: "Mọi bước đều ổn: không thấy vấn đề gì.",
    toSet: (id, site) =>
      `Đổi thiết lập bằng: kerb device set ${id} KEY=VALUE${site}   đăng nhập: --user NAME`,
    noCause: "chưa rõ nguyên nhân: không quy tắc nào khớp với những gì thấy được",
    noCauseDo: "dưới đây là các quan sát; hãy gửi cho người hiểu thiết bị (--json)",
    noProblems: (devices) => `Không có vấn đề; ${devices} thiết bị.`,
    problems: (count, hidden) =>
      `${count} vấn đề${hidden === 0 ? "" : `, gộp ${hidden} thiết bị bị kéo theo`}`,
    more: (device) => `chi tiết: kerb why ${device}`,
    checks: { config: "tệp cấu hình", gateway: "gateway" },
    configFine: (devices) => `không có lỗi, ${devices} thiết bị`,
    notRunning: "không có gateway nào đang chạy",
    findings: (count) => `${count} vấn đề`,
  },
});
