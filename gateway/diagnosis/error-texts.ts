import { deviceCauses } from "./tables/device-error-texts.ts";
import { httpCauses } from "./tables/http-error-texts.ts";
import { lineCauses } from "./tables/line-error-texts.ts";
import { modbusCauses } from "./tables/modbus-error-texts.ts";
import { mqttCauses } from "./tables/mqtt-error-texts.ts";
import { networkCauses } from "./tables/network-error-texts.ts";
import { onvifCauses } from "./tables/onvif-error-texts.ts";
import { opcuaCauses } from "./tables/opcua-error-texts.ts";
import { rsmpCauses } from "./tables/rsmp-error-texts.ts";
import { scheduleCauses } from "./tables/schedule-error-texts.ts";
import { snmpCauses } from "./tables/snmp-error-texts.ts";
import { tlsCauses } from "./tables/tls-error-texts.ts";

/** Every cause that `kerb why` can name, with its texts. A code is never used again for another meaning. */
export const diagnosisErrors = {
  ...networkCauses,
  ...lineCauses,
  ...tlsCauses,
  ...deviceCauses,
  ...scheduleCauses,
  ...modbusCauses,
  ...httpCauses,
  ...onvifCauses,
  ...snmpCauses,
  ...opcuaCauses,
  ...mqttCauses,
  ...rsmpCauses,
};

export type CauseCode = keyof typeof diagnosisErrors;
