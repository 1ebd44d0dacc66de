import { vi } from "vitest";
import { runVerb } from "../gateway/cli/program.ts";
import { languageIn, speak } from "../gateway/words.ts";

/** What a verb printed, and its exit code. */
export interface Said {
  code: number;
  out: string;
  err: string;
}

/** A verb in this process, which has all loaded already: a real one takes a third of a second to start. */
export async function run(...args: string[]): Promise<Said> {
  const said: Said = { code: 0, out: "", err: "" };
  const keep = (name: "out" | "err") => (text: string | Uint8Array) => {
    said[name] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(keep("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(keep("err")),
  ];
  speak(languageIn(args) ?? "en");
  try {
    said.code = await runVerb(args);
  } finally {
    speak(undefined);
    for (const spy of spies) spy.mockRestore();
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(name);
  }
  return said;
}
