import type { Report } from "../../report/report.ts";
import { words } from "../../words.ts";

/** What `kerb report` says at a terminal. */
export const reportWords = words({
  en: {
    reading: (count: number, all: number) =>
      `Reading ${all} ${all === 1 ? "device" : "devices"}: ${count} of ${all}`,
    summary: (
      { devices, ok, failing, notCommissioned, blocking, warnings }: Report["summary"],
      names: string,
    ) =>
      ` ${ok} of ${devices} devices ok, ${failing} failing${names}, ${notCommissioned} not commissioned. ` +
      `${blocking} blocking ${blocking === 1 ? "item" : "items"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`,
    places: { gateway: "gateway", box: "box", uplink: "uplink", driver: "driver", device: "" },
    wrote: (files: string, sha: string) => `Wrote ${files} (signed, sha256 ${sha})`,
    tooLarge: "the report is larger than the gateway signs for others",
    otherVersion: "the running gateway makes this report otherwise, as another version of kerb: restart it",
    unsignedFiles: (files: string, why: string) => `Wrote ${files}, NOT SIGNED: ${why}`,
    signAs:
      "only the user of the gateway may use the box key: run it as that user, or while the gateway runs",
    next: "Next: kerb report -o report.html --contract NUMBER --contractor NAME --accepted-by NAME",
    more: (count: number) => ` … ${count} more (they are all in the file)`,
    stopped: "interrupted: no report was made",
    form: (file: string) => `what kind of file is ${file}?`,
    formCure: "its name ends in .html, .json or .csv",
    foreign: (file: string) => `${file} is there and is no report of kerb: it is not overwritten`,
    foreignCure: "give the report another name: -o OTHER.html",
    verdicts: {
      valid: "valid: it is as the box has signed it",
      altered: "ALTERED: it is not what the box has signed",
      "other-box": "SIGNED BY ANOTHER BOX than the one that was named",
      unsigned: "NOT SIGNED: anybody can have written it",
    },
    altered: (places: string) => `altered: ${places}`,
    line: "line",
    device: "device",
    madeBy: (gateway: string, made: string) => `${gateway}, made ${made}`,
    compare:
      "compare the fingerprint with that of the box (kerb report key, or its label), or name it with --key",
    noReport: (file: string) => `${file} is no report of kerb`,
    noReportCure: "name an .html or .json file that kerb report -o has written",
    noKey: (key: string) => `${key} is no public key of a box`,
    noKeyCure:
      "kerb report key on the box prints the key and its fingerprint: give either, or a file that holds the key",
    noBoxKey: (why: string) => `the box key cannot be used (${why})`,
    noBoxKeyCure: "run it as the user of the gateway, such as: sudo -u kerb kerb report key",
    key: "key",
    fingerprint: "fingerprint",
  },
  vi: {
    reading: (count, all) => `Đang đọc ${all} thiết bị: ${count} trên ${all}`,
    summary: ({ devices, ok, failing, notCommissioned, blocking, warnings }, names) =>
      ` ${ok} trên ${devices} thiết bị đạt, ${failing} không đạt${names}, ${notCommissioned} chưa đưa vào vận hành. ` +
      `${blocking} mục phải khắc phục, ${warnings} cảnh báo.`,
    places: { gateway: "gateway", box: "hộp", uplink: "kết nối IOC", driver: "driver", device: "" },
    wrote: (files, sha) => `Đã ghi ${files} (đã ký số, sha256 ${sha})`,
    tooLarge: "báo cáo lớn hơn mức gateway ký hộ",
    otherVersion: "gateway đang chạy lập báo cáo này khác đi, vì là bản kerb khác: hãy khởi động lại nó",
    unsignedFiles: (files, why) => `Đã ghi ${files}, CHƯA KÝ SỐ: ${why}`,
    signAs:
      "chỉ người dùng của gateway được dùng khóa của hộp: chạy bằng người dùng đó, hoặc khi gateway đang chạy",
    next: "Tiếp theo: kerb report -o nghiem-thu.html --contract SỐ --contractor TÊN --accepted-by TÊN",
    more: (count) => ` … còn ${count} mục nữa (có đủ trong tệp)`,
    stopped: "đã ngắt: không lập báo cáo",
    form: (file) => `${file} là loại tệp gì?`,
    formCure: "tên tệp kết thúc bằng .html, .json hoặc .csv",
    foreign: (file) => `đã có ${file} và đó không phải báo cáo của kerb: không ghi đè`,
    foreignCure: "đặt tên khác cho báo cáo: -o TÊN_KHÁC.html",
    verdicts: {
      valid: "hợp lệ: đúng như hộp đã ký",
      altered: "ĐÃ BỊ SỬA: không phải nội dung mà hộp đã ký",
      "other-box": "DO HỘP KHÁC KÝ, không phải hộp đã nêu",
      unsigned: "CHƯA KÝ SỐ: ai cũng có thể viết ra",
    },
    altered: (places) => `chỗ bị sửa: ${places}`,
    line: "dòng",
    device: "thiết bị",
    madeBy: (gateway, made) => `${gateway}, lập lúc ${made}`,
    compare: "đối chiếu dấu vân tay với của hộp (kerb report key, hoặc nhãn hộp), hoặc nêu bằng --key",
    noReport: (file) => `${file} không phải báo cáo của kerb`,
    noReportCure: "nêu tệp .html hoặc .json do kerb report -o ghi ra",
    noKey: (key) => `${key} không phải khóa công khai của hộp`,
    noKeyCure: "kerb report key trên hộp in khóa và dấu vân tay: nêu một trong hai, hoặc tệp chứa khóa",
    noBoxKey: (why) => `không dùng được khóa của hộp (${why})`,
    noBoxKeyCure: "chạy bằng người dùng của gateway, ví dụ: sudo -u kerb kerb report key",
    key: "khóa",
    fingerprint: "dấu vân tay",
  },
});
