import { readFileSync, writeFileSync, type WriteFileOptions } from "node:fs";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../errors.ts";
import { languageOf, words } from "../words.ts";
import { CommandError, notFoundError, usageError } from "./errors.ts";

/** What is said where a file that somebody named cannot be read or written: one sentence with place and cure. */

type Doing = "read" | "write";

const texts = words({
  en: {
    missing: (file: string) =>
      [`there is no file ${file}`, "check the path: ls shows what is there"] as [string, string],
    noFolder: (file: string) =>
      [
        `${file} cannot be written: its folder does not exist`,
        "make the folder first, or name another place",
      ] as [string, string],
    folder: (file: string) => [`${file} is a folder, not a file`, "name a file in it"] as [string, string],
    notFolder: (file: string) =>
      [`${file} lies under a file, not under a folder`, "check the path: a part of it is a file"] as [
        string,
        string,
      ],
    mayNotRead: (file: string) =>
      [
        `this user may not read ${file}`,
        "repeat it as a user who may (sudo kerb …), or have the rights of the file changed",
      ] as [string, string],
    mayNotWrite: (file: string) =>
      [
        `this user may not write ${file}`,
        "name a file where you may write, or repeat it as a user who may (sudo kerb …)",
      ] as [string, string],
    exists: (file: string) =>
      [`${file} is there already and is not overwritten`, "name another file, or move this one away"] as [
        string,
        string,
      ],
    full: (file: string) =>
      [
        `${file} cannot be written: the disk is full`,
        "make room (df -h shows where), or name a file on another disk",
      ] as [string, string],
    readOnly: (file: string) =>
      [
        `${file} cannot be written: the disk is read-only`,
        "name a file on another disk; a disk that became read-only by itself is failing (dmesg)",
      ] as [string, string],
    failing: (file: string) =>
      [
        `${file} cannot be used: the disk does not do it`,
        "look at the disk (dmesg); copy what is on it to another one",
      ] as [string, string],
    other: (file: string, doing: Doing, code: string) =>
      [
        `${file} cannot be ${doing === "read" ? "read" : "written"} (${code})`,
        "check the path, its rights and its disk",
      ] as [string, string],
  },
  vi: {
    missing: (file) => [`không có tệp ${file}`, "kiểm tra đường dẫn: ls cho biết ở đó có gì"],
    noFolder: (file) => [
      `không ghi được ${file}: thư mục của nó chưa có`,
      "tạo thư mục trước, hoặc nêu nơi khác",
    ],
    folder: (file) => [`${file} là thư mục, không phải tệp`, "nêu một tệp trong thư mục đó"],
    notFolder: (file) => [
      `${file} nằm dưới một tệp, không phải dưới một thư mục`,
      "kiểm tra đường dẫn: một phần của nó là tệp",
    ],
    mayNotRead: (file) => [
      `người dùng này không được phép đọc ${file}`,
      "chạy lại bằng người dùng có quyền (sudo kerb …), hoặc nhờ đổi quyền của tệp",
    ],
    mayNotWrite: (file) => [
      `người dùng này không được phép ghi ${file}`,
      "nêu tệp ở nơi được phép ghi, hoặc chạy lại bằng người dùng có quyền (sudo kerb …)",
    ],
    exists: (file) => [`đã có ${file} và không ghi đè`, "nêu tệp khác, hoặc chuyển tệp này đi"],
    full: (file) => [
      `không ghi được ${file}: đĩa đã đầy`,
      "giải phóng chỗ (df -h cho biết ở đâu), hoặc nêu tệp trên đĩa khác",
    ],
    readOnly: (file) => [
      `không ghi được ${file}: đĩa chỉ cho đọc`,
      "nêu tệp trên đĩa khác; đĩa tự chuyển sang chỉ đọc là đĩa đang hỏng (dmesg)",
    ],
    failing: (file) => [
      `không dùng được ${file}: đĩa không thực hiện`,
      "xem đĩa (dmesg); sao chép dữ liệu sang đĩa khác",
    ],
    other: (file, doing, code) => [
      `không ${doing === "read" ? "đọc" : "ghi"} được ${file} (${code})`,
      "kiểm tra đường dẫn, quyền và đĩa",
    ],
  },
});

type Kind = Exclude<keyof (typeof texts)["en"], "other">;

const kinds: Record<string, Kind | Record<Doing, Kind>> = {
  ENOENT: { read: "missing", write: "noFolder" },
  EISDIR: "folder",
  ENOTDIR: "notFolder",
  EACCES: { read: "mayNotRead", write: "mayNotWrite" },
  EPERM: { read: "mayNotRead", write: "mayNotWrite" },
  EEXIST: "exists",
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "readOnly",
  EIO: "failing",
};
/** No argument is wrong: the machine cannot do it. */
const ofMachine = new Set<Kind>(["full", "readOnly", "failing"]);

/** The complaint about a file that cannot be read or written, from what the system said. */
export function fileError(file: string, error: unknown, doing: Doing, language: Language): CommandError {
  const { code = "unknown" } = error as NodeJS.ErrnoException;
  const place = printable(shownFile(file));
  const found = kinds[code];
  const kind = typeof found === "object" ? found[doing] : found;
  const [title, cure] =
    kind === undefined ? texts[language].other(place, doing, code) : texts[language][kind](place);
  if (kind === "missing") return notFoundError(title, cure, language);
  if (kind === undefined || !ofMachine.has(kind)) return usageError(title, cure, language);
  const of = { code: "KERB-CLI-FAILED", exitCode: exitCodes.unexpected } as const;
  return new CommandError({ ...of, title, hint: cure, language });
}

const calls: Record<string, Doing> = {
  open: "read",
  read: "read",
  stat: "read",
  lstat: "read",
  scandir: "read",
  access: "read",
  realpath: "read",
  copyfile: "write",
  mkdir: "write",
  rename: "write",
  unlink: "write",
  write: "write",
  rmdir: "write",
  chmod: "write",
  fsync: "write",
};

/** The same of an error that nobody expected, as far as it names a file; undefined: it is none of a file's. */
export function strayFileError(error: unknown): CommandError | undefined {
  const { code = "", path, syscall = "" } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || path === undefined || !Object.hasOwn(kinds, code)) return undefined;
  const doing = calls[syscall];
  return doing === undefined ? undefined : fileError(path, error, doing, languageOf());
}

/** Reads a file that somebody named. Throws `CommandError`: exit code 3 it is not there, 2 it cannot be read. */
export function readGiven(file: string, language: Language): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw fileError(file, error, "read", language);
  }
}

/** Writes a file that somebody named. Throws `CommandError`: exit code 2, or 1 where the disk does not take it. */
export function writeGiven(
  file: string,
  content: string | Uint8Array,
  options: WriteFileOptions,
  language: Language,
): void {
  try {
    writeFileSync(file, content, options);
  } catch (error) {
    throw fileError(file, error, "write", language);
  }
}
