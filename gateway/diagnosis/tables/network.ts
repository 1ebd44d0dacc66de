import type { Rule } from "../rule.ts";
import type { networkCauses } from "./network-error-texts.ts";

export const networkRules: Rule<keyof typeof networkCauses>[] = [
  {
    cause: "KERB-NET-SWITCH",
    on: ["network", "port", "protocol"],
    when: { "group.kind": "net", "net.tcp": { isNot: "open" } },
    seen: {
      en: "{group.size} devices in {group.at} are silent since the same minute, none there answers: {group.devices}",
      vi: "{group.size} thiết bị trong {group.at} im lặng từ cùng một phút, không thiết bị nào ở đó trả lời: {group.devices}",
    },
  },
  {
    cause: "KERB-NET-HOST",
    on: ["network", "port", "protocol"],
    when: { "group.kind": ["host", "place"] },
    seen: {
      en: "all {group.size} devices at {group.at} are silent since the same minute: {group.devices}",
      vi: "cả {group.size} thiết bị tại {group.at} im lặng từ cùng một phút: {group.devices}",
    },
  },
  {
    cause: "KERB-NET-NAME",
    on: "network",
    when: { "net.name": "unknown" },
    seen: { en: "{place}: the name leads to no address", vi: "{place}: tên không dẫn đến địa chỉ nào" },
  },
  {
    cause: "KERB-NET-ROUTE",
    on: "network",
    when: { "net.tcp": "no-route" },
    seen: {
      en: "{place}: the network says that there is no way",
      vi: "{place}: mạng báo không có đường tới",
    },
  },
  {
    cause: "KERB-NET-ROUTE",
    on: "network",
    when: { error: "unreachable" },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-NET-SILENT",
    on: "network",
    when: { "net.tcp": "timeout" },
    seen: {
      en: "{place}: no answer to a connection within {net.tcpMs}",
      vi: "{place}: không trả lời yêu cầu kết nối trong {net.tcpMs}",
    },
  },
  {
    cause: "KERB-NET-PORT",
    on: "port",
    when: { "net.tcp": "refused" },
    seen: {
      en: "{place} answers in {net.tcpMs} and refuses the connection",
      vi: "{place} trả lời sau {net.tcpMs} và từ chối kết nối",
    },
  },
  {
    cause: "KERB-NET-PORT",
    on: "port",
    when: { error: "refused", over: "tcp", "net.tcp": { present: false } },
    seen: { en: "{message}", vi: "{message}" },
  },
];
