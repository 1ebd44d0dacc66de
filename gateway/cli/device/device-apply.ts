import type { Language } from "../../config/error-texts.ts";
import { NotRunningError } from "../../control/control.ts";
import { describeError, type ErrorCode, printable, shownFile } from "../../errors.ts";
import { deviceWords } from "./device-words.ts";
import { pause } from "../output.ts";
import { askOnce, controlSocket, SilentError, typed } from "../site.ts";
import { user } from "../user.ts";

/** What the gateway makes of a changed file: it runs as it says, must be started again, or does not run. */
export type Taken = "applied" | "restart-needed" | "not-running";

/** As much of the answer to `config-apply` as is told here. */
interface Answer {
  generation?: number;
  plan?: { restartsGateway: boolean };
  refused?: ErrorCode;
  mistakes?: { message: string }[];
  reason?: string;
}

/** What is added was tested already: it need not be watched for longer. */
const watchMs = 1000;
/** Another change may be settling, such as that of the device before this one. */
const patienceMs = 5000;

async function order(socket: string): Promise<Answer> {
  const startedMs = performance.now();
  for (;;) {
    const answer = await askOnce<Answer>(socket, { verb: "config-apply", args: { by: user(), watchMs } });
    if (answer.refused !== "KERB-CFG-PENDING" || performance.now() - startedMs > patienceMs) return answer;
    await pause(300, new AbortController().signal);
  }
}

/** Tells the running gateway that files have changed, and what people are told of it. */
export async function tellGateway(
  site: string,
  language: Language,
): Promise<{ gateway: Taken; sentence: string }> {
  const words = deviceWords[language];
  const file = typed(shownFile(site));
  try {
    const { generation, plan, mistakes, refused, reason } = await order(controlSocket(site));
    if (generation !== undefined)
      return { gateway: "applied", sentence: words.applied(generation, plan?.restartsGateway === true) };
    const why =
      refused === undefined
        ? (mistakes?.[0]?.message ?? reason ?? "")
        : describeError(refused, language).title;
    return { gateway: "restart-needed", sentence: words.notApplied(file, printable(why)) };
  } catch (error) {
    if (error instanceof NotRunningError) return { gateway: "not-running", sentence: words.notRunning(file) };
    // It is saved: whatever the gateway says, the files are right.
    if (error instanceof SilentError || !(error instanceof Error))
      return { gateway: "restart-needed", sentence: words.restart(file) };
    const isOlder = error.message.startsWith("unknown verb");
    const sentence = isOlder ? words.restart(file) : words.notApplied(file, printable(error.message));
    return { gateway: "restart-needed", sentence };
  }
}
