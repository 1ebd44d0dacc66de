import { createInterface } from "node:readline/promises";

/** Questions to the person at the terminal, on stderr. */

/** Ctrl-C, or the end of the input, in the place of an answer. */
export class NoAnswerError extends Error {}

/** Whether there is a person who can be asked. */
export const isPersonThere = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** The answer to a question, without blanks around it. Throws `NoAnswerError`. */
export async function askLine(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new Promise<never>((_, reject) => lines.once("close", () => reject(new NoAnswerError())));
  try {
    return (await Promise.race([lines.question(question), gone])).trim();
  } catch {
    throw new NoAnswerError();
  } finally {
    gone.catch(() => {});
    lines.close();
  }
}

/** Yes or no, in either language; `otherwise` is what an empty answer means. Throws `NoAnswerError`. */
export async function askYes(question: string, otherwise: boolean): Promise<boolean> {
  const answer = await askLine(question);
  return answer === "" ? otherwise : /^(y|yes|c|có|co)$/iu.test(answer.normalize("NFC"));
}

/** What is typed without being shown. Throws `NoAnswerError`. */
export async function askSecret(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  const typed = Promise.withResolvers<string>();
  let text = "";
  const read = (chunk: Buffer | string): void => {
    for (const sign of chunk.toString()) {
      if (sign === "\r" || sign === "\n") typed.resolve(text);
      else if (sign === "\u0003" || sign === "\u0004") typed.reject(new NoAnswerError());
      else if (sign === "\u007f" || sign === "\b") text = text.replace(/.$/su, "");
      else if (sign >= " ") text += sign;
    }
  };
  const end = (): void => typed.reject(new NoAnswerError());
  stdin.setRawMode(true);
  // Not by its iterator, which would close the terminal for the questions to come.
  stdin.on("data", read).once("end", end).resume();
  try {
    return await typed.promise;
  } finally {
    stdin.off("data", read).off("end", end).pause();
    stdin.setRawMode(false);
    stderr.write("\n");
  }
}

const pipedCharsMax = 4096;

/** The first line of what is piped in. */
export async function pipedLine(): Promise<string> {
  let text = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin as AsyncIterable<string>) {
    text += chunk;
    if (text.includes("\n") || text.length > pipedCharsMax) break;
  }
  return text.split(/\r?\n/, 1)[0] ?? "";
}

/** A password that is piped in or asked for without an echo; "" where nobody can be asked. */
export async function givenPassword(
  question: string,
  { json, passwordStdin }: { json?: boolean; passwordStdin?: boolean },
): Promise<string> {
  if (passwordStdin === true) return pipedLine();
  return json !== true && isPersonThere() ? askSecret(question) : "";
}
