import { nearest, quoted } from "../config/words.ts";
import { languageOf, words } from "../words.ts";

/** What verbs complain of: something that was named is not there, or does not go with the rest. */
export const complaintWords = words({
  en: {
    meant: (what: string) => ` - did you mean ${what}?`,
    noSite: (file: string) => `there is no site file ${file}`,
    fromEnvironment: " (from KERB_SITE)",
    noSiteCure: "give the path of a gateway.yaml with --site FILE; begin one: kerb init",
    noSiteNamed: (files: string) => `no site file was named, and there is none here: ${files}`,
    noSiteNamedCure: "begin one: kerb init   or give yours with --site FILE, or set KERB_SITE",
    notRunning: (site: string) => `no gateway is running for ${site}`,
    nobodyAt: (socket: string) => `nobody listens at ${socket}`,
    denied: (socket: string) => `this user may not speak to the gateway at ${socket}`,
    deniedCure: (socket: string) =>
      `repeat it with sudo kerb …   or join the group that may: ls -l ${socket}`,
    notRunningCure: (site: string) => `start it: kerb run ${site}   or, as a service: systemctl start kerb`,
    noDevice: (id: string, place: string, meant: string) => `there is no device "${id}" in ${place}${meant}`,
    noDeviceHere: (id: string, meant: string) => `there is no device "${id}"${meant}`,
    noDevices: "the site has no devices yet",
    devices: (ids: string) => `its devices: ${ids}`,
    noPoint: (device: string, name: string, meant: string) => `${device} has no point "${name}"${meant}`,
    points: (names: string) => `its points: ${names}`,
    editSite: "edit the site file, then start the gateway again",
    notReached: "the gateway has not reached it yet: try again",
    gatewayEnded: "the gateway has ended",
    noProfile: (id: string, meant: string) => `there is no profile "${id}"${meant}`,
    profiles:
      "kerb profiles lists those that ship; a profile of your own is named by its file, ending in .yaml",
    noAssignment: (text: string) => `"${text}" is no POINT=VALUE, or its point is there twice`,
    assignmentCure: "write it as dim=70 or lamp=true, each point once",
    unexpected: "KERB_DEBUG=1 before the command shows where it broke",
  },
  vi: {
    meant: (what) => ` - có phải ý bạn là ${what}?`,
    noSite: (file) => `không có tệp cấu hình ${file}`,
    fromEnvironment: " (lấy từ KERB_SITE)",
    noSiteCure: "nêu đường dẫn tới một gateway.yaml bằng --site FILE; tạo tệp mới: kerb init",
    noSiteNamed: (files) => `chưa nêu tệp cấu hình, và ở đây cũng không có: ${files}`,
    noSiteNamedCure: "tạo tệp mới: kerb init   hoặc nêu tệp đã có bằng --site FILE, hoặc đặt KERB_SITE",
    notRunning: (site) => `không có gateway nào đang chạy cho ${site}`,
    nobodyAt: (socket) => `không có gì lắng nghe tại ${socket}`,
    denied: (socket) => `người dùng này không được phép nói chuyện với gateway tại ${socket}`,
    deniedCure: (socket) => `chạy lại bằng sudo kerb …   hoặc vào nhóm có quyền: ls -l ${socket}`,
    notRunningCure: (site) =>
      `khởi động: kerb run ${site}   hoặc, nếu chạy như dịch vụ: systemctl start kerb`,
    noDevice: (id, place, meant) => `không có thiết bị "${id}" trong ${place}${meant}`,
    noDeviceHere: (id, meant) => `không có thiết bị "${id}"${meant}`,
    noDevices: "tệp cấu hình chưa có thiết bị nào",
    devices: (ids) => `các thiết bị: ${ids}`,
    noPoint: (device, name, meant) => `${device} không có điểm đo "${name}"${meant}`,
    points: (names) => `các điểm đo: ${names}`,
    editSite: "sửa tệp cấu hình rồi khởi động lại gateway",
    notReached: "gateway chưa kết nối được tới nó: hãy thử lại",
    gatewayEnded: "gateway đã dừng",
    noProfile: (id, meant) => `không có hồ sơ "${id}"${meant}`,
    profiles: "kerb profiles liệt kê hồ sơ đi kèm; hồ sơ của bạn thì nêu bằng tên tệp, đuôi .yaml",
    noAssignment: (text) => `"${text}" không phải ĐIỂM=GIÁ_TRỊ, hoặc điểm đó được viết hai lần`,
    assignmentCure: "viết như dim=70 hoặc lamp=true, mỗi điểm một lần",
    unexpected: "KERB_DEBUG=1 trước câu lệnh cho biết hỏng ở đâu",
  },
});

/** ` - did you mean "meter-01"?` in the language of this process, or nothing. */
export function meantBy(word: string, candidates: Iterable<string>): string {
  const found = nearest(word, candidates);
  return found === undefined ? "" : complaintWords[languageOf()].meant(quoted(found));
}
