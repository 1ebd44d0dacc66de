import { words } from "../../words.ts";

/** What `kerb tail` says at its end. */
export const tailWords = words({
  en: {
    seen: (events: string) => `${events} ${events === "1" ? "event" : "events"} seen`,
    missed: (events: string) => `, ${events} missed because this screen was too slow for them`,
  },
  vi: {
    seen: (events) => `đã thấy ${events} sự kiện`,
    missed: (events) => `, bỏ lỡ ${events} vì màn hình này chậm không kịp`,
  },
});
