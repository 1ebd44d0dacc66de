import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ConfigError, shownFile } from "../../errors.ts";
import { languageOf, words } from "../../words.ts";
import { dictionary } from "../language.ts";

/** What to do where a whole configuration file cannot be used: a mistake inside one carries its own cure. */

const cures = words({
  en: {
    usual: "kerb init begins one; usual places: /etc/kerb/gateway.yaml on a box, or gateway.yaml here",
    missing: "check the path",
    inFolder: (file: string) => `name the file in it: ${file}`,
    folder: "name a gateway.yaml in it",
    rights: (file: string) => `repeat it as a user who may: sudo kerb …   who may: ls -l ${file}`,
    noText: "name a gateway.yaml, which is a text; what kerb backup has saved comes back with: kerb restore",
  },
  vi: {
    usual:
      "kerb init tạo tệp mới; nơi thường gặp: /etc/kerb/gateway.yaml trên hộp, hoặc gateway.yaml tại đây",
    missing: "kiểm tra đường dẫn",
    inFolder: (file) => `nêu tệp trong thư mục đó: ${file}`,
    folder: "nêu một gateway.yaml trong thư mục đó",
    rights: (file) => `chạy lại với người dùng có quyền: sudo kerb …   ai có quyền: ls -l ${file}`,
    noText: "nêu một gateway.yaml, là tệp văn bản; bản sao của kerb backup thì khôi phục bằng: kerb restore",
  },
});

/** The cure where the first mistake is the file itself; undefined: the lines of the mistakes say it all. */
export function configCure({ diagnostics: [first] }: ConfigError): string | undefined {
  const text = cures[languageOf()];
  const [, problem = first?.message ?? ""] =
    /^the file cannot be used: (.*)$/.exec(first?.message ?? "") ?? [];
  const file = first?.file ?? "";
  if (problem === "there is no such file") return `${text.missing}; ${text.usual}`;
  if (problem === "this user may not read it") return text.rights(shownFile(file));
  if (problem === "it is no text") return text.noText;
  // Of a site file: profiles and lists of devices have other keys.
  if (problem.startsWith("the file is empty") && problem.includes("gateway")) return text.usual;
  if (problem !== "it is a folder") return undefined;
  const inside = join(file, "gateway.yaml");
  return existsSync(inside) ? text.inFolder(shownFile(inside)) : `${text.folder}; ${text.usual}`;
}

/** The same as a line below the mistakes. */
export function cureLines(error: ConfigError): string[] {
  const cure = configCure(error);
  return cure === undefined ? [] : [`  ${dictionary[languageOf()].remedy}  ${cure}`];
}
