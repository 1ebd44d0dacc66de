import type { CauseCode } from "./error-texts.ts";
import type { Rule as AnyRule } from "./rule.ts";
import { deviceRules } from "./tables/device.ts";
import { httpRules } from "./tables/http.ts";
import { lineRules } from "./tables/line.ts";
import { modbusRules } from "./tables/modbus.ts";
import { mqttRules } from "./tables/mqtt.ts";
import { networkRules } from "./tables/network.ts";
import { onvifRules } from "./tables/onvif.ts";
import { opcuaRules } from "./tables/opcua.ts";
import { rsmpRules } from "./tables/rsmp.ts";
import { scheduleRules } from "./tables/schedule.ts";
import { snmpRules } from "./tables/snmp.ts";
import { tlsRules } from "./tables/tls.ts";

type Rule = AnyRule<CauseCode>;

const own: Readonly<Record<string, readonly Rule[]>> = {
  modbus: modbusRules,
  http: httpRules,
  onvif: onvifRules,
  snmp: snmpRules,
  opcua: opcuaRules,
  mqtt: mqttRules,
  rsmp: rsmpRules,
};

/**
 * The rules for devices of one driver, in the order in which they are tried: what is lost together, then what the
 * protocol says, then what holds for every wire. The first failing rung of the ladder has picked its rules before.
 */
export function rulesOf(driver: string): readonly Rule[] {
  const groups = networkRules.filter(({ when }) => "group.kind" in when);
  const rest = networkRules.filter(({ when }) => !("group.kind" in when));
  return [
    ...groups,
    ...(own[driver] ?? []),
    ...tlsRules,
    ...lineRules,
    ...rest,
    ...deviceRules,
    ...scheduleRules,
  ];
}
