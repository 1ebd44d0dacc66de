import { words } from "../words.ts";

/** What `kerb tail` says at its end. */
export const tailWords = words({
  en: {
    ending: (seen: string, missed: string) =>
      `${seen} events seen, ${missed} missed because this screen was too slow for them`,
  },
  vi: {
    ending: (seen, missed) => `đã thấy ${seen} sự kiện, bỏ lỡ ${missed} vì màn hình này chậm không kịp`,
  },
});
