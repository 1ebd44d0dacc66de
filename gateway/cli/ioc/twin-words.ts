import type { Language } from "../../config/error-texts.ts";
import { printable } from "../../errors.ts";
import type { TwinChange } from "../../twin/changes.ts";
import type { TwinStanding } from "../../twin/standing.ts";
import { words } from "../../words.ts";
import { displayWidth, pad, paint } from "../../text.ts";

/** What `kerb twin` says, and other verbs of the twin. */
export const twinWords = words({
  en: {
    wanted: "wanted",
    runs: "runs",
    allowed: "allowed",
    filesAlone: "the files alone",
    nothingYet: "nothing was ever wanted",
    off: "nothing: the site file has no key twin",
    version: (ver: number, by: string) => (by === "" ? `version ${ver}` : `version ${ver} of ${by}`),
    states: { staged: "being tried", applied: "applied", rejected: "rejected", rolledback: "taken back" },
    over: (ver: number, by: string) => `the twin, version ${ver} of ${by}, lies over the files:`,
    misfit: (ver: number, by: string, text: string) =>
      `the twin, version ${ver} of ${by}, does not fit the files, which run alone: ${text}`,
    status: (ver: number, by: string, count: number) =>
      `twin     version ${ver} of ${by} lies over the files (${count} ${count === 1 ? "value" : "values"}): kerb twin show`,
    noChange: "it says the same as the files",
    fileSays: (before: string) => `(file: ${before})`,
    fileSilent: "(the files do not say)",
    sections: { polls: "poll", deadBands: "dead band", schedules: "schedule", issuers: "issuer" },
    unanswered: (gateway: string) => `${gateway}: nothing was heard of it; the broker keeps it`,
    unansweredHint: "see whether the gateway is online; it takes what is wanted when it comes back",
    open: (gateway: string) => `${gateway}: it is still being tried`,
    openHint: "ask again: kerb twin show --gateway GW --broker URL --city CITY",
    notStanding: (gateway: string) => `nothing stands at the broker for ${gateway}`,
    notStandingHint: "see whether the name is right, and whether its broker lets this login read",
    tooMuch: (why: string) => `no gateway would read this document: ${why}`,
    tooMuchCure: "keep it within 32 KiB",
    broker: "at the broker",
  },
  vi: {
    wanted: "mong muốn",
    runs: "đang chạy",
    allowed: "cho phép",
    filesAlone: "chỉ theo tệp",
    nothingYet: "chưa từng có mong muốn nào",
    off: "không gì cả: tệp cấu hình không có khóa twin",
    version: (ver, by) => (by === "" ? `phiên bản ${ver}` : `phiên bản ${ver} của ${by}`),
    states: { staged: "đang thử", applied: "đã áp dụng", rejected: "bị từ chối", rolledback: "đã thu hồi" },
    over: (ver, by) => `twin, phiên bản ${ver} của ${by}, đè lên các tệp:`,
    misfit: (ver, by, text) =>
      `twin, phiên bản ${ver} của ${by}, không khớp với tệp nên chỉ chạy theo tệp: ${text}`,
    status: (ver, by, count) =>
      `twin     phiên bản ${ver} của ${by} đè lên các tệp (${count} giá trị): kerb twin show`,
    noChange: "nội dung giống như trong tệp",
    fileSays: (before) => `(tệp: ${before})`,
    fileSilent: "(tệp không nêu)",
    sections: { polls: "chu kỳ đọc", deadBands: "vùng chết", schedules: "lịch", issuers: "bên ra lệnh" },
    unanswered: (gateway) => `${gateway}: không nghe phản hồi; broker vẫn giữ tài liệu`,
    unansweredHint: "xem gateway có trực tuyến không; khi trở lại nó sẽ nhận",
    open: (gateway) => `${gateway}: vẫn đang thử`,
    openHint: "hỏi lại: kerb twin show --gateway GW --broker URL --city CITY",
    notStanding: (gateway) => `tại broker không có gì về ${gateway}`,
    notStandingHint: "xem tên có đúng không, và broker có cho tài khoản này đọc không",
    tooMuch: (why) => `không gateway nào đọc được tài liệu này: ${why}`,
    tooMuchCure: "giữ trong 32 KiB",
    broker: "tại broker",
  },
});

/** One line for each value that a document changes, with what the files say. */
export function changeLines(changes: readonly TwinChange[], language: Language): string[] {
  const text = twinWords[language];
  if (changes.length === 0) return [`  ${text.noChange}`];
  const rows = changes.map(({ section, device = "", of, before, after }) => [
    device,
    `${text.sections[section]} ${of}`,
    after,
    before === undefined ? text.fileSilent : text.fileSays(before),
  ]);
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => displayWidth(row[i] ?? ""))));
  return rows.map((row) =>
    printable(`  ${row.map((cell, i) => (i < 3 ? pad(cell, widths[i] ?? 0) : cell)).join("  ")}`),
  );
}

/** Of `kerb status`: what lies over the files, and what does not fit them. */
export function twinStatusLines(twin: TwinStanding, language: Language): string[] {
  const { ver, by = "", runs, running, errors, misfit } = twin;
  const text = twinWords[language];
  const [first] = errors;
  if (misfit === true) return [paint("yellow", printable(text.misfit(ver, by, first?.text ?? "")))];
  return runs === undefined ? [] : [printable(text.status(running.ver, runs.by, runs.changes.length))];
}
