import type { Finding } from "./findings.ts";

/** A clean profile, and what is wrong with it after one change each. */

/** A profile without a fault. */
export const clean = `version: 1
vendor: Acme
model: Level
class: water-level
driver: modbus
status: community
firmware: ">=1.0 <3.0"
sources:
  manual: { title: Manual of the Acme Level }
settings: { functions: [3], maxRegistersPerRead: 4 }
identify:
  serial: { table: holding, register: 40, type: text, length: 4 }
  expect:
    - { address: { table: holding, register: 2 }, equals: 7, source: manual }
points:
  waterLevel:
    address: { table: holding, register: 0, type: int16 }
    label: { en: Water level, vi: Mực nước }
    unit: m
    scale: 0.001
    decimals: 3
    limits: [-0.2, 30]
    typical: [0.8, 2.4]
    sentinels: [{ raw: -32768, code: none, reason: no echo }]
    source: "manual: p. 1"
  native.mode:
    address: { table: holding, register: 2 }
    label: { en: Mode, vi: Chế độ }
    kind: text
    values: { "7": measuring, "8": paused }
    fixed: 7
    source: "manual: p. 2; its names manual: p. 3"
  native.stock:
    address: { table: holding, register: 4, type: uint32 }
    label: { en: Stock, vi: Lượng trữ }
    scaleFactor: native.power
    typical: [1, 2]
    source: manual
  native.power:
    address: { table: holding, register: 6, type: int16 }
    label: { en: Power of ten, vi: Số mũ mười }
    publish: false
    fixed: 0
    source: manual
  native.door:
    address: { table: holding, register: 9, type: bool, bit: 3 }
    label: { en: Door, vi: Cửa }
    kind: boolean
    fixed: 0
    source: manual
  native.early:
    address: { table: holding, register: 12 }
    label: { en: Battery, vi: Mức pin }
    fixed: 1
    when: "<2.0"
    source: manual
  native.later:
    address: { table: holding, register: 12 }
    label: { en: Battery, vi: Mức pin }
    scale: 0.5
    fixed: 1
    when: ">=2.0"
    source: manual
alarms:
  native.doorOpen: { point: native.door, severity: low }
quirks:
  - { id: slow, text: It is slow., source: manual }
`;

/** The rule, what is written instead of what, and the place and beginning of the sentence. */
type Plant = [rule: Finding["rule"], from: string, to: string, head: string];

const stock = "{ table: holding, register: 4, type: uint32 }";
const lastPoint = "alarms:\n";
const extra = (more: string): string => `  native.extra:
    label: { en: Extra, vi: Bổ sung }
    source: manual
    fixed: 0
    ${more}
alarms:
`;
const record = (more: string): string => `records:
  native.filled:
    address: { table: holding, register: 20 }
    ${more}
alarms:
`;

export const plants: Plant[] = [
  [
    "file",
    "unit: m\n",
    "unit: metre\n",
    '19:11 "metre" is not a unit that kerb knows (UCUM, case-sensitive)',
  ],
  ["file", "    unit: m\n", "    uint: m\n", '19:5 unknown key "uint" - did you mean "unit"?'],
  ["file", "driver: modbus", "driver: modbuss", '5:9 there is no driver "modbuss" - did you mean "modbus"?'],
  [
    "settings",
    "functions: [3]",
    "functions: [99]",
    "10:25 expected 1, 2, 3, 4, 5, 6, 15, 16, 22 or 43, found 99",
  ],
  ["settings", "functions:", "function:", '10:13 unknown key "function" - did you mean "functions"?'],
  [
    "address",
    stock,
    "{ table: holding, registr: 4 }",
    '34:32 unknown key "registr" - did you mean "register"?',
  ],
  [
    "address",
    "register: 40, type: text, length: 4",
    "register: 40, type: text",
    "12:3 how many registers hold the text (found nothing)",
  ],
  [
    "reach",
    "functions: [3]",
    "functions: [4]",
    '12:3 "identify.serial" is never read: it needs function 3, which is not among the functions of the settings',
  ],
  [
    "reach",
    "maxRegistersPerRead: 4",
    "maxRegistersPerRead: 1",
    '34:14 "native.stock" is never read: it takes 2 registers, and the settings allow 1 in one read',
  ],
  [
    "reach",
    "maxRegistersPerRead: 4",
    "maxRegistersPerRead: 4, evenCount: true",
    '17:14 "waterLevel" is never read: the settings say evenCount, and it begins or ends at an odd register',
  ],
  [
    "reach",
    stock,
    "{ table: holding, register: 65535, type: uint32 }",
    '34:14 "native.stock" is never read: it ends beyond register 65535',
  ],
  ["reach", 'firmware: ">=1.0 <3.0"', 'firmware: ">=2 <1"', "7:11 no firmware lies in >=2 <1"],
  ["reach", 'when: "<2.0"', 'when: "<1.0"', "55:11 no firmware of the profile (>=1.0 <3.0) lies in <1.0"],
  ["reach", 'when: "<2.0"', 'when: ">=2.0 <1.5"', "55:11 no firmware lies in >=2.0 <1.5"],
  [
    "same",
    stock,
    "{ table: holding, register: 0, type: int16 }",
    '34:5 "native.stock" and "waterLevel" read the same address and mean different things',
  ],
  [
    "same",
    stock,
    "{ table: holding, register: 1, type: uint32 }",
    '34:5 "native.stock" and "native.mode" overlap: holding 1 to 2 and holding 2',
  ],
  [
    "same",
    lastPoint,
    extra("address: { table: holding, register: 6, type: int16 }"),
    '68:5 "native.extra" is the same value as "native.power": leave one of them out',
  ],
  ["same", "register: 40, type", "register: 1, type", '12:3 "identify.serial" and "native.mode" overlap'],
  [
    "same",
    "equals: 7",
    "equals: 8",
    '14:9 "identify.expect.0" and "native.mode" overlap: holding 2 and holding 2',
  ],
  [
    "firmware",
    'when: ">=2.0"',
    'when: ">=1.9"',
    '62:11 "native.later" and "native.early" are both "Battery" for some firmware: >=1.9 and <2.0 overlap',
  ],
  [
    "firmware",
    'when: ">=2.0"',
    'when: ">=2.2"',
    '62:11 no point is "Battery" for the firmware >=2.0 <2.2: the ranges leave a gap',
  ],
  [
    "kind",
    "type: bool, bit: 3",
    "type: text, length: 1",
    "46:5 the address gives a text, and this is a boolean",
  ],
  [
    "limits",
    "limits: [-0.2, 30]",
    "limits: [-0.2, 33]",
    "22:13 the limits -0.2 … 33 go beyond -32.768 … 32.767, all that the raw type and the scale can give",
  ],
  [
    "limits",
    "limits: [-0.2, 30]",
    "limits: [30, -0.2]",
    "22:13 the limits 30 … -0.2 begin where they end or later: write the lower one first",
  ],
  ["limits", "scale: 0.001", "scale: 0", "20:12 with the scale 0 every value is the same"],
  [
    "typical",
    "typical: [0.8, 2.4]",
    "typical: [0.8, 31]",
    "23:14 the typical values 0.8 … 31 lie outside the limits -0.2 … 30",
  ],
  [
    "typical",
    "typical: [1, 2]\n",
    "typical: [2, 1]\n",
    "37:14 the typical values 2 … 1 end before they begin: write the lower one first",
  ],
  [
    "typical",
    lastPoint,
    extra("address: { table: holding, register: 15 }\n    typical: [-1, 1]"),
    "69:14 the typical values -1 … 1 lie outside what the raw type can give 0 … 65535",
  ],
  [
    "sentinel",
    "raw: -32768,",
    "raw: -32769,",
    "24:24 the raw value -32769 never comes: the type holds -32768 … 32767",
  ],
  [
    "sentinel",
    "raw: -32768,",
    "raw: 1000,",
    "24:24 the raw value 1000 means no value, and is 1 inside the limits -0.2 … 30",
  ],
  [
    "sentinel",
    "reason: no echo }]",
    "reason: no echo }, { raw: -32768, code: x, reason: y }]",
    "24:70 the raw value -32768 is a sentinel already",
  ],
  [
    "sentinel",
    "fixed: 7\n",
    "fixed: 7\n    sentinels: [{ raw: 8, code: off, reason: off }]\n",
    "32:24 the raw value 8 has a name under values as well",
  ],
  [
    "decimals",
    "decimals: 3",
    "decimals: 2",
    "21:15 whole raw numbers with the scale 0.001 have 3 decimals, not 2",
  ],
  [
    "decimals",
    "typical: [1, 2]",
    "typical: [1, 2]\n    decimals: 0",
    '38:15 the scale factor "native.power" decides how many decimals there are: leave them out',
  ],
  ["values", '"8": paused', '"8": measuring', '30:31 the raw values 7 and 8 both mean "measuring"'],
  [
    "values",
    '"8": paused',
    '"7.0": paused',
    "30:31 the raw value 7.0 is the same number as 7, which has a name already",
  ],
  [
    "values",
    '"8": paused',
    '"70000": paused',
    "30:31 the raw value 70000 never comes: the type holds 0 … 65535",
  ],
  ["values", '"8": paused', '"8": " "', "30:31 the raw value 8 has no name"],
  ["label", "    label: { en: Mode, vi: Chế độ }\n", "", "26:3 there is no English label"],
  ["label", "vi: Chế độ", 'vi: " "', "28:28 there is no Vietnamese label"],
  ["label", "vi: Chế độ", "vi: Che do", "28:28 the Vietnamese label has none of the marks of Vietnamese"],
  [
    "label",
    "vi: Chế độ",
    `vi: ${"Chế độ".normalize("NFD")}`,
    "28:28 the Vietnamese label is written with combining marks: save it composed (NFC)",
  ],
  [
    "evidence",
    '    source: "manual: p. 1"\n',
    "",
    '16:3 it does not say where it was read: write "source", or "certainty: to-verify" where no source says so',
  ],
  [
    "evidence",
    '"manual: p. 1"',
    '"manuel: p. 1"',
    '25:13 there is no source "manuel" under sources - did you mean "manual"?',
  ],
  [
    "evidence",
    '"manual: p. 1"',
    "page 1",
    '25:13 it names no id under sources: name one, or write "certainty: to-verify"',
  ],
  [
    "evidence",
    '"manual: p. 1"',
    '"manual: to verify"',
    '25:13 it says that it is to be verified, and not "certainty: to-verify"',
  ],
  ["evidence", "equals: 7, source: manual", "equals: 7", "14:7 it does not say where it was read"],
  [
    "evidence",
    "It is slow., source: manual",
    "It is slow., source: hearsay",
    "67:44 it names no id under sources",
  ],
  [
    "evidence",
    lastPoint,
    record("kind: transaction\n    fields: { native.a: { address: { table: holding, register: 21 } } }"),
    "65:3 it does not say where it was read",
  ],
  [
    "status",
    "status: community",
    "status: field-verified",
    '6:9 "field-verified" needs captured frames: a file under drivers/modbus/frames with a line "captured: …" that names the model',
  ],
  [
    "source",
    "sources:\n",
    "sources:\n  other: { title: Other }\n",
    '9:3 no line names the source "other": cite it where it was read, or leave it out',
  ],
  [
    "model",
    "  waterLevel:",
    "  waterLevl:",
    '16:3 waterLevl: no name of the model water-level - did you mean "waterLevel"?',
  ],
  ["model", "unit: m\n", "unit: km\n", "19:11 waterLevel: its unit is km, and m in the model: scale it"],
  [
    "told",
    "point: native.door, severity: low }",
    "point: native.door, severity: low }\n  native.ajar: { point: native.door }",
    '66:25 the point "native.door" is the alarm "native.doorOpen" already',
  ],
  [
    "told",
    "    kind: boolean\n",
    '    kind: boolean\n    values: { "0": shut, "1": open }\n',
    '66:29 the point "native.door" has names under values: an alarm needs true and false',
  ],
  [
    "told",
    lastPoint,
    record("kind: transaction\n    severity: low\n    fields: {}\n    source: manual"),
    "68:15 only an alarm has a severity, and this is a transaction",
  ],
  [
    "told",
    lastPoint,
    record(
      "kind: transaction\n    active: native.a\n    fields: { native.a: { address: { table: holding, register: 21 }, kind: boolean } }\n    source: manual",
    ),
    '68:13 only an alarm lasts: a transaction has no "active"',
  ],
  [
    "told",
    lastPoint,
    record("kind: alarm\n    active: active\n    fields: {}\n    source: manual"),
    '68:13 there is no boolean field "active" that says whether it lasts',
  ],
  [
    "told",
    lastPoint,
    record(
      "kind: transaction\n    fields: { native.a: { address: { table: holding, register: 21 } }, native.b: { address: { table: holding, register: 21 } } }\n    source: manual",
    ),
    '68:84 "native.b" is the same value as "native.a": leave one of them out',
  ],
  [
    "told",
    lastPoint,
    record("kind: alarm\n    fields: {}\n    source: manual").replace("native.filled", "native.doorOpen"),
    '71:3 "native.doorOpen" is a record as well: the device tells it, or shows it by a point, not both',
  ],
  [
    "factor",
    "publish: false\n",
    "publish: true\n",
    '36:18 "native.power" is a power of ten: it needs "publish: false", the scale 1 and the offset 0',
  ],
  [
    "factor",
    "register: 6, type: int16",
    "register: 9, type: int16",
    '36:18 "native.power" does not fit into one read with "native.stock"',
  ],
  [
    "factor",
    "scaleFactor: native.power",
    "scaleFactor: native.powr",
    '36:18 unknown point "native.powr" - did you mean "native.power"?',
  ],
  [
    "pretend",
    "    typical: [1, 2]\n",
    "",
    '33:3 a simulator has nothing to show for "native.stock": write typical, fixed or values',
  ],
  [
    "pretend",
    "publish: false\n    fixed: 0",
    "publish: false\n    fixed: 70000",
    "43:12 the raw value 70000 cannot be shown: the type holds -32768 … 32767",
  ],
];
