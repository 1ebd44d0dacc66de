import { words } from "../../words.ts";

/** What a device is asked who it is with, where people know that by a name; and what keeps it from being asked. */
const question: Partial<Record<string, { name: string; en: string; vi: string }>> = {
  modbus: {
    name: " (function 43)",
    en: "leave 43 out of functions: in the site file (functions: [3, 4])",
    vi: "bỏ 43 khỏi functions: trong tệp cấu hình (functions: [3, 4])",
  },
};
const unasked = {
  en: '"identify: { standard: false }" in its profile',
  vi: '"identify: { standard: false }" trong hồ sơ',
};

/** The words of `kerb identify`. */
export const identifyWords = words({
  en: {
    siteSays: "the site file says",
    noProfile: "no profile, points of its own",
    pinned: (serial: string) => `serial number ${serial}`,
    writable: "its identity allows writing",
    notWritable: (reason: string) => `not writable: ${reason}`,
    accepted: "accepted: this is the unit from here on",
    doubt: "doubt",
    titles: ["PROFILE", "FITS", "WHY"],
    others: (count: number, driver: string) =>
      `${count} more profiles of ${driver} do not fit or cannot be told (--json lists them)`,
    better: (found: string, site: string) => `${found} fits better than ${site}, which the site file says`,
    sayNothing: "the device says nothing of itself: compare its name plate with the site file",
    needs: (settings: string) =>
      `it says who it is only when it is asked so: write "${settings}" at it in the site file`,
    mayNeed: (settings: string) => `with "${settings}" at it in the site file it may say who it is`,
    mute: (driver: string) => `it was reached, and does not answer who it is${question[driver]?.name ?? ""}`,
    muteCure: (device: string, driver: string) =>
      `it may still answer reads: kerb browse ${device} shows that, and then ${(question[driver] ?? unasked).en}`,
  },
  vi: {
    siteSays: "tệp cấu hình ghi",
    noProfile: "không có hồ sơ, các điểm đo ghi riêng",
    pinned: (serial) => `số sê-ri ${serial}`,
    writable: "danh tính cho phép ghi",
    notWritable: (reason) => `không được ghi: ${reason}`,
    accepted: "đã chấp nhận: từ nay đây là thiết bị đúng",
    doubt: "nghi ngờ",
    titles: ["HỒ SƠ", "MỨC HỢP", "LÝ DO"],
    others: (count, driver) =>
      `${count} hồ sơ khác của ${driver} không hợp hoặc không nhận biết được (--json liệt kê)`,
    better: (found, site) => `${found} hợp hơn ${site} đang ghi trong tệp cấu hình`,
    sayNothing: "thiết bị không tự khai báo: đối chiếu nhãn trên thiết bị với tệp cấu hình",
    needs: (settings) =>
      `thiết bị chỉ tự khai khi được hỏi cách này: ghi "${settings}" ở nó trong tệp cấu hình`,
    mayNeed: (settings) => `nếu ghi "${settings}" ở nó trong tệp cấu hình, thiết bị có thể tự khai`,
    mute: (driver) => `đã nối được, nhưng không trả lời khi hỏi nó là ai${question[driver]?.name ?? ""}`,
    muteCure: (device, driver) =>
      `thiết bị vẫn có thể trả lời lệnh đọc: kerb browse ${device} cho biết điều đó, rồi ${(question[driver] ?? unasked).vi}`,
  },
});
