import type { Language } from "../config/error-texts.ts";

/** What `kerb top` says beside the words of `kerb status`. */
interface TopWords {
  quit: string;
  keeps: (events: string, rate: string) => string;
  comesIn: (events: string) => string;
  share: (percent: string, budget: string) => string;
  lag: (span: string) => string;
  acknowledged: (age: string) => string;
  never: string;
  sends: (events: string) => string;
  pollsColumn: string;
  tookColumn: string;
  errorsColumn: string;
  more: (count: number) => string;
  gateway: string;
}

export const topWords: Record<Language, TopWords> = {
  en: {
    quit: "q quits",
    keeps: (events, rate) => `${events} kept (${rate}/s)`,
    comesIn: (events) => `in ${events}/s`,
    share: (percent, budget) => `${percent} % of ${budget}`,
    lag: (span) => `oldest ${span}`,
    acknowledged: (age) => `confirmed ${age} ago`,
    never: "never confirmed",
    sends: (events) => `out ${events}/s`,
    pollsColumn: "POLLS/s",
    tookColumn: "TOOK",
    errorsColumn: "ERR/s",
    more: (count) => `… ${count} more: a taller window, or --json`,
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
    tookColumn: "MẤT",
    errorsColumn: "LỖI/s",
    more: (count) => `… còn ${count}: mở rộng cửa sổ, hoặc --json`,
    gateway: "gateway",
  },
};
