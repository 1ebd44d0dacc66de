import { printable } from "../errors.ts";
import { cut, span, terminalSize } from "../text.ts";

const everyMs = 150;
const clearLine = "\r\u001b[2K";

/** One line on stderr that says what is being done; nothing where nobody sits in front of it. */
export class Progress {
  readonly #isShown = process.stderr.isTTY && process.env["TERM"] !== "dumb";
  readonly #startedMs = performance.now();
  readonly #doing = new Map<string, string>();
  readonly #head: () => string;
  #shownMs = 0;

  constructor(head: () => string) {
    this.#head = head;
  }

  /** `what` is done by `text` now; an empty text: it is over. */
  doing(what: string, text: string): void {
    // The newest stands last.
    this.#doing.delete(what);
    if (text !== "") this.#doing.set(what, text);
    const nowMs = performance.now();
    if (!this.#isShown || nowMs - this.#shownMs < everyMs) return;
    this.#shownMs = nowMs;
    const line = [span(nowMs - this.#startedMs), this.#head(), ...[...this.#doing.values()].slice(-3)].join(
      "   ",
    );
    process.stderr.write(clearLine + cut(printable(line), terminalSize().columns - 1));
  }

  end(): void {
    if (this.#isShown) process.stderr.write(clearLine);
  }
}
