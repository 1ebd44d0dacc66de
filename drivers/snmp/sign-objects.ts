/** Objects of NTCIP 1203 v03.05 that kerb uses, whole. */

const dms = "1.3.6.1.4.1.1206.4.2.3";

export const memoryTypes = { changeable: 3, volatile: 4, blank: 7 } as const;

/** dmsMessageStatus, 5.6.8.9. */
export const status = {
  modifying: 2,
  validating: 3,
  valid: 4,
  modifyRequest: 6,
  validateRequest: 7,
} as const;

/** MULTI of the message that is shown: dmsMessageMultiString of currentBuffer, row 1. */
export const messageOid = `${dms}.5.8.1.3.5.1`;

/** One column of one row of dmsMessageTable. */
export const column = (number: number, memory: number, row: number): string =>
  `${dms}.5.8.1.${number}.${memory}.${row}`;

export const columns = {
  multi: 3,
  owner: 4,
  crc: 5,
  beacon: 6,
  pixelService: 7,
  priority: 8,
  status: 9,
} as const;

export const objects = {
  fontNumber: `${dms}.3.2.1.2`,
  characterWidth: `${dms}.3.4.1.2`,
  defaultFont: `${dms}.4.5.0`,
  supportedTags: `${dms}.4.14.0`,
  pagesMax: `${dms}.4.15.0`,
  lengthMax: `${dms}.4.16.0`,
  validateError: `${dms}.5.9.0`,
  activate: `${dms}.6.3.0`,
  source: `${dms}.6.5.0`,
  activateError: `${dms}.6.17.0`,
  syntaxError: `${dms}.6.18.0`,
  syntaxPosition: `${dms}.6.19.0`,
  otherError: `${dms}.6.20.0`,
  errorCode: `${dms}.6.24.0`,
  activateState: `${dms}.6.25.0`,
} as const;

export const validateErrors = ["", "other", "none", "beacons", "pixelService", "syntaxMULTI"];

export const activateErrors = [
  "",
  "other",
  "none",
  "priority",
  "messageStatus",
  "messageMemoryType",
  "messageNumber",
  "messageCRC",
  "syntaxMULTI",
  "localMode",
  "centralMode",
  "centralOverrideMode",
];

export const syntaxErrors = [
  "",
  "other",
  "none",
  "unsupportedTag",
  "unsupportedTagValue",
  "textTooBig",
  "fontNotDefined",
  "characterNotDefined",
  "fieldDeviceNotExist",
  "fieldDeviceError",
  "flashRegionError",
  "tagConflict",
  "tooManyPages",
  "fontVersionID",
  "graphicID",
  "graphicNotDefined",
];
