import type { Language } from "../config/error-texts.ts";
import type { Problem, Report } from "../report/report.ts";
import type { Verdict } from "../report/verify.ts";

/** What `kerb report` says at a terminal. */
interface ReportWords {
  reading(count: number, all: number): string;
  summary(summary: Report["summary"], failing: string): string;
  places: Record<Problem["about"], string>;
  wrote(files: string, sha: string): string;
  unsignedFiles(files: string, why: string): string;
  signAs: string;
  next(file: string): string;
  more(count: number): string;
  stopped: string;
  form(file: string): { title: string; hint: string };
  foreign(file: string): { title: string; hint: string };
  verdicts: Record<Verdict, string>;
  where: string;
  madeBy(gateway: string, made: string): string;
  compare: string;
  sameBox: string;
  noReport(file: string): { title: string; hint: string };
  noFile(file: string, why: string): { title: string; hint: string };
  noKey(key: string): { title: string; hint: string };
  noBoxKey(why: string): { title: string; hint: string };
  key: string;
  fingerprint: string;
}

const en: ReportWords = {
  reading: (count, all) => `Reading ${all} ${all === 1 ? "device" : "devices"}: ${count} of ${all}`,
  summary: ({ devices, ok, failing, notCommissioned, blocking, warnings }, names) =>
    ` ${ok} of ${devices} devices ok, ${failing} failing${names}, ${notCommissioned} not commissioned. ` +
    `${blocking} blocking ${blocking === 1 ? "item" : "items"}, ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`,
  places: { gateway: "gateway", box: "box", uplink: "uplink", driver: "driver", device: "" },
  wrote: (files, sha) => `Wrote ${files} (signed, sha256 ${sha})`,
  unsignedFiles: (files, why) => `Wrote ${files}, NOT SIGNED: ${why}`,
  signAs: "only the user of the gateway may use the box key: run it as that user, or while the gateway runs",
  next: (file) => `Next: kerb report -o ${file} --contract NUMBER --contractor NAME --accepted-by NAME`,
  more: (count) => ` … ${count} more (they are all in the file)`,
  stopped: "interrupted: no report was made",
  form: (file) => ({
    title: `what kind of file is ${file}?`,
    hint: "its name ends in .html, .json or .csv",
  }),
  foreign: (file) => ({
    title: `${file} is there and is no report of kerb: it is not overwritten`,
    hint: "give the report another name: -o OTHER.html",
  }),
  verdicts: {
    valid: "valid: it is as the box has signed it",
    altered: "ALTERED: it is not what the box has signed",
    "other-box": "SIGNED BY ANOTHER BOX than the one that was named",
    unsigned: "NOT SIGNED: anybody can have written it",
  },
  where: "altered",
  madeBy: (gateway, made) => `${gateway}, made ${made}`,
  compare:
    "compare the fingerprint with that of the box (kerb report key, or its label), or name it with --key",
  sameBox: "this box",
  noReport: (file) => ({
    title: `${file} is no report of kerb`,
    hint: "name an .html or .json file that kerb report -o has written",
  }),
  noFile: (file, why) => ({ title: `${file} cannot be read (${why})`, hint: "name the file of a report" }),
  noKey: (key) => ({
    title: `${key} is no public key of a box`,
    hint: "kerb report key on the box prints the key and its fingerprint: give either, or a file that holds the key",
  }),
  noBoxKey: (why) => ({
    title: `the box key cannot be used (${why})`,
    hint: "run it as the user of the gateway, such as: sudo -u kerb kerb report key",
  }),
  key: "key",
  fingerprint: "fingerprint",
};

const vi: ReportWords = {
  reading: (count, all) => `Đang đọc ${all} thiết bị: ${count} trên ${all}`,
  summary: ({ devices, ok, failing, notCommissioned, blocking, warnings }, names) =>
    ` ${ok} trên ${devices} thiết bị đạt, ${failing} hỏng${names}, ${notCommissioned} chưa vận hành. ` +
    `${blocking} mục chặn, ${warnings} cảnh báo.`,
  places: { gateway: "gateway", box: "hộp", uplink: "kết nối", driver: "driver", device: "" },
  wrote: (files, sha) => `Đã ghi ${files} (đã ký số, sha256 ${sha})`,
  unsignedFiles: (files, why) => `Đã ghi ${files}, CHƯA KÝ SỐ: ${why}`,
  signAs:
    "chỉ người dùng của gateway được dùng khóa của hộp: chạy bằng người dùng đó, hoặc khi gateway đang chạy",
  next: (file) => `Tiếp theo: kerb report -o ${file} --contract SỐ --contractor TÊN --accepted-by TÊN`,
  more: (count) => ` … còn ${count} mục nữa (có đủ trong tệp)`,
  stopped: "đã ngắt: không lập báo cáo",
  form: (file) => ({
    title: `${file} là loại tệp gì?`,
    hint: "tên tệp kết thúc bằng .html, .json hoặc .csv",
  }),
  foreign: (file) => ({
    title: `đã có ${file} và đó không phải báo cáo của kerb: không ghi đè`,
    hint: "đặt tên khác cho báo cáo: -o TÊN_KHÁC.html",
  }),
  verdicts: {
    valid: "hợp lệ: đúng như hộp đã ký",
    altered: "ĐÃ BỊ SỬA: không phải nội dung mà hộp đã ký",
    "other-box": "DO HỘP KHÁC KÝ, không phải hộp đã nêu",
    unsigned: "CHƯA KÝ SỐ: ai cũng có thể viết ra",
  },
  where: "chỗ bị sửa",
  madeBy: (gateway, made) => `${gateway}, lập lúc ${made}`,
  compare: "đối chiếu dấu vân tay với của hộp (kerb report key, hoặc nhãn hộp), hoặc nêu bằng --key",
  sameBox: "chính hộp này",
  noReport: (file) => ({
    title: `${file} không phải báo cáo của kerb`,
    hint: "nêu tệp .html hoặc .json do kerb report -o ghi ra",
  }),
  noFile: (file, why) => ({ title: `không đọc được ${file} (${why})`, hint: "nêu tệp của một báo cáo" }),
  noKey: (key) => ({
    title: `${key} không phải khóa công khai của hộp`,
    hint: "kerb report key trên hộp in khóa và dấu vân tay: nêu một trong hai, hoặc tệp chứa khóa",
  }),
  noBoxKey: (why) => ({
    title: `không dùng được khóa của hộp (${why})`,
    hint: "chạy bằng người dùng của gateway, ví dụ: sudo -u kerb kerb report key",
  }),
  key: "khóa",
  fingerprint: "dấu vân tay",
};

export const reportWords: Record<Language, ReportWords> = { en, vi };
