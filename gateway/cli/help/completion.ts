import { exitCodes, printable } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { completionWords } from "./completion-words.ts";
import { usageError } from "../errors.ts";
import { hint, printData } from "../output.ts";

/** What makes a shell ask `kerb __complete` for the words that may stand where Tab was pressed. */

const bash = `# bash completion of kerb; made by: kerb completion bash
_kerb() {
  local current="\${COMP_WORDS[COMP_CWORD]}" kind word
  COMPREPLY=()
  {
    read -r kind
    while IFS=$'\\t' read -r word _; do COMPREPLY+=("$word"); done
  } < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case "$kind" in
    files)
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
      ;;
    nospace) compopt -o nospace 2>/dev/null ;;
  esac
}
complete -F _kerb kerb
`;

const zsh = `#compdef kerb
# zsh completion of kerb; made by: kerb completion zsh
_kerb() {
  local -a lines candidates
  local line
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${lines[1]}" == files ]]; then
    _files
    return
  fi
  for line in "\${(@)lines[2,-1]}"; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if [[ "\${lines[1]}" == nospace ]]; then
    _describe kerb candidates -S ''
  else
    _describe kerb candidates
  fi
}
if [[ "\${funcstack[1]}" == _kerb ]]; then _kerb "$@"; else compdef _kerb kerb; fi
`;

const fish = `# fish completion of kerb; made by: kerb completion fish
function __kerb_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
  if test "$lines[1]" = files
    __fish_complete_path (commandline -ct)
  else if set -q lines[2]
    printf '%s\\n' $lines[2..-1]
  end
end
complete -c kerb -f -a '(__kerb_complete)'
`;

const scripts = { bash, zsh, fish };
const isShell = (shell: string): shell is keyof typeof scripts => Object.hasOwn(scripts, shell);

/** `kerb completion bash|zsh|fish`: the script of a shell on stdout, how to use it on stderr; exit code 2 for another. */
export function completion(shell: string, options: { json?: boolean }): number {
  const text = completionWords[languageOf()];
  if (!isShell(shell))
    throw usageError(text.noShell(printable(shell)), text.shells(Object.keys(scripts).join(", ")));
  if (options.json === true) printData("completion", { shell, script: scripts[shell] });
  else {
    process.stdout.write(scripts[shell]);
    if (process.stdout.isTTY) hint(`\n# ${text.how[shell].replaceAll("   ", "\n# ")}`);
  }
  return exitCodes.ok;
}
