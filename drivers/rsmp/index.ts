import type { Driver } from "../../gateway/driver.ts";
import { RsmpConnection } from "./connection.ts";
import { Listener } from "./listener.ts";
import type { Address, Settings } from "./settings.ts";

/** RSMP 3.1.2 to 3.2.2, the supervisor's side: listens for sites, reads, subscribes, takes alarms, commands. */
export const driver: Driver<Settings, Address> = {
  name: "rsmp",

  async connect(settings, context, signal) {
    const listener = await Listener.join(settings, context, signal);
    try {
      const session = await listener.attach(settings.siteId, settings.wait, signal);
      return new RsmpConnection(listener, session, settings);
    } catch (error) {
      listener.leave(settings.siteId);
      throw error;
    }
  },

  describe(address) {
    if ("status" in address) {
      const { status, name, component, of, item } = address;
      const part = of === undefined ? "" : ` ${of === "chars" ? "character" : "entry"} ${item ?? 1}`;
      return `${status} ${name}${part}${onComponent(component)}`;
    }
    if ("aggregated" in address) {
      const { aggregated, bit, component } = address;
      return `aggregated status ${aggregated}${bit === undefined ? "" : ` bit ${bit}`}${onComponent(component)}`;
    }
    if ("requested" in address)
      return `${address.requested === "plan" ? "M0002 S0014" : "M0001 S0011"}${onComponent(address.component)}`;
    if ("alarmCommand" in address)
      return `${address.alarmCommand} ${address.alarm}${onComponent(address.component)}`;
    if ("command" in address)
      return `${address.command} ${address.do} ${address.name}${onComponent(address.component)}`;
    if ("alarm" in address) return `alarm ${address.alarm}${onComponent(address.component)}`;
    return "field" in address ? `alarm's ${address.field}` : `alarm's argument ${address.argument}`;
  },
};

function onComponent(component: string | undefined): string {
  return component === undefined ? "" : ` of ${component}`;
}
