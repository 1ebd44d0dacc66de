import type { Rule as AnyRule } from "./rule.ts";
import { deviceCauses, deviceRules } from "./tables/device.ts";
import { httpCauses, httpRules } from "./tables/http.ts";
import { lineCauses, lineRules } from "./tables/line.ts";
import { modbusCauses, modbusRules } from "./tables/modbus.ts";
import { mqttCauses, mqttRules } from "./tables/mqtt.ts";
import { networkCauses, networkRules } from "./tables/network.ts";
import { onvifCauses, onvifRules } from "./tables/onvif.ts";
import { opcuaCauses, opcuaRules } from "./tables/opcua.ts";
import { rsmpCauses, rsmpRules } from "./tables/rsmp.ts";
import { snmpCauses, snmpRules } from "./tables/snmp.ts";
import { tlsCauses, tlsRules } from "./tables/tls.ts";

/** Every cause that `kerb why` can name, with its texts. A code is never used again for another meaning. */
export const diagnosisErrors = {
  ...networkCauses,
  ...lineCauses,
  ...tlsCauses,
  ...deviceCauses,
  ...modbusCauses,
  ...httpCauses,
  ...onvifCauses,
  ...snmpCauses,
  ...opcuaCauses,
  ...mqttCauses,
  ...rsmpCauses,
};

export type CauseCode = keyof typeof diagnosisErrors;

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
  return [...groups, ...(own[driver] ?? []), ...tlsRules, ...lineRules, ...rest, ...deviceRules];
}
