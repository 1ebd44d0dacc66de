import { words } from "../words.ts";

/** The names of `kerb health`'s checks. */
export const healthWords = words({
  en: {
    loop: "main loop",
    outbox: "outbox",
    disk: "disk",
    clock: "clock",
    uplink: "uplink",
    host: "driver",
    devices: "devices",
    device: "device",
  },
  vi: {
    loop: "vòng lặp chính",
    outbox: "hộp gửi",
    disk: "đĩa",
    clock: "đồng hồ",
    uplink: "kết nối IOC",
    host: "driver",
    devices: "thiết bị",
    device: "thiết bị",
  },
});
