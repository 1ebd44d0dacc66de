import { counted } from "../../text.ts";
import { words } from "../../words.ts";

/** The words of `kerb profile new`. */
export const newWords = words({
  en: {
    asking: (device: string, seconds: number) =>
      `asking ${device} what it has, reads only, for up to ${seconds} s (Ctrl-C writes what has been found)`,
    exists: (file: string) => `${file} is there already`,
    existsCure: "name another file with --out FILE, or write over a draft with --force",
    noDraft: (file: string) =>
      `${file} is no draft of kerb profile new, and --force writes over nothing else`,
    noDraftCure: "name another file with --out FILE, or move that one away yourself",
    secret: (name: string) => `"${name}" in --under would be in every address of the draft, for all to read`,
    secretCure: "name the path without it, and write the login under auth: at the device in the site file",
    noClass: (name: string) => `there is no class "${name}"`,
    wrongId: (id: string) => `"${id}" is no name of a profile`,
    wrongIdCure: "write vendor/model in small letters, digits and hyphens, such as acme/flow-200",
    nothing: (device: string) => `${device}: nothing was found to draft a profile from`,
    nothingCure: "look at unit, port and login in the site file; --under asks elsewhere, --wait for longer",
    interrupted: "interrupted",
    lost: (why: string) => `the device was lost: ${why}`,
    notComplete: (why: string) => `NOT COMPLETE, ${why}: the draft holds what was found until then`,
    cure: {
      mqtt: "it tells by itself: listen with mosquitto_sub -v -t '#', and copy the profile that is nearest to it",
      rsmp: "the signal exchange list says what it has: begin with a copy of the profile rsmp/tlc",
      serial:
        "its line says nothing of itself: copy the profile of its dialect first (kerb profiles), write it at the device, then kerb record DEVICE shows what comes",
    },
    otherCure: "copy the profile that is nearest to it (kerb profiles)",
    wrote: (file: string, points: number, records: number, guesses: number) =>
      `${file}   ${counted(points, "point")}, ${counted(records, "record")}, ${guesses} of them ${guesses === 1 ? "a guess" : "guesses"}`,
    commands: (count: number) => `${counted(count, "command")} as comments: writing is a decision`,
    lint: (errors: number, warnings: number) =>
      errors + warnings === 0
        ? "kerb profile lint: no findings"
        : `kerb profile lint: ${counted(errors, "error")}, ${counted(warnings, "warning")}`,
    next: "Next:",
    steps: (file: string, id: string, isKnown: boolean, device: string) => [
      `edit ${file}: names, units, scales, and the maker's document as their source`,
      `kerb profile lint ${isKnown ? id : file}`,
      `kerb simulate ${isKnown ? id : file}`,
      isKnown
        ? `write "profile: ${id}" at ${device} in the site file (instead of points: {}), then kerb read ${device}`
        : `put it under firmware-profiles/${id}.yaml, write "profile: ${id}" at ${device} in the site file, then kerb read ${device}`,
      `kerb record ${device} --for 30s, and kerb profile test with what it recorded`,
    ],
  },
  vi: {
    asking: (device, seconds) =>
      `đang hỏi ${device} có những gì, chỉ đọc, trong tối đa ${seconds} giây (Ctrl-C để ghi những gì đã tìm thấy)`,
    exists: (file) => `${file} đã có sẵn`,
    existsCure: "hãy đặt tên tệp khác bằng --out FILE, hoặc ghi đè bản nháp bằng --force",
    noDraft: (file) => `${file} không phải bản nháp của kerb profile new, mà --force chỉ ghi đè bản nháp`,
    noDraftCure: "hãy đặt tên tệp khác bằng --out FILE, hoặc tự chuyển tệp đó đi nơi khác",
    secret: (name) => `"${name}" trong --under sẽ nằm trong mọi địa chỉ của bản nháp, ai cũng đọc được`,
    secretCure:
      "hãy nêu đường dẫn không có phần đó, và ghi đăng nhập vào auth: ở thiết bị trong tệp cấu hình",
    noClass: (name) => `không có loại "${name}"`,
    wrongId: (id) => `"${id}" không phải tên hồ sơ`,
    wrongIdCure: "viết hãng/model bằng chữ thường, chữ số và dấu gạch nối, ví dụ acme/flow-200",
    nothing: (device) => `${device}: không tìm thấy gì để lập hồ sơ`,
    nothingCure:
      "xem lại unit, cổng và đăng nhập trong tệp cấu hình; --under để hỏi nơi khác, --wait để hỏi lâu hơn",
    interrupted: "bị ngắt",
    lost: (why) => `mất thiết bị: ${why}`,
    notComplete: (why) => `CHƯA ĐẦY ĐỦ, ${why}: bản nháp chứa những gì đã tìm thấy tới lúc đó`,
    cure: {
      mqtt: "thiết bị tự gửi: hãy nghe bằng mosquitto_sub -v -t '#', rồi chép hồ sơ gần giống nhất",
      rsmp: "danh mục trao đổi tín hiệu cho biết nó có gì: hãy bắt đầu từ bản sao của hồ sơ rsmp/tlc",
      serial:
        "đường nối tiếp không tự khai: trước hết hãy chép hồ sơ cùng giao thức (kerb profiles) và ghi nó ở thiết bị, rồi kerb record DEVICE cho thấy dữ liệu",
    },
    otherCure: "hãy chép hồ sơ gần giống nhất (kerb profiles)",
    wrote: (file, points, records, guesses) =>
      `${file}   ${points} điểm đo, ${records} bản ghi, trong đó ${guesses} là phỏng đoán`,
    commands: (count) => `${count} lệnh được ghi dưới dạng chú thích: cho phép ghi hay không là do bạn`,
    lint: (errors, warnings) =>
      errors + warnings === 0
        ? "kerb profile lint: không có vấn đề nào"
        : `kerb profile lint: ${errors} lỗi, ${warnings} cảnh báo`,
    next: "Tiếp theo:",
    steps: (file: string, id: string, isKnown: boolean, device: string) => [
      `sửa ${file}: tên, đơn vị, hệ số, và ghi tài liệu của hãng làm nguồn`,
      `kerb profile lint ${isKnown ? id : file}`,
      `kerb simulate ${isKnown ? id : file}`,
      isKnown
        ? `ghi "profile: ${id}" ở ${device} trong tệp cấu hình (thay cho points: {}), rồi kerb read ${device}`
        : `đặt vào firmware-profiles/${id}.yaml, ghi "profile: ${id}" ở ${device} trong tệp cấu hình, rồi kerb read ${device}`,
      `kerb record ${device} --for 30s, rồi kerb profile test với bản ghi đó`,
    ],
  },
});
