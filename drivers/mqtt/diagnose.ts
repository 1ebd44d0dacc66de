import {
  type DevicePlace,
  type Diagnosis,
  type Facts,
  type Failure,
  tlsFacts,
} from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why a device behind a broker fails. */

function place({ host, port, tls }: Settings): DevicePlace {
  return { over: "tcp", host, port: port ?? (tls === undefined ? 1883 : 8883), shared: "broker" };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/bad user ?name or password/i, { "mqtt.refused": "password", rung: "login" }],
  [/not authori[sz]ed/i, { "mqtt.refused": "authorisation", rung: "login" }],
  [
    /unacceptable protocol version|unsupported protocol version/i,
    { "mqtt.refused": "version", rung: "protocol" },
  ],
  [/identifier (rejected|not valid)/i, { "mqtt.refused": "id", rung: "login" }],
  [/server (unavailable|busy)/i, { "mqtt.refused": "unavailable", rung: "protocol" }],
  [/another client uses our id/, { "mqtt.refused": "id-in-use", rung: "login" }],
  [/does not let us listen/, { "mqtt.refused": "subscribe", rung: "login" }],
  [/before it let us in/, { "mqtt.closes": true, rung: "protocol" }],
  [/did not let us in within|does not answer pings/, { "mqtt.mute": true, rung: "protocol" }],
  [/not MQTT/, { "mqtt.notMqtt": true, rung: "protocol" }],
  [/says that it is/, { "mqtt.saysOffline": true, rung: "values" }],
  [/is dead \(NDEATH\)|DDEATH/, { "mqtt.saysOffline": true, rung: "values" }],
];

function facts({ message, code }: Failure, { username }: Settings): Facts {
  return {
    ...(code === "denied" || code === "garbage" ? tlsFacts(message) : {}),
    "mqtt.hasLogin": username !== undefined,
    ...words.find(([pattern]) => pattern.test(message))?.[1],
  };
}

export const diagnosis: Diagnosis<Settings> = { place, facts };
