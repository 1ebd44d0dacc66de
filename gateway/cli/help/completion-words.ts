import { words } from "../../words.ts";

/** What `kerb completion` and `kerb schema` say to people. */
export const completionWords = words({
  en: {
    noShell: (shell: string) => `there is no completion for "${shell}"`,
    shells: (list: string) => `known are ${list}`,
    how: {
      bash: "Now: source <(kerb completion bash)   For good: kerb completion bash > ~/.local/share/bash-completion/completions/kerb",
      zsh: "Now: source <(kerb completion zsh)   For good: kerb completion zsh > a folder of $fpath, as _kerb",
      fish: "Now: kerb completion fish | source   For good: kerb completion fish > ~/.config/fish/completions/kerb.fish",
    },
    noSchema: (verb: string, meant: string) => `no output of "${verb}" is published${meant}`,
    schemas: "kerb schema lists the verbs whose output has a schema",
    verb: "VERB",
    file: "FILE",
  },
  vi: {
    noShell: (shell) => `không có phần điền nốt lệnh cho "${shell}"`,
    shells: (list) => `có cho ${list}`,
    how: {
      bash: "Dùng ngay: source <(kerb completion bash)   Dùng lâu dài: kerb completion bash > ~/.local/share/bash-completion/completions/kerb",
      zsh: "Dùng ngay: source <(kerb completion zsh)   Dùng lâu dài: kerb completion zsh > một thư mục của $fpath, tên _kerb",
      fish: "Dùng ngay: kerb completion fish | source   Dùng lâu dài: kerb completion fish > ~/.config/fish/completions/kerb.fish",
    },
    noSchema: (verb, meant) => `chưa công bố schema cho "${verb}"${meant}`,
    schemas: "kerb schema liệt kê các lệnh có schema",
    verb: "LỆNH",
    file: "TỆP",
  },
});
