import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A script in a process of its own whose functions are called from here. */

type Functions = Record<string, (...args: never[]) => unknown>;
interface Call {
  id: number;
  name: string;
  args: unknown[];
}
interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

/** In the script: answers calls until the caller has gone. */
export function serve(functions: Functions): void {
  process.on("message", ({ id, name, args }: Call) => {
    const call = async (): Promise<unknown> => (functions[name] as (...given: unknown[]) => unknown)(...args);
    call().then(
      (result) => process.send?.({ id, result } satisfies Answer),
      (error: Error) => process.send?.({ id, error: error.stack ?? error.message } satisfies Answer),
    );
  });
  process.once("disconnect", () => process.exit(0));
}

/** In the caller. A script that ends lets every call reject. */
export class Remote<F extends Functions> {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 1;

  constructor(
    script: URL,
    args: readonly string[],
    execArgv: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ) {
    this.#child = fork(script, [...args], {
      execArgv: [...process.execArgv, ...execArgv],
      env: { ...process.env, ...env },
      serialization: "advanced",
    });
    this.#child.on("message", ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    this.#child.once("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`${script.pathname.split("/").at(-1)} ended: ${signal ?? code}`));
      this.#waiting.clear();
    });
  }

  call<Name extends keyof F & string>(
    name: Name,
    ...args: Parameters<F[Name]>
  ): Promise<Awaited<ReturnType<F[Name]>>> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#child.send({ id, name, args } satisfies Call, (error) => {
      if (error !== null && this.#waiting.delete(id)) answer.reject(error);
    });
    return answer.promise as Promise<Awaited<ReturnType<F[Name]>>>;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}
