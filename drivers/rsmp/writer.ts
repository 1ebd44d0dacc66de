import { DeviceError, type Value } from "../../gateway/driver.ts";
import type { CommandMessage, SiteMessage } from "./messages.ts";
import { mayBeAskedFor, mayBeGiven } from "./may-be-given.ts";
import type { Outcome, Session } from "./session.ts";
import { commandOf } from "./requests.ts";
import type { Address, AlarmCommandAddress, CommandAddress, RequestedAddress, Settings } from "./settings.ts";
import { atLeast } from "./versions.ts";

const alarmCommandsSince = { Acknowledge: "3.1.2", Suspend: "3.1.2", Resume: "3.1.2", Request: "3.1.5" };

/**
 * Gives a command, or acknowledges, suspends, resumes or asks for an alarm. Rejects with `unsupported` (not a
 * command, or none that may be sent), `rejected` (the site said no) and `denied` (a security code is missing).
 */
export async function write(
  session: Session,
  settings: Settings,
  address: Address,
  value: Value,
  signal: AbortSignal,
): Promise<void> {
  if ("alarmCommand" in address) return tellAlarm(session, address, signal);
  if (!("command" in address) && !("requested" in address))
    throw session.error("unsupported", "this is not a command");
  const order = "requested" in address ? askedOf(session, address, value) : givenOf(address, value);
  if (!mayBeGiven.includes(order.command))
    throw session.error("unsupported", `${order.command} may drive phases, which kerb never does`);
  if (!settings.commands.includes(order.command))
    throw session.error("unsupported", `${order.command} is not among the commands that may be sent`);
  const component = address.component ?? session.main;
  const values = new Map([...order.values, ...otherArguments(session, settings, order.arguments)]);
  const position = values.get("status") ?? "nothing";
  if (order.command === "M0001" && !mayBeAskedFor.includes(position))
    throw session.error(
      "unsupported",
      `kerb does not set the position "${position}", only ${mayBeAskedFor.join(" or ")}`,
    );
  const arg = [...values].map(([n, v]) => ({ cCI: order.command, n, cO: order.do, v }));
  const outcome = await session.ask(
    "CommandRequest",
    { ntsOId: "", xNId: "", cId: component, arg },
    (message) => isResponse(message, component, order.command),
    signal,
  );
  check(session, order, values.get(order.name) ?? "", outcome);
}

interface Order extends Pick<CommandAddress, "command" | "do" | "name" | "arguments"> {
  readonly values: readonly (readonly [string, string])[];
}

function givenOf(address: CommandAddress, value: Value): Order {
  return { ...address, values: [[address.name, rsmpText(value)]] };
}

/** Both need the second security code (SXL). */
function askedOf(session: Session, address: RequestedAddress, value: Value): Order {
  const order = commandOf(address, value);
  if (typeof order === "string") throw session.error("unsupported", order);
  return { ...order, arguments: { securityCode: { securityCode: "level2" } } };
}

/** Values are texts in RSMP, booleans "True" and "False" (SXL definitions). */
function rsmpText(value: Value): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

function otherArguments(
  session: Session,
  settings: Settings,
  given: CommandAddress["arguments"],
): [string, string][] {
  return Object.entries(given).map(([name, argument]) => {
    if (typeof argument === "string") return [name, argument];
    const code = settings.securityCodes[argument.securityCode];
    if (code === undefined)
      throw session.error("denied", `securityCodes.${argument.securityCode} is not set`);
    return [name, code];
  });
}

function isResponse(message: SiteMessage, component: string, code: string): boolean {
  return (
    message.kind === "command" &&
    message.component === component &&
    message.values.every((value) => value.code === code)
  );
}

/** The site answers with the value as it is now. */
function check(
  session: Session,
  { command, name }: Order,
  given: string,
  outcome: Outcome | undefined,
): void {
  const refuse = (why: string): DeviceError => session.error("rejected", `${command}: ${why}`);
  if (outcome === undefined) throw refuse("no answer");
  if ("rea" in outcome) throw refuse(outcome.rea);
  const { values } = outcome.message as CommandMessage;
  const wrong = values.find(({ quality }) => quality === "undefined" || quality === "unknown");
  if (wrong?.quality === "undefined") throw refuse("the component does not exist");
  if (wrong !== undefined) throw refuse("the site does not know the command");
  const own = values.find((value) => value.name === name);
  // It has answered the command, and may have done it.
  const doubt = (why: string): DeviceError => session.error("garbage", `${command}: ${why}`);
  if (own === undefined) throw doubt(`the answer leaves out ${name}`);
  if (own.quality !== "recent") throw doubt(`${name} is ${own.quality}`);
  if (own.value !== given) throw doubt(`${name} is ${own.value ?? "nothing"}, not ${given}`);
}

async function tellAlarm(
  session: Session,
  { alarmCommand, alarm, component = session.main }: AlarmCommandAddress,
  signal: AbortSignal,
): Promise<void> {
  if (!atLeast(session.version, alarmCommandsSince[alarmCommand]))
    throw session.error("unsupported", `${alarmCommand} of alarms is not in RSMP ${session.version}`);
  const body = {
    ntsOId: "",
    xNId: "",
    cId: component,
    aCId: alarm,
    xACId: "",
    xNACId: "",
    aSp: alarmCommand,
    // The specification's examples have no time here, its published schema demands one.
    ...(alarmCommand === "Acknowledge" ? { aTs: new Date().toISOString() } : {}),
  };
  const outcome = await session.ask("Alarm", body, undefined, signal);
  if (outcome !== undefined && "rea" in outcome)
    throw session.error("rejected", `${alarmCommand} ${alarm}: ${outcome.rea}`);
}
