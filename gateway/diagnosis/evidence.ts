import { namedIdentity } from "../discovery/named-identity.ts";
import { span, took } from "../text.ts";
import type { DeviceConfig } from "../config/config.ts";
import type { Facts, Identity, Rung } from "../driver.ts";
import type { LatestReading } from "../host/messages.ts";
import { printable } from "../printable.ts";
import type { Step, Text } from "./facts.ts";

/** What a step of the ladder has seen, as sentences. */

type Seen = Pick<Step, "verdict" | "evidence">;

/** Of a rung below one from which an answer came. */
export function passed(rung: Rung): Text {
  return rung === "login"
    ? { en: "not in the way", vi: "không cản trở" }
    : rung === "port"
      ? { en: "opens", vi: "mở được" }
      : { en: "answers", vi: "có trả lời" };
}

export function portText(path: string, port: string): Text {
  if (port === "denied") return { en: `no permission for ${path}`, vi: `không có quyền với ${path}` };
  if (port === "no-port") return { en: `${path} is no serial port`, vi: `${path} không phải cổng nối tiếp` };
  return { en: `there is no port ${path}`, vi: `không có cổng ${path}` };
}

export const muteText: Text = {
  en: "reached; it does not answer who it is",
  vi: "đã nối được; không trả lời khi hỏi nó là ai",
};

export const noGatewayText: Text = {
  en: "the gateway has the line to itself and does not know more yet",
  vi: "gateway đang giữ đường truyền và chưa biết thêm",
};

export const byGatewayText: Text = { en: "the gateway reads it", vi: "gateway đang đọc được" };

/** "Kerb Works K-1 firmware 2.3 serial A0042, profile kerb/k-1 (>=2.0)"; `isTold`: it says something of itself. */
export function whoText(
  identity: Identity,
  { profile, firmwareRange }: Pick<DeviceConfig, "profile" | "firmwareRange">,
): { isTold: boolean; evidence: Text } {
  const named = namedIdentity(identity, "en");
  const isTold = named !== "";
  const en = named || "it says nothing of itself";
  const vi = namedIdentity(identity, "vi") || "thiết bị không tự giới thiệu";
  if (profile === undefined) return { isTold, evidence: { en, vi } };
  const taken = firmwareRange === "*" ? profile : `${profile} (${firmwareRange})`;
  return { isTold, evidence: { en: `${en}, profile ${taken}`, vi: `${vi}, hồ sơ ${taken}` } };
}

const oddMax = 4;

/** Points that are not good, and why: "power modbus-2, dim out-of-range, …". */
function oddOnes(odd: readonly LatestReading[]): string {
  const shown = odd.slice(0, oddMax).map(({ point, code, status }) => `${point} ${code ?? status}`);
  return printable(shown.join(", ")) + (odd.length > oddMax ? ", …" : "");
}

/**
 * What the values say: failed where each is bad, unknown where none is good, or there are none. `isOld`: they are those
 * of the last poll, which say nothing of now.
 */
export function valuesSeen(readings: readonly LatestReading[], isOld = false): Seen {
  const all = readings.length;
  if (all === 0)
    return {
      verdict: "unknown",
      evidence: { en: "it has no points to read", vi: "không có điểm đo để đọc" },
    };
  const heard = readings.filter(({ unheard }) => unheard !== true);
  if (heard.length === 0)
    return {
      verdict: "failed",
      evidence: { en: "nothing was heard of it yet", vi: "chưa nghe thấy gì từ thiết bị" },
    };
  const odd = heard.filter(({ status }) => status !== "good");
  const isRefused = heard.every(({ status }) => status === "bad");
  const good = heard.length - odd.length;
  const left = all - heard.length;
  const isFine = odd.length === 0;
  const parts = {
    en: [
      `${good} of ${all} points ${isFine ? "good, inside their limits" : "good"}`,
      ...(isFine ? [] : [`look at: ${oddOnes(odd)}`]),
      ...(left === 0 ? [] : [`${left} it tells by itself and has not told yet`]),
    ],
    vi: [
      `${good} trên ${all} điểm ${isFine ? "tốt, trong giới hạn" : "tốt"}`,
      ...(isFine ? [] : [`cần xem: ${oddOnes(odd)}`]),
      ...(left === 0 ? [] : [`${left} điểm thiết bị tự gửi và chưa gửi`]),
    ],
  };
  const evidence = { en: parts.en.join("; "), vi: parts.vi.join("; ") };
  if (isOld)
    return {
      verdict: "unknown",
      evidence: { en: `at the last poll: ${evidence.en}`, vi: `ở lần đọc trước: ${evidence.vi}` },
    };
  return { verdict: isRefused ? "failed" : good === 0 ? "unknown" : "ok", evidence };
}

/** What a connection to a TCP port has met. */
export function knockedText(where: string, reached: string, ms: number): Text {
  if (reached === "open") return { en: `${where} takes connections`, vi: `${where} nhận kết nối` };
  if (reached === "refused") return { en: `${where} refuses connections`, vi: `${where} từ chối kết nối` };
  if (reached === "timeout")
    return {
      en: `no answer from ${where} within ${span(ms)}`,
      vi: `${where} không trả lời trong ${span(ms)}`,
    };
  return { en: `no way to ${where}`, vi: `không có đường tới ${where}` };
}

/** A host that has answered, if only to refuse. */
export function thereText(host: string, ms: number): Text {
  return { en: `${host} answers in ${took(ms)}`, vi: `${host} trả lời sau ${took(ms)}` };
}

/** Of the line below a unit that failed: `mate` is another one on it that answers. */
export function lineSeen(mate: Facts[string] | undefined): Seen {
  return mate === undefined
    ? {
        verdict: "unknown",
        evidence: {
          en: "no other unit on this line to compare with",
          vi: "không có unit nào khác trên đường truyền để so sánh",
        },
      }
    : {
        verdict: "ok",
        evidence: {
          en: `${String(mate)} on the same line answers: wiring and line settings are right`,
          vi: `${String(mate)} trên cùng đường truyền trả lời: dây và thông số đường truyền đúng`,
        },
      };
}

export const silentUdpText: Text = {
  en: "UDP: a host that is silent cannot be told from a question that it ignores",
  vi: "UDP: không phân biệt được máy im lặng với câu hỏi bị bỏ qua",
};

export const nameText = (host: string): Text => ({
  en: `no address is known for the name ${host}`,
  vi: `không tìm thấy địa chỉ của tên ${host}`,
});
