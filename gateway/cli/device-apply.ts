import type { Language } from "../config/error-texts.ts";
import { NotRunningError } from "../control.ts";
import { shownFile } from "../errors.ts";
import { deviceWords } from "./device-words.ts";
import { askOnce, controlSocket, SilentError } from "./site.ts";

/** What the gateway makes of a changed file: it knows it already, must be started again, or does not run. */
export type Taken = "applied" | "restart-needed" | "not-running";

/** Tells the running gateway that files have changed, and what people are told of it. */
export async function tellGateway(
  site: string,
  language: Language,
): Promise<{ gateway: Taken; sentence: string }> {
  const words = deviceWords[language];
  try {
    await askOnce(controlSocket(site), { verb: "ping" });
    return { gateway: "restart-needed", sentence: words.restart(shownFile(site)) };
  } catch (error) {
    if (error instanceof SilentError)
      return { gateway: "restart-needed", sentence: words.restart(shownFile(site)) };
    if (!(error instanceof NotRunningError)) throw error;
    return { gateway: "not-running", sentence: words.notRunning(shownFile(site)) };
  }
}
