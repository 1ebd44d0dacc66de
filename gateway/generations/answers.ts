import { localIssuer } from "../commands/command.ts";
import { SiteError } from "../config/process.ts";
import { type Applied, ChangeRefused, type ConfigDesk, type Mistakes } from "./desk.ts";

/** Something stands against a change: nothing was changed. */
export interface Refused {
  refused: ChangeRefused["code"];
  reason: string;
}

/** Of a rollback or an apply by the control socket. */
export type ChangeAnswer = Applied | Mistakes | Refused;

/** Answers a verb `config-…` of the control socket. */
export async function answerConfig(
  desk: ConfigDesk,
  verb: string,
  args: Record<string, unknown>,
): Promise<unknown> {
  try {
    return await answered(desk, verb, args);
  } catch (error) {
    if (error instanceof SiteError)
      return { mistakes: [...error.diagnostics], count: error.count } satisfies Mistakes;
    if (error instanceof ChangeRefused)
      return { refused: error.code, reason: error.message } satisfies Refused;
    throw error;
  }
}

function answered(desk: ConfigDesk, verb: string, args: Record<string, unknown>): Promise<unknown> {
  const text = (name: string) => (typeof args[name] === "string" ? args[name] : "");
  const amount = (name: string) =>
    typeof args[name] === "number" && args[name] > 0 ? args[name] : undefined;
  // What he calls himself: the socket does not say who is at its other end, and nobody has signed.
  const by = `${text("by").replaceAll(/[@\s]/g, "-").slice(0, 64) || "unknown"}@${localIssuer}`;
  const [confirmMs, watchMs] = [amount("confirmMs"), amount("watchMs")];
  const times = {
    ...(confirmMs === undefined ? {} : { confirmMs }),
    ...(watchMs === undefined ? {} : { watchMs }),
  };
  if (verb === "config-standing") return desk.standing();
  if (verb === "config-history") return desk.history();
  if (verb === "config-plan") return desk.plan();
  if (verb === "config-apply") return desk.apply({ by, how: "apply", ...times });
  if (verb === "config-rollback") return desk.rollback(Number(args["number"]), { by, ...times });
  if (verb === "config-confirm") return desk.confirm(by);
  throw new Error(`unknown verb "${verb}"`);
}
