import { words } from "./words.ts";

/** How a device stands, in one word: `kerb status`, `device`, `why`, `top`, the report. */
export const stateWords = words({
  en: {
    online: "online",
    lost: "lost",
    "wrong-device": "wrong device",
    quarantined: "quarantined",
    starting: "starting",
    listening: "listening",
    disabled: "disabled",
    new: "not running yet",
    gone: "removed, still runs",
  },
  vi: {
    online: "trực tuyến",
    lost: "mất kết nối",
    "wrong-device": "sai thiết bị",
    quarantined: "bị cách ly",
    starting: "đang khởi động",
    listening: "đang lắng nghe",
    disabled: "đã tắt",
    new: "chưa chạy",
    gone: "đã gỡ, vẫn chạy",
  },
});
