import { readFileSync } from "node:fs";
import type { Language } from "../config/error-texts.ts";
import { words } from "../words.ts";

/** A verb of the command line as `kerb --help` shows it. */
export interface Verb {
  name: string;
  /** What follows the name. */
  usage: string;
  /** At most 70 columns, in both languages. */
  summary: Record<Language, string>;
}

type Text = Record<Language, string>;

const verb = (name: string, usage: string, en: string, vi: string): Verb => ({
  name,
  usage,
  summary: { en, vi },
});

const groups: [title: Text, verbs: Verb[]][] = [
  [
    { en: "See it work", vi: "Xem thử" },
    [
      verb(
        "demo",
        "",
        "a whole district on this machine, nothing to install: npm start",
        "cả một khu đô thị trên máy này, không cần cài gì: npm start",
      ),
    ],
  ],
  [
    { en: "At the cabinet", vi: "Tại tủ" },
    [
      verb(
        "init",
        "[FILE]",
        "begin here: the site file of this box; then kerb discover",
        "bắt đầu từ đây: tạo tệp cấu hình của hộp này; rồi kerb discover",
      ),
      verb(
        "discover",
        "[CIDR..]",
        "who is there: on a network, a serial line, a broker; only reads",
        "có thiết bị nào trên mạng, cổng nối tiếp hay broker; chỉ đọc",
      ),
      verb(
        "read",
        "DEVICE [POINT..]",
        "read a device now: values, quality, age, address",
        "đọc ngay một thiết bị: giá trị, chất lượng, thời điểm, địa chỉ",
      ),
      verb(
        "identify",
        "DEVICE",
        "who a device is: maker, model, firmware; which profiles fit it, why",
        "thiết bị là gì: hãng, model, phần mềm; hồ sơ nào hợp, vì sao",
      ),
      verb(
        "browse",
        "DEVICE",
        "what a device has: names, types, units, values, addresses",
        "thiết bị có những gì: tên, kiểu, đơn vị, giá trị, địa chỉ",
      ),
      verb(
        "device",
        "add|list|show|…",
        "add: test a device and save it; list, show, set, replace, rename, …",
        "add: thử thiết bị rồi lưu; list, show, set, replace, rename, …",
      ),
      verb(
        "status",
        "",
        "the running gateway: links to the IOC, outbox, devices",
        "gateway đang chạy: kết nối tới IOC, hộp gửi, thiết bị",
      ),
      verb(
        "health",
        "",
        "what is wrong with the running gateway, why, and what to do",
        "gateway đang chạy có vấn đề gì, vì sao, xử lý thế nào",
      ),
      verb(
        "why",
        "DEVICE",
        "why a device fails: step by step, what was seen, cause, what to do",
        "vì sao thiết bị trục trặc: từng bước, thấy gì, nguyên nhân, cách xử lý",
      ),
      verb(
        "problems",
        "",
        "what is wrong now, worst first, each with one thing to do",
        "những vấn đề hiện có, nặng nhất trước, mỗi cái một cách xử lý",
      ),
      verb(
        "doctor",
        "",
        "everything checked at once: box, site file, links, devices",
        "kiểm tra mọi thứ một lượt: hộp, tệp cấu hình, kết nối, thiết bị",
      ),
      verb(
        "top",
        "",
        "live: devices, drivers, outbox, links to the IOC; the worst first",
        "theo dõi trực tiếp: thiết bị, driver, hộp gửi, IOC; xấu nhất trước",
      ),
      verb("tail", "", "events as they are accepted", "sự kiện ngay khi được nhận"),
      verb(
        "write",
        "DEVICE POINT=VALUE",
        "write a point, after a look at what stands there; on the record",
        "ghi một điểm sau khi xem giá trị đang có; được lưu sổ",
      ),
      verb(
        "audit",
        "verify|show",
        "the journal of commands: is it what was written? who ordered what?",
        "nhật ký lệnh: có bị sửa không? ai đã ra lệnh gì?",
      ),
      verb(
        "snapshot",
        "REF -o FILE",
        "a kept picture, decrypted on this box",
        "một ảnh đã lưu, giải mã tại tủ này",
      ),
      verb(
        "books",
        "",
        "every accepted event by device: delivered, kept, dropped",
        "mọi sự kiện đã nhận theo thiết bị: đã giao, đang giữ, đã bỏ",
      ),
      verb(
        "report",
        "[-o FILE]|verify|key",
        "the commissioning report, signed by this box; verify: is it genuine?",
        "báo cáo nghiệm thu do hộp này ký số; verify: có đúng là thật không?",
      ),
      verb(
        "gaps",
        "",
        "what is missing since when, why, and whether the IOC knows",
        "thiếu dữ liệu gì, từ khi nào, vì sao, IOC đã biết chưa",
      ),
      verb(
        "buffer",
        "[export FILE]",
        "how full the outbox is; how long an outage it can take",
        "hộp gửi đầy bao nhiêu; chịu được mất mạng bao lâu",
      ),
      verb(
        "upstream",
        "test",
        "the way to the IOC step by step, up to an event that it confirms",
        "thử từng bước đường tới IOC, đến một sự kiện được IOC xác nhận",
      ),
      verb(
        "support-bundle",
        "[-o FILE]",
        "one archive for whoever helps from afar, without any secret",
        "một tệp cho người hỗ trợ từ xa, không chứa bí mật nào",
      ),
      verb(
        "explain",
        "[CODE]",
        "what a code means and what to do; all codes without one",
        "một mã nghĩa là gì, xử lý thế nào; không nêu mã: mọi mã",
      ),
    ],
  ],
  [
    { en: "The gateway", vi: "Gateway" },
    [
      verb(
        "config",
        "check|diff|apply",
        "check a site file, see what it would change, apply it while it runs",
        "kiểm tra tệp cấu hình, xem sẽ đổi gì, áp dụng ngay khi đang chạy",
      ),
      verb(
        "backup",
        "FILE",
        "what must outlive the box; --sealed: with its secrets",
        "những gì phải còn lại khi hộp hỏng; --sealed: kèm cả bí mật",
      ),
      verb(
        "restore",
        "FILE",
        "a box out of a backup; the old one must not run any more",
        "dựng lại hộp từ bản sao lưu; hộp cũ không được chạy nữa",
      ),
      verb(
        "run",
        "[FILE]",
        "run the gateway of a site file until Ctrl-C",
        "chạy gateway của một tệp cấu hình đến khi nhấn Ctrl-C",
      ),
    ],
  ],
  [
    { en: "The operations centre", vi: "Trung tâm điều hành" },
    [
      verb(
        "receive",
        "",
        "take events into custody and acknowledge them",
        "tiếp nhận, lưu giữ sự kiện và xác nhận đã nhận",
      ),
      verb(
        "command",
        "GATEWAY DEVICE POINT=VALUE",
        "sign a command, send it, follow it to its end; keygen: a key for it",
        "ký lệnh, gửi và theo dõi đến cùng; keygen: tạo khóa để ký",
      ),
      verb(
        "twin",
        "set FILE|show",
        "polls, dead bands, schedules, issuers from afar; show: what runs",
        "đặt từ xa chu kỳ đọc, vùng chết, lịch, bên ra lệnh; show: đang chạy gì",
      ),
      verb(
        "certificate",
        "[GATEWAY]",
        "hour by hour: is anything missing or altered?",
        "từng giờ một: có gì thiếu hay bị sửa không?",
      ),
    ],
  ],
  [
    { en: "For developers", vi: "Cho người phát triển" },
    [
      verb(
        "simulate",
        "[PROFILE]",
        "pretend to be a device, all devices of a site, or a broker",
        "giả lập một thiết bị, mọi thiết bị của một trạm, hoặc broker",
      ),
      verb(
        "record",
        "DEVICE",
        "what a device says on the wire, into a cassette",
        "ghi những gì thiết bị truyền trên dây vào một bản ghi",
      ),
      verb(
        "profiles",
        "[ID]",
        "models that kerb knows, by a word of the name plate; their points",
        "các model mà kerb biết, tìm theo chữ trên nhãn máy; điểm đo của chúng",
      ),
      verb(
        "profile",
        "new|lint|test",
        "new: draft one from a device; lint: what is wrong; test: recordings",
        "new: lập nháp từ thiết bị; lint: tìm lỗi; test: thử bằng bản ghi",
      ),
      verb(
        "drivers",
        "",
        "protocols that kerb speaks, and how far each is proven",
        "các giao thức mà kerb nói được, mức kiểm chứng của từng cái",
      ),
      verb(
        "completion",
        "bash|zsh|fish",
        "what makes the Tab key complete verbs, devices, points and codes",
        "để phím Tab điền nốt lệnh, thiết bị, điểm đo và mã",
      ),
      verb(
        "schema",
        "[VERB]",
        "the JSON Schema of what a verb prints with --json",
        "JSON Schema của những gì một lệnh in ra với --json",
      ),
      verb("version", "", "versions of kerb, Node and SQLite", "phiên bản của kerb, Node và SQLite"),
    ],
  ],
];

/** All verbs. */
export const verbs: readonly Verb[] = groups.flatMap(([, list]) => list);

/** kerb's version. */
export function kerbVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

const frame = words({
  en: {
    head: [
      "kerb: edge gateway for roadside and district hardware.",
      "Every event that is accepted is delivered or accounted for.",
    ],
    usage: "Usage: kerb VERB [options]",
    each: [
      "Each verb: --help for its options, --json for machines, --lang vi for Vietnamese.",
      "An error prints a code: kerb explain CODE",
    ],
    exitCodes: "Exit codes:",
    exits: [
      "0 ok, 1 unexpected, 2 usage, 3 not found, 4 no gateway runs,",
      "5 no answer from device or IOC, 6 findings, 7 not allowed,",
      "8 no answer in time, 9 surely not executed, 10 nobody knows yet,",
      "11 partly executed, 78 configuration wrong,",
      "79 outbox of a newer kerb, 130 interrupted",
    ],
  },
  vi: {
    head: [
      "kerb: gateway biên cho thiết bị ven đường và khu đô thị.",
      "Mọi sự kiện đã nhận đều được giao, hoặc được ghi rõ vì sao không.",
    ],
    usage: "Cách dùng: kerb LỆNH [tùy chọn]",
    each: [
      "Mỗi lệnh: --help để xem tùy chọn, --json cho máy đọc, --lang en cho tiếng Anh.",
      "Lỗi nào cũng có mã: kerb explain MÃ",
    ],
    exitCodes: "Mã thoát:",
    exits: [
      "0 xong, 1 lỗi bất ngờ, 2 sai cách dùng, 3 không tìm thấy,",
      "4 không có gateway đang chạy, 5 thiết bị hoặc IOC không trả lời,",
      "6 có vấn đề, 7 không được phép, 8 quá giờ chờ,",
      "9 chắc chắn chưa thực hiện, 10 chưa ai biết, 11 mới thực hiện một phần,",
      "78 cấu hình sai, 79 hộp gửi của kerb mới hơn, 130 bị ngắt",
    ],
  },
});

/** What `kerb --help` prints; made here, so that it needs neither commander nor anything else. */
export function helpText(language: Language): string {
  const { head, usage, each, exitCodes, exits } = frame[language];
  const width = Math.max(...verbs.map((one) => one.name.length + one.usage.length + 1));
  const lines = groups.flatMap(([title, list]) => [
    "",
    title[language],
    ...list.map((one) => `  ${`${one.name} ${one.usage}`.padEnd(width)}  ${one.summary[language]}`),
  ]);
  const indent = " ".repeat(exitCodes.length + 1);
  return [
    ...head,
    "",
    usage,
    ...lines,
    "",
    ...each,
    ...exits.map((line, i) => (i === 0 ? `${exitCodes} ${line}` : indent + line)),
    "",
  ].join("\n");
}
