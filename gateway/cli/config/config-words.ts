import { words } from "../../words.ts";

/** What `kerb config` says. */
export const configWords = words({
  en: {
    actions: {
      start: "starts",
      stop: "stops",
      restart: "restarts",
      hot: "goes on, keeps its connection",
      none: "is not run",
    },
    restarts: "the whole gateway restarts",
    live: "at once, nothing restarts",
    changed: "changed",
    untouched: (count: number) => `${count} ${count === 1 ? "device" : "devices"} untouched`,
    nothing: (generation: number) => `Nothing to change: generation ${generation} says the same.`,
    toApply: "To take it over: kerb config apply",
    stopped: (generation: number) =>
      `No gateway runs; compared with generation ${generation}, which ran last.`,
    runs: (generation: number) => `Generation ${generation} runs.`,
    restarting: "The whole gateway restarts now.",
    watching: (time: string) => `Watching for ${time} that nothing is lost by it …`,
    kept: (generation: number) => `Generation ${generation} is kept.`,
    reverted: (generation: number, previous: number, reason: string) =>
      `Generation ${generation} was taken back, ${previous} runs: ${reason}`,
    confirmBy: (generation: number, previous: number, time: string) =>
      `Generation ${previous} comes back at ${time}, unless somebody says: kerb config confirm\n(generation ${generation} is not kept before that, not even over a restart)`,
    filesDiffer: "the files say something else: kerb config diff",
    filesStay: (generation: number) =>
      `The files were not touched: until they are changed, generation ${generation} also runs after a restart.`,
    confirmed: (generation: number) => `Generation ${generation} is kept.`,
    unknownEnd: "The gateway has not said how it ended: kerb config history",
    goesOn: "The gateway goes on by itself: kerb config history",
    gone: "lost",
    status: "config",
    generation: "generation",
    safeMode: (count: number) =>
      `SAFE MODE: the files are wrong (${count} ${count === 1 ? "mistake" : "mistakes"}): kerb config check`,
    watched: "is watched",
    until: (time: string) => `goes back at ${time} unless: kerb config confirm`,
    titles: ["N", "SINCE", "BY", "HOW", "CHANGE", "OUTCOME"],
    hows: { start: "start", apply: "apply", rollback: "rollback", twin: "twin" },
    outcomes: { pending: "not settled", kept: "kept", reverted: "taken back" },
    current: "runs",
    none: "no generation is kept yet",
    noMigration: (file: string) => `${file} has version 1, the only one that there is: nothing to migrate.`,
  },
  vi: {
    actions: {
      start: "khởi động",
      stop: "dừng",
      restart: "khởi động lại",
      hot: "chạy tiếp, giữ kết nối",
      none: "không chạy",
    },
    restarts: "toàn bộ gateway khởi động lại",
    live: "có hiệu lực ngay, không khởi động lại gì",
    changed: "đã đổi",
    untouched: (count) => `${count} thiết bị không bị ảnh hưởng`,
    nothing: (generation) => `Không có gì thay đổi: bản ${generation} có cùng nội dung.`,
    toApply: "Để áp dụng: kerb config apply",
    stopped: (generation) => `Không có gateway nào đang chạy; so với bản ${generation}, bản chạy gần nhất.`,
    runs: (generation) => `Bản ${generation} đang chạy.`,
    restarting: "Toàn bộ gateway đang khởi động lại.",
    watching: (time) => `Theo dõi trong ${time} để chắc chắn không mất gì …`,
    kept: (generation) => `Bản ${generation} được giữ.`,
    reverted: (generation, previous, reason) =>
      `Bản ${generation} đã bị thu hồi, bản ${previous} đang chạy: ${reason}`,
    confirmBy: (generation, previous, time) =>
      `Bản ${previous} sẽ chạy lại lúc ${time}, trừ khi có người xác nhận: kerb config confirm\n(trước đó bản ${generation} chưa được giữ, kể cả khi khởi động lại)`,
    filesDiffer: "các tệp có nội dung khác: kerb config diff",
    filesStay: (generation) =>
      `Các tệp không bị sửa: chừng nào chúng chưa đổi, bản ${generation} vẫn chạy cả sau khi khởi động lại.`,
    confirmed: (generation) => `Bản ${generation} được giữ.`,
    unknownEnd: "Gateway chưa cho biết kết quả: kerb config history",
    goesOn: "Gateway tự tiếp tục: kerb config history",
    gone: "mất",
    status: "cấu hình",
    generation: "bản",
    safeMode: (count) => `CHẾ ĐỘ AN TOÀN: tệp cấu hình sai (${count} lỗi): kerb config check`,
    watched: "đang được theo dõi",
    until: (time) => `sẽ thu hồi lúc ${time} trừ khi: kerb config confirm`,
    titles: ["SỐ", "TỪ LÚC", "DO AI", "CÁCH", "THAY ĐỔI", "KẾT QUẢ"],
    hows: { start: "khởi động", apply: "áp dụng", rollback: "quay lại", twin: "twin" },
    outcomes: { pending: "chưa xong", kept: "được giữ", reverted: "đã thu hồi" },
    current: "đang chạy",
    none: "chưa lưu bản nào",
    noMigration: (file) => `${file} có phiên bản 1, phiên bản duy nhất: không có gì để chuyển đổi.`,
  },
});

const two = (value: number): string => String(value).padStart(2, "0");

/** A moment as the clock on the wall of this box shows it. */
export function wallTime(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** With the day. */
export function wallDate(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${wallTime(ms)}`;
}
