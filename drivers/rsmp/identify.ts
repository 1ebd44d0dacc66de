import type { Identity } from "../../gateway/driver.ts";
import type { Session } from "./session.ts";

/**
 * Who the site is: its Version message, and S0095 of the traffic-light SXL ("manufacturer, product, version").
 * `firmware` is the SXL's version, because that is what the meaning of points depends on; the controller's own is
 * `more.controller`. The site's id is what the settings ask for and tells no two units apart: its certificate does,
 * and maker and model.
 */
export async function identify(session: Session, signal: AbortSignal): Promise<Identity> {
  const component = session.main;
  const { certificate } = session;
  const outcome = await session.ask(
    "StatusRequest",
    { ntsOId: "", xNId: "", cId: component, sS: [{ sCI: "S0095", n: "status" }] },
    (message) =>
      message.kind === "status" &&
      message.type === "StatusResponse" &&
      message.component === component &&
      message.values.every(({ code }) => code === "S0095"),
    signal,
  );
  const identity: Identity = {
    firmware: session.sxl,
    more: {
      site: session.siteId,
      rsmp: session.version,
      sxl: session.sxl,
      ...(certificate === undefined ? {} : { certificate }),
    },
  };
  if (outcome === undefined || !("message" in outcome) || outcome.message.kind !== "status") return identity;
  const value = outcome.message.values[0]?.value;
  if (typeof value !== "string" || value === "") return identity;
  const [vendor = "", model = "", ...rest] = value.split(",").map((part) => part.trim());
  if (rest.length === 0) return { ...identity, more: { ...identity.more, controller: value } };
  return {
    ...identity,
    ...(vendor === "" ? {} : { vendor }),
    ...(model === "" ? {} : { model }),
    more: { ...identity.more, controller: rest.join(", ") },
  };
}
