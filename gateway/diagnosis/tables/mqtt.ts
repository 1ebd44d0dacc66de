import type { Rule } from "../rule.ts";
import type { mqttCauses } from "./mqtt-error-texts.ts";

const seen = { en: "{message}", vi: "{message}" };

export const mqttRules: Rule<keyof typeof mqttCauses>[] = [
  {
    cause: "KERB-MQTT-BROKER",
    on: ["network", "port", "protocol"],
    when: { "group.kind": "broker" },
    seen: {
      en: "all {group.size} devices behind {group.at} are lost since the same minute: {group.devices}",
      vi: "cả {group.size} thiết bị sau {group.at} mất liên lạc từ cùng một phút: {group.devices}",
    },
  },
  { cause: "KERB-MQTT-LOGIN", on: "login", when: { "mqtt.refused": "password" }, seen },
  { cause: "KERB-MQTT-AUTHORISATION", on: "login", when: { "mqtt.refused": "authorisation" }, seen },
  { cause: "KERB-MQTT-TOPIC-RIGHTS", on: "login", when: { "mqtt.refused": "subscribe" }, seen },
  { cause: "KERB-MQTT-ID", on: "login", when: { "mqtt.refused": ["id", "id-in-use"] }, seen },
  { cause: "KERB-MQTT-VERSION", on: "protocol", when: { "mqtt.refused": "version" }, seen },
  { cause: "KERB-MQTT-UNAVAILABLE", on: "protocol", when: { "mqtt.refused": "unavailable" }, seen },
  {
    cause: "KERB-MQTT-NOT-MQTT",
    on: "protocol",
    when: { "mqtt.notMqtt": true, tls: { present: false } },
    seen,
  },
  { cause: "KERB-MQTT-CLOSES", on: "protocol", when: { "mqtt.closes": true }, seen },
  { cause: "KERB-MQTT-MUTE", on: "protocol", when: { "mqtt.mute": true }, seen },
  { cause: "KERB-MQTT-OFFLINE", on: "values", when: { "mqtt.saysOffline": true }, seen },
  {
    cause: "KERB-MQTT-DEVICE-SILENT",
    on: "values",
    when: { "values.heard": 0 },
    seen: {
      en: "the broker at {place} lets kerb listen, and nothing of this device comes",
      vi: "broker tại {place} cho nghe, nhưng không có tin nào của thiết bị này",
    },
  },
  {
    cause: "KERB-MQTT-DEVICE-SILENT",
    on: ["protocol", "values"],
    when: { error: "silent", "net.tcp": "open", "mqtt.mute": { present: false } },
    seen,
  },
];
