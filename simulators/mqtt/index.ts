export { startBroker, type Broker, type BrokerOptions } from "./broker.ts";
export type { BrokerFault } from "./faults.ts";
export { start } from "./device.ts";
