import type { Facts, Inquiry } from "../../gateway/driver.ts";
import { Camera } from "./camera.ts";
import { clockFacts } from "./clock-facts.ts";
import type { Settings } from "./settings.ts";

const askMsUsual = 3000;

/** The camera's clock, which it tells without a login: a token with a wrong time is refused like a wrong password. */
export async function look(
  settings: Settings,
  { failure, askMs = askMsUsual, signal }: Inquiry<Settings>,
): Promise<Facts> {
  if (failure.code !== "denied") return {};
  const camera = new Camera(settings);
  const skewMs = await camera.measureClock(signal, askMs).catch(() => undefined);
  return skewMs === undefined ? { "clock.told": false } : clockFacts(skewMs);
}
