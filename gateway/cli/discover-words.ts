import type { Language } from "../config/error-texts.ts";
import type { MatchKind } from "../discovery/kept.ts";
import type { RangeProblem } from "../discovery/range.ts";

/** The words of `kerb discover`. */
interface DiscoverWords {
  titles: [number: string, place: string, protocol: string, who: string, profile: string, match: string];
  looking(where: string): string;
  polite: string;
  addresses(count: number): string;
  foundCount(count: number): string;
  comparing(place: string): string;
  nameless: string;
  matches: Record<MatchKind, string>;
  likely(fits: number, of: number): string;
  already(device: string): string;
  found(count: number, known: number, span: string): string;
  nobody(span: string): string;
  nobodyHint: string;
  interrupted: string;
  next(commands: string): string;
  unkept(reason: string): string;
  trouble(driver: string, reason: string): string;
  inUse(place: string, devices: string): string;
  calledHere(port: number, devices: string): string;
  problem: Record<RangeProblem, (text: string) => string>;
  problemHint: Record<RangeProblem, string>;
  noNetworks: string;
  noNetworksHint: string;
  tooLarge(networks: string): string;
  ownNetworks(networks: string): string;
  go: string;
  notLooked: string;
  needsYes: string;
  needsYesHint(networks: string): string;
  lineHeld(port: string, devices: string): string;
  lineHeldHint(units: string): string;
  noDriver(name: string): string;
  noDriverHint(names: string): string;
  brokerForm: string;
  noLast: string;
  noLastHint: string;
  lastAt(time: string): string;
  unread(file: string): string;
  unreadRunning: string;
}

/** Every language's words. */
export const discoverWords: Record<Language, DiscoverWords> = {
  en: {
    titles: ["#", "ADDRESS", "PROTOCOL", "IDENTIFIED AS", "PROFILE", "MATCH"],
    looking: (where) => `Looking at ${where}.`,
    polite: "It only reads, one question at a time to each device. Ctrl-C keeps what was found.",
    addresses: (count) => `${count} ${count === 1 ? "address" : "addresses"}`,
    foundCount: (count) => `${count} found`,
    comparing: (place) => `comparing ${place} with profiles`,
    nameless: "answers, gives no identity",
    matches: { exact: "exact", likely: "likely", generic: "generic", login: "login needed", none: "-" },
    likely: (fits, of) => `likely, ${fits} of ${of}`,
    already: (device) => `already ${device}`,
    found: (count, known, span) =>
      `${count} found in ${span}${known > 0 ? `, ${known} of them already in the site file` : ""}.`,
    nobody: (span) => `Nobody found in ${span}.`,
    nobodyHint:
      "another port: --port NUMBER   another unit: --units 1-247   slow talkers: --for 60s   a line: --serial PORT",
    interrupted: "Stopped before the end: there may be more.",
    next: (commands) => `Next: ${commands}`,
    unkept: (reason) => `what was found could not be kept for kerb device add: ${reason}`,
    trouble: (driver, reason) => `${driver}: ${reason}`,
    inUse: (place, devices) => `${place} is in use by the running gateway (${devices}): not asked`,
    calledHere: (port, devices) =>
      `port ${port} is the running gateway's own (${devices}): strangers that call there are in kerb health`,
    problem: {
      form: (text) => `"${text}" is no network and no IPv4 address`,
      large: (text) => `${text} has more than 1024 addresses, and so many are not looked through`,
      public: (text) => `${text} is no private network: whoever is there is not yours to look at`,
    },
    problemHint: {
      form: "write it such as 192.168.10.0/24, or 192.168.10.21",
      large: "name the part where devices are, such as 10.20.4.0/22 or smaller",
      public: "name single addresses, such as 203.0.113.7",
    },
    noNetworks: "this box has no private network of at most 1024 addresses, and none was named",
    noNetworksHint: "kerb discover 192.168.10.0/24   or a line: kerb discover --serial /dev/ttyS1",
    tooLarge: (networks) => `left out, more than 1024 addresses: ${networks}`,
    ownNetworks: (networks) => `This box is in: ${networks}`,
    go: "Look through them? [y/N] ",
    notLooked: "nothing was looked at",
    needsYes: "nobody is there to say yes",
    needsYesHint: (networks) => `kerb discover ${networks}   or add --yes`,
    lineHeld: (port, devices) => `${port} is in use by the running gateway (${devices})`,
    lineHeldHint: (units) =>
      `two masters on one line disturb each other: end the gateway while you look (systemctl stop kerb), then kerb discover --serial ${units}`,
    noDriver: (name) => `there is no driver "${name}" that can look for devices`,
    noDriverHint: (names) => `one of ${names}`,
    brokerForm: "a broker is named such as mqtt://192.168.10.5:1883 or mqtts://broker.example:8883",
    noLast: "nothing was looked for yet on this box",
    noLastHint: "kerb discover 192.168.10.0/24",
    lastAt: (time) => `Found ${time}; nothing is asked now.`,
    unread: (file) => `${file} cannot be read, so it is not shown who is in it already`,
    unreadRunning: "its gateway runs, and which lines and devices it uses cannot be known",
  },
  vi: {
    titles: ["#", "ĐỊA CHỈ", "GIAO THỨC", "NHẬN DẠNG", "HỒ SƠ", "MỨC HỢP"],
    looking: (where) => `Đang tìm ở ${where}.`,
    polite: "Chỉ đọc, mỗi thiết bị mỗi lần một câu hỏi. Ctrl-C giữ lại những gì đã tìm thấy.",
    addresses: (count) => `${count} địa chỉ`,
    foundCount: (count) => `thấy ${count}`,
    comparing: (place) => `đang so ${place} với các hồ sơ`,
    nameless: "có trả lời, không tự khai",
    matches: { exact: "chính xác", likely: "có thể", generic: "chung", login: "cần đăng nhập", none: "-" },
    likely: (fits, of) => `có thể, ${fits} trên ${of}`,
    already: (device) => `đã có: ${device}`,
    found: (count, known, span) =>
      `Tìm thấy ${count} trong ${span}${known > 0 ? `, ${known} đã có trong tệp cấu hình` : ""}.`,
    nobody: (span) => `Không thấy thiết bị nào trong ${span}.`,
    nobodyHint:
      "cổng khác: --port SỐ   địa chỉ trạm khác: --units 1-247   thiết bị ít nói: --for 60s   đường nối tiếp: --serial CỔNG",
    interrupted: "Dừng giữa chừng: có thể còn thiết bị khác.",
    next: (commands) => `Tiếp theo: ${commands}`,
    unkept: (reason) => `không lưu được kết quả cho kerb device add: ${reason}`,
    trouble: (driver, reason) => `${driver}: ${reason}`,
    inUse: (place, devices) => `${place} đang được gateway dùng (${devices}): không hỏi`,
    calledHere: (port, devices) =>
      `cổng ${port} do chính gateway đang nghe (${devices}): thiết bị lạ gọi đến được ghi trong kerb health`,
    problem: {
      form: (text) => `"${text}" không phải là mạng hay địa chỉ IPv4`,
      large: (text) => `${text} có hơn 1024 địa chỉ, không dò rộng như vậy`,
      public: (text) => `${text} không phải mạng riêng: thiết bị ở đó không phải của bạn`,
    },
    problemHint: {
      form: "viết dạng 192.168.10.0/24, hoặc 192.168.10.21",
      large: "nêu phần mạng có thiết bị, như 10.20.4.0/22 hoặc nhỏ hơn",
      public: "nêu từng địa chỉ, như 203.0.113.7",
    },
    noNetworks: "máy này không có mạng riêng nào từ 1024 địa chỉ trở xuống, và bạn chưa nêu mạng nào",
    noNetworksHint: "kerb discover 192.168.10.0/24   hoặc đường nối tiếp: kerb discover --serial /dev/ttyS1",
    tooLarge: (networks) => `bỏ qua vì hơn 1024 địa chỉ: ${networks}`,
    ownNetworks: (networks) => `Máy này ở trong: ${networks}`,
    go: "Dò các mạng này? [c/K] ",
    notLooked: "chưa dò gì cả",
    needsYes: "không có ai để trả lời có",
    needsYesHint: (networks) => `kerb discover ${networks}   hoặc thêm --yes`,
    lineHeld: (port, devices) => `${port} đang được gateway dùng (${devices})`,
    lineHeldHint: (units) =>
      `hai máy chủ trên một đường sẽ phá nhau: tạm dừng gateway khi dò (systemctl stop kerb), rồi kerb discover --serial ${units}`,
    noDriver: (name) => `không có driver "${name}" nào biết tìm thiết bị`,
    noDriverHint: (names) => `một trong ${names}`,
    brokerForm: "broker viết dạng mqtt://192.168.10.5:1883 hoặc mqtts://broker.example:8883",
    noLast: "chưa dò lần nào trên máy này",
    noLastHint: "kerb discover 192.168.10.0/24",
    lastAt: (time) => `Tìm thấy lúc ${time}; bây giờ không hỏi ai cả.`,
    unread: (file) => `không đọc được ${file}, nên không biết thiết bị nào đã có trong đó`,
    unreadRunning: "gateway của tệp này đang chạy, không thể biết nó dùng đường dây và thiết bị nào",
  },
};
