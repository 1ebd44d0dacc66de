/** The answer, or undefined when there is none within `ms` or it is an error. */
export async function within<Answer>(answer: Promise<Answer>, ms: number): Promise<Answer | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([answer.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The newest answer to a question that may stay unanswered for long. One question is open at a time, however many
 * ask, so that those who wait do not pile up behind a disk that hangs.
 */
export class Latest<Answer> {
  readonly #ask: () => Promise<Answer>;
  #answer: Answer | undefined;
  #open: { promise: Promise<Answer>; atMs: number } | undefined;

  constructor(ask: () => Promise<Answer>) {
    this.#ask = ask;
  }

  /** A fresh answer (`silentMs` 0), or after `waitMs` the last one and how long the question has been open. */
  async get(waitMs: number): Promise<{ answer: Answer | undefined; silentMs: number }> {
    const open = (this.#open ??= { promise: this.#start(), atMs: performance.now() });
    const fresh = await within(open.promise, waitMs);
    if (fresh !== undefined) return { answer: fresh, silentMs: 0 };
    return { answer: this.#answer, silentMs: performance.now() - open.atMs };
  }

  async #start(): Promise<Answer> {
    // Not before the caller has noted that a question is open.
    await Promise.resolve();
    try {
      this.#answer = await this.#ask();
      return this.#answer;
    } finally {
      this.#open = undefined;
    }
  }
}
