import { span } from "../text.ts";
import type { Rung } from "../driver.ts";
import { uplinkCause } from "../health/causes.ts";
import { type Finding, plain, said, type Text, type Verdict } from "./facts.ts";
import type { Known } from "./history.ts";

/** Why the IOC does not get it, in the words of `kerb health`. */
export function upstreamCause(known: Known | undefined): Finding | undefined {
  const down = known?.status.uplinks.find(({ state }) => state !== "connected");
  if (down?.reason === undefined) return undefined;
  const seen = said(`${down.id}: ${down.reason}`);
  return { code: uplinkCause(down.reason), severity: "bad", step: "upstream", seen };
}

/** The last rung: does what the device says reach the IOC? */
export function upstreamStep(known: Known | undefined): [Rung, Verdict, Text] {
  if (known === undefined)
    return [
      "upstream",
      "unknown",
      { en: "no gateway is running: not tested", vi: "gateway chưa chạy: chưa thử" },
    ];
  const { status, nowMs } = known;
  if (status.uplinks.length === 0)
    return ["upstream", "unknown", { en: "the site has no uplink", vi: "tệp cấu hình không có kết nối IOC" }];
  const down = status.uplinks.find(({ state }) => state !== "connected");
  if (down === undefined) {
    const lag = span(status.outbox.oldestMs === undefined ? 0 : nowMs - status.outbox.oldestMs);
    const heardMs = Math.max(...status.uplinks.map((one) => one.lastAcknowledgementMs ?? -Infinity));
    if (heardMs === -Infinity)
      return [
        "upstream",
        "unknown",
        {
          en: "connected, and the IOC has acknowledged nothing yet",
          vi: "đã kết nối, IOC chưa xác nhận gì",
        },
      ];
    const ago = span(nowMs - heardMs);
    return [
      "upstream",
      "ok",
      {
        en: `the IOC is ${lag} behind, it acknowledged ${ago} ago`,
        vi: `IOC nhận trễ ${lag}, xác nhận cách đây ${ago}`,
      },
    ];
  }
  const since = span(nowMs - down.sinceMs);
  const reason = down.reason === undefined ? plain("") : said(`: ${down.reason}`);
  return [
    "upstream",
    "failed",
    {
      en: `${down.id} is not connected for ${since}${reason.en}`,
      vi: `${down.id} mất kết nối đã ${since}${reason.vi}`,
    },
  ];
}
