import { words } from "../../words.ts";
import { counted } from "../../text.ts";

/** What `kerb config check` says. */
export const checkWords = words({
  en: {
    ok: "ok",
    devices: (count: number) => counted(count, "device"),
    whole: (devices: number, drivers: number, uplinks: number) =>
      `${counted(devices, "device")}, ${counted(drivers, "driver")}, ${counted(uplinks, "uplink")}`,
    mistakes: (count: number) => counted(count, "mistake"),
  },
  vi: {
    ok: "đúng",
    devices: (count) => `${count} thiết bị`,
    whole: (devices, drivers, uplinks) => `${devices} thiết bị, ${drivers} driver, ${uplinks} kết nối IOC`,
    mistakes: (count) => `${count} lỗi`,
  },
});
