import type { Rule } from "../rule.ts";
import type { deviceCauses } from "./device-error-texts.ts";

export const deviceRules: Rule<keyof typeof deviceCauses>[] = [
  {
    cause: "KERB-DEV-DRIVER-DOWN",
    on: ["network", "port", "line", "protocol"],
    when: { "host.state": ["waiting", "stopped"] },
    seen: { en: "the driver is {host.state}", vi: "driver đang {host.state}" },
  },
  {
    cause: "KERB-DEV-MODEL",
    on: "identity",
    when: { "identity.mismatch": { present: true } },
    seen: { en: "{identity.mismatch}", vi: "{identity.mismatch}" },
  },
  {
    cause: "KERB-DEV-MODEL",
    on: "identity",
    when: { error: "wrong-device" },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-DEV-UNIT",
    on: "identity",
    when: { "unit.doubt": "other-unit" },
    seen: { en: "{unit.reason}", vi: "{unit.reason}" },
  },
  {
    cause: "KERB-DEV-TIMEOUT",
    on: ["protocol", "line"],
    when: { "late.answerMs": { present: true } },
    seen: {
      en: "it answered after {late.answerMs}, kerb waits {late.timeoutMs}",
      vi: "thiết bị trả lời sau {late.answerMs}, kerb chỉ chờ {late.timeoutMs}",
    },
  },
  {
    cause: "KERB-DEV-HANGS-UP",
    on: "protocol",
    when: { error: "hung-up" },
    seen: { en: "{message}", vi: "{message}" },
  },
  {
    cause: "KERB-DEV-BAD-VALUES",
    on: "values",
    when: { "values.none": true, "values.bad": { atLeast: 1 } },
    seen: {
      en: "{values.bad} of {values.total} points refused, such as {values.point}: {values.reason}",
      vi: "{values.bad} trên {values.total} điểm bị từ chối, ví dụ {values.point}: {values.reason}",
    },
  },
  {
    cause: "KERB-DEV-FIRMWARE",
    on: "working",
    about: "identity",
    when: { "identity.doubt": { present: true } },
    seen: { en: "{identity.doubt}", vi: "{identity.doubt}" },
  },
  {
    cause: "KERB-DEV-OFF",
    on: "working",
    when: { isEnabled: false },
    seen: {
      en: "it answers, and the gateway does not read it",
      vi: "thiết bị có trả lời nhưng gateway không đọc",
    },
  },
  {
    cause: "KERB-DEV-NOT-ASKED",
    on: "working",
    when: { "read.notAsked": { present: true } },
    seen: {
      en: "asked anew through the gateway: {read.notAsked}",
      vi: "hỏi lại qua gateway: {read.notAsked}",
    },
  },
  {
    cause: "KERB-DEV-BACK",
    on: "working",
    when: { isBack: true },
    seen: {
      en: "it was lost {sinceMs} ago ({message}), and answers now",
      vi: "mất liên lạc cách đây {sinceMs} ({message}), nay đã trả lời",
    },
  },
  {
    cause: "KERB-DEV-SLOW",
    on: "working",
    when: { "polls.missed": { atLeast: 3 }, "read.load": { atLeast: 0.8 } },
    seen: {
      en: "one read takes {read.lastMs}, it is asked every {poll.everyMs}; {polls.missed} of {polls} polls fell out",
      vi: "một lần đọc mất {read.lastMs}, nhịp hỏi {poll.everyMs}; bỏ lỡ {polls.missed} trên {polls} lần đọc",
    },
  },
  {
    cause: "KERB-DEV-LOSSY",
    on: "working",
    when: {
      "polls.failed": { atLeast: 3 },
      "polls.failedShare": { atLeast: 0.05 },
      sinceMs: { atLeast: 60_000 },
    },
    seen: {
      en: "{polls.failed} of {polls} polls failed since the gateway started",
      vi: "{polls.failed} trên {polls} lần đọc bị hỏng từ khi gateway khởi động",
    },
  },
  {
    cause: "KERB-DEV-SOME-BAD",
    on: "working",
    when: { "values.bad": { atLeast: 1 } },
    seen: {
      en: "{values.bad} of {values.total} points are bad, such as {values.point}: {values.reason}",
      vi: "{values.bad} trên {values.total} điểm lỗi, ví dụ {values.point}: {values.reason}",
    },
  },
];
