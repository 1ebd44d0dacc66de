import type { Rule } from "../rule.ts";
import type { lineCauses } from "./line-error-texts.ts";

export const lineRules: Rule<keyof typeof lineCauses>[] = [
  {
    cause: "KERB-LINE-SETTINGS",
    on: ["line", "protocol"],
    when: { "line.answersAt": { present: true } },
    seen: {
      en: "{line.there} answers at {line.answersAt}; the site file says {unit} at {line.settings}, where nobody does",
      vi: "{line.there} trả lời ở {line.answersAt}; tệp cấu hình ghi {unit} ở {line.settings}, ở đó không ai trả lời",
    },
  },
  {
    cause: "KERB-LINE-DEAD",
    on: ["port", "line", "protocol"],
    when: { "group.kind": "line" },
    seen: {
      en: "all {group.size} units on {group.at} are lost since the same minute: {group.devices}",
      vi: "cả {group.size} unit trên {group.at} mất liên lạc từ cùng một phút: {group.devices}",
    },
  },
  {
    cause: "KERB-LINE-MISSING",
    on: "port",
    when: { "serial.port": "missing" },
    seen: { en: "there is no {place}", vi: "không có {place}" },
  },
  {
    cause: "KERB-LINE-NOT-PORT",
    on: "port",
    when: { "serial.port": "no-port" },
    seen: {
      en: "{place} cannot be set up as a serial port",
      vi: "{place} không dùng được như cổng nối tiếp",
    },
  },
  {
    cause: "KERB-LINE-PERMISSION",
    on: "port",
    when: { "serial.port": "denied" },
    seen: { en: "no permission for {place}", vi: "không có quyền với {place}" },
  },
  {
    cause: "KERB-LINE-BUSY",
    on: "port",
    when: { "serial.port": "busy" },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-LINE-GONE",
    on: ["port", "line", "protocol"],
    when: { "serial.port": "gone" },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-LINE-CONFLICT",
    on: "port",
    when: { "line.conflict": true },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-LINE-BABBLE",
    on: "line",
    when: { "line.babbles": true },
    seen: { en: "bytes without a pause on {place}", vi: "byte đến không ngừng trên {place}" },
  },
  {
    cause: "KERB-LINE-GARBAGE",
    on: ["line", "protocol"],
    when: { error: "garbage", "serial.strayBytes": { atLeast: 1 } },
    seen: {
      en: "{serial.strayBytes} bytes came on {place}, none of them an answer",
      vi: "{serial.strayBytes} byte đến trên {place}, không byte nào là câu trả lời",
    },
  },
  {
    cause: "KERB-LINE-SILENT",
    on: "protocol",
    when: { error: "silent", "line.tried": { present: true } },
    seen: {
      en: "{place}: not a byte comes back with {line.settings}, nor with {line.tried}",
      vi: "{place}: không có byte nào trả về với {line.settings}, cũng không với {line.tried}",
    },
  },
  {
    cause: "KERB-LINE-SILENT",
    on: "protocol",
    when: { error: "silent", "line.settings": { present: true } },
    seen: {
      en: "{place} opens with {line.settings}, and not a byte comes back",
      vi: "{place} mở được với {line.settings}, nhưng không có byte nào trả về",
    },
  },
];
