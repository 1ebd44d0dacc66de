/** What in a site's files is a secret, by the key that it stands behind; messages must not show it. */

const secretKey =
  /pass(?:word|phrase|wd)?$|secret|token|communit|api-?key|^key$|Key$|^user(?:name)?$|^level\d$|^x-[\w-]*(?:auth|signature)/i;

/** A login may call its secret `value`. */
export function isSecret(path: readonly string[]): boolean {
  const key = path.at(-1) ?? "";
  return secretKey.test(key) || (path.at(-2) === "auth" && key === "value");
}

/** The way to a file's name, or to a public key, is called like a secret and is none. */
export function isPublicPath(path: readonly string[]): boolean {
  return (path[0] === "uplinks" && path.at(-2) === "tls") || path.at(-3) === "issuers";
}

/** A login in an address, up to the last "@" that can end it. */
export const login = /(\/\/)[^\s"'<>]{0,300}@/g;

const valueBehind =
  /(\b[\w.-]{0,40}(?:pass(?:word|phrase|wd)?|pwd|secret|token(?:Key)?|communit(?:y|ies)|level\d|psk|api-?key)["']?\s*:\s+)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|["'].*|[^\s"'#].*)/gi;

const stars = (text: string): string => "*".repeat(text.length);

/** A line of a file as a message shows it, each sign in its column, stars in the place of what may be a secret. */
export function withoutSecrets(line: string, isInside = false): string {
  return line
    .replaceAll(
      login,
      (one, slashes: string) => slashes + stars(one.slice(slashes.length, -1)) + one.slice(-1),
    )
    .replaceAll(valueBehind, (_, before: string, value: string, at: number) => {
      const isPlain = !/^["']/.test(value);
      const inBrackets = isInside || /[[{]/.test(line.slice(0, at));
      const end = isPlain ? /\s+#|$/.exec(inBrackets ? value.replace(/[,\]}].*/, "") : value) : null;
      const own = end === null ? value : value.slice(0, end.index).trimEnd();
      return (
        before + (own.includes("${") ? own : stars(own)) + withoutSecrets(value.slice(own.length), inBrackets)
      );
    });
}
