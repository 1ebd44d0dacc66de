import type { Rule } from "../rule.ts";
import type { modbusCauses } from "./modbus-error-texts.ts";

export const modbusRules: Rule<keyof typeof modbusCauses>[] = [
  {
    cause: "KERB-MB-FRAMING",
    on: ["protocol", "line"],
    when: { "modbus.answersAs": { present: true } },
    seen: {
      en: "no answer as {modbus.transport}; asked as {modbus.answersAs}, {unit} answers",
      vi: "không trả lời kiểu {modbus.transport}; hỏi kiểu {modbus.answersAs} thì {unit} trả lời",
    },
  },
  {
    cause: "KERB-MB-TARGET",
    on: "protocol",
    when: { "modbus.exception": 11 },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-MB-UNIT",
    on: "protocol",
    when: { error: "silent", "modbus.answeringUnit": { present: true } },
    seen: {
      en: "{unit} at {place} is silent, unit {modbus.answeringUnit} answers a probe there",
      vi: "{unit} tại {place} im lặng, unit {modbus.answeringUnit} ở đó trả lời khi thử",
    },
  },
  {
    cause: "KERB-MB-UNIT",
    on: "protocol",
    when: { error: "silent", "samePlace.online": { atLeast: 1 } },
    seen: {
      en: "{unit} at {place} is silent, {samePlace.example} there is being read",
      vi: "{unit} tại {place} im lặng, {samePlace.example} ở đó vẫn đọc được",
    },
  },
  {
    cause: "KERB-MB-NOISE",
    on: ["line", "protocol"],
    when: { "modbus.crcErrors": true },
    seen: {
      en: "{unit} answers, and the checksum of its answers is wrong",
      vi: "{unit} có trả lời, nhưng sai mã kiểm tra (CRC)",
    },
  },
  {
    cause: "KERB-MB-NOT-MODBUS",
    on: "protocol",
    when: { "modbus.notModbus": true },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-MB-LINE-GARBAGE",
    on: ["line", "protocol"],
    when: { error: "garbage", "modbus.strayBytes": { atLeast: 1 } },
    seen: {
      en: "{modbus.strayBytes} bytes came, none of them an answer of {unit}",
      vi: "{modbus.strayBytes} byte đến, không byte nào là câu trả lời của {unit}",
    },
  },
  {
    cause: "KERB-MB-FUNCTION",
    on: "protocol",
    when: { "modbus.exception": 1 },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-MB-FUNCTION",
    on: "values",
    when: { "values.none": true, "values.code": ["modbus-1", "unsupported-function"] },
    seen: {
      en: "{values.bad} of {values.total} points: {values.reason}",
      vi: "{values.bad} trên {values.total} điểm: {values.reason}",
    },
  },
  {
    cause: "KERB-MB-REGISTERS",
    on: "values",
    when: { "values.none": true, "values.code": ["modbus-2", "modbus-3"] },
    seen: {
      en: "{values.bad} of {values.total} points refused, such as {values.point}: {values.reason}",
      vi: "{values.bad} trên {values.total} điểm bị từ chối, ví dụ {values.point}: {values.reason}",
    },
  },
  {
    cause: "KERB-MB-SILENT",
    on: "protocol",
    when: { error: "silent", "net.tcp": "open", "late.answerMs": { present: false } },
    seen: {
      en: "{place} takes connections, {unit} does not answer, nor does any other that was tried",
      vi: "{place} nhận kết nối, {unit} không trả lời, các unit khác đã thử cũng không",
    },
  },
];
