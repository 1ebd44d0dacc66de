import { words } from "../words.ts";

/** What is said where a person must agree first. */
export const agreedWords = words({
  en: {
    go: "Go? [y/N] ",
    nobody: (undone: string) => `${undone}: nobody is there to say yes`,
    nobodyCure: "add --yes, or run it in a terminal",
  },
  vi: {
    go: "Thực hiện? [y/N] ",
    nobody: (undone) => `${undone}: không có ai ở đó để đồng ý`,
    nobodyCure: "thêm --yes, hoặc chạy trong cửa sổ lệnh",
  },
});
