import type { StartBroker } from "../../cassette/playing.ts";

/** The simulators' broker, loaded when one is wanted. Rejects with the socket's error when the place is taken. */
export const startBroker: StartBroker = async (options) => {
  const name = "mqtt";
  const simulator = (await import(`../../../simulators/${name}/index.ts`)) as { startBroker: StartBroker };
  return simulator.startBroker(options);
};
