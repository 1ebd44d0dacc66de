import { words } from "../words.ts";

/** What `kerb top` says beside the words of `kerb status`. */
export const topWords = words({
  en: {
    quit: "q quits",
    keeps: (events: string, rate: string) => `${events} kept (${rate}/s)`,
    comesIn: (events: string) => `in ${events}/s`,
    share: (percent: string, budget: string) => `${percent} % of ${budget}`,
    lag: (span: string) => `oldest ${span}`,
    acknowledged: (age: string) => `confirmed ${age} ago`,
    never: "never confirmed",
    sends: (events: string) => `out ${events}/s`,
    pollsColumn: "POLLS/s",
    tookColumn: "TOOK",
    errorsColumn: "ERR/s",
    more: (count: number) => `… ${count} more: a taller window, or --json`,
    gateway: "gateway",
  },
  vi: {
    quit: "q để thoát",
    keeps: (events, rate) => `giữ ${events} (${rate}/s)`,
    comesIn: (events) => `vào ${events}/s`,
    share: (percent, budget) => `${percent} % của ${budget}`,
    lag: (span) => `cũ nhất ${span}`,
    acknowledged: (age) => `xác nhận ${age} trước`,
    never: "chưa xác nhận lần nào",
    sends: (events) => `ra ${events}/s`,
    pollsColumn: "ĐỌC/s",
    tookColumn: "ĐÁP SAU",
    errorsColumn: "LỖI/s",
    more: (count) => `… còn ${count}: mở rộng cửa sổ, hoặc --json`,
    gateway: "gateway",
  },
});
