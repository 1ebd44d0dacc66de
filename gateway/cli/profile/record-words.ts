import { words } from "../../words.ts";

/** What `kerb record` and `kerb profile test` say. */
export const recordWords = words({
  en: {
    refused: (device: string, why: string) => `${device} cannot be recorded: ${why}`,
    noPoints: "it has no points to read",
    noPointsCure:
      "give it a profile first: kerb profiles lists those that are known, kerb profile new --from DEVICE drafts one",
    noWay: (driver: string) => `the driver ${driver} does not say where its bytes go`,
    noWayCure: "record a device that speaks in clear; drivers/<driver>/README.md says what can be recorded",
    short: (what: string, least: number) =>
      `${what} has fewer than ${least} characters, so it cannot be found and scrubbed for sure`,
    shortCure: "give the device a longer one first",
    privateCure: "record while nobody passes, or a device that tells nothing personal",
    veiled: "something personal that it told is not to be found in its bytes, so it cannot be scrubbed",
    otherDevice: (why: string) => `it is another device than its profile says (${why})`,
    otherDeviceCure: (device: string) =>
      `kerb identify ${device} shows which profile fits: write that in the site file, or the right address`,
    noneGood: "none of its readings is good",
    noneGoodCure: (device: string) =>
      `kerb read ${device} shows why: correct its addresses or its profile first`,
    packed: (how: string) =>
      `its answers come packed (${how}) though nobody asked for that, so what is secret in them cannot be found`,
    packedCure: "turn compression off in the device's web server while you record",
    unplayable: (why: string) => `the scrubbed recording does not play (${why})`,
    unplayableCure: "record for longer (--for 2m), or only what is polled",
    unplayableSettingCure:
      "write there only the secret itself by ${secret:NAME}, and the rest of the setting beside it",
    nothing: "no reading came out of it",
    exists: (file: string) => `${file} is there already`,
    existsCure: "name another file with --out FILE, or remove it",
    recording: (device: string, seconds: number) =>
      `recording ${device} for up to ${seconds} s (Ctrl-C ends it earlier)`,
    done: (file: string, frames: number, reads: number, records: number) =>
      `${file}   ${frames} frames, ${reads} reads, ${records} records`,
    scrubbed: (what: string) => `scrubbed: ${what}`,
    limited: (what: string) => `ended early, the cassette is full: ${what}`,
    unstable: (what: string) => `left out, because they came out otherwise when it was played: ${what}`,
    next: (file: string) => `look through it before you give it away. Next: kerb profile test ${file}`,
    noFile: (file: string) => `there is no cassette ${file}`,
    noFileCure: "kerb record DEVICE makes one",
    unreadable: (problem: string) => `the recording cannot be used: ${problem}`,
    unreadableCure:
      "name a file that kerb record made (at most 1 MiB of text), or make it readable: chmod u+r FILE",
    noCassette: "this is no recording: there is no line `cassette: 1`",
    noCassetteCure: "name a file that kerb record made",
    cutOff: "the recording is cut off: it ends here, before its readings",
    damaged: (message: string, more: number) =>
      `the recording is damaged: ${message}${more > 0 ? ` (and ${more} more mistakes)` : ""}`,
    damagedCure: "take an undamaged copy of it, or record the device anew: kerb record DEVICE",
    noCassettes: (folder: string) => `there is no recording in ${folder} (<vendor>/<model>.cassettes/*.yaml)`,
    nothingCompared:
      "nothing was compared: the recording holds no reading and no record (kerb record DEVICE)",
    leftOut: (count: number) =>
      `${count} records that came at once with the last are left out; a shorter recording (--for 5s) may end before them`,
    manyPersonal: "it told more personal texts at once than can be scrubbed for sure",
    tooLarge: (bytes: number) => `the recording would have ${bytes} bytes, more than can be read again`,
    tooLargeCure: "record for a shorter time (--for 5s)",
    portTaken: (place: string) =>
      `the device calls ${place}, which another program has (most likely the gateway)`,
    portTakenCure: "stop the gateway while you record; the device calls again by itself",
    cannotListen: (place: string, why: string) =>
      `kerb cannot listen at ${place}, which the device calls (${why})`,
    cannotListenCure:
      "give the device an address of this machine and a port from 1024 on, and name files under tls that kerb can read",
    same: (readings: number) => `${readings} readings as recorded`,
    differs: (count: number) => `${count} differ`,
    lost: (why: string) => `the device was lost: ${why}`,
    difference: (point: string, read: number, expected: string, found: string) =>
      `${point}${read === 0 ? "" : ` (read ${read})`}: expected ${expected}, found ${found}`,
    unknown: (count: number) => `${count} requests are not on the tape`,
  },
  vi: {
    refused: (device, why) => `không ghi được ${device}: ${why}`,
    noPoints: "nó không có điểm đo nào để đọc",
    noPointsCure:
      "trước hết hãy cho nó một hồ sơ: kerb profiles liệt kê các hồ sơ đã có, kerb profile new --from DEVICE lập bản nháp",
    noWay: (driver) => `trình điều khiển ${driver} không cho biết các byte của nó đi đâu`,
    noWayCure: "hãy ghi thiết bị truyền không mã hóa; drivers/<driver>/README.md cho biết ghi được gì",
    short: (what, least) => `${what} ngắn hơn ${least} ký tự nên không chắc tìm và che được hết`,
    shortCure: "trước hết hãy đặt giá trị dài hơn cho thiết bị",
    privateCure: "hãy ghi lúc không có ai đi qua, hoặc ghi thiết bị không gửi dữ liệu cá nhân",
    veiled: "có dữ liệu cá nhân không tìm thấy được trong các byte nên không che được",
    otherDevice: (why) => `đây là thiết bị khác với hồ sơ của nó (${why})`,
    otherDeviceCure: (device) =>
      `kerb identify ${device} cho biết hồ sơ nào hợp: hãy ghi hồ sơ đó vào tệp cấu hình, hoặc sửa địa chỉ`,
    noneGood: "không có giá trị nào đọc được là tốt",
    noneGoodCure: (device) =>
      `kerb read ${device} cho biết lý do: trước hết hãy sửa địa chỉ hoặc hồ sơ của nó`,
    packed: (how) => `thiết bị gửi dữ liệu nén (${how}) dù không ai yêu cầu nên không tìm được bí mật để che`,
    packedCure: "hãy tắt nén trong máy chủ web của thiết bị trong lúc ghi",
    unplayable: (why) => `bản ghi sau khi che không phát lại được (${why})`,
    unplayableCure: "hãy ghi lâu hơn (--for 2m), hoặc chỉ ghi những gì được hỏi",
    unplayableSettingCure:
      "hãy chỉ để phần bí mật trong ${secret:NAME}, phần còn lại của thiết lập thì viết bên cạnh",
    nothing: "không có giá trị nào",
    exists: (file) => `${file} đã có sẵn`,
    existsCure: "hãy đặt tên tệp khác bằng --out FILE, hoặc xóa tệp đó",
    recording: (device, seconds) => `đang ghi ${device} trong tối đa ${seconds} giây (Ctrl-C để dừng sớm)`,
    done: (file, frames, reads, records) =>
      `${file}   ${frames} khung, ${reads} lần đọc, ${records} bản ghi sự kiện`,
    scrubbed: (what) => `đã che: ${what}`,
    limited: (what) => `dừng sớm vì đã đầy: ${what}`,
    unstable: (what) => `đã bỏ ra vì khi phát lại cho kết quả khác: ${what}`,
    next: (file) => `hãy xem kỹ trước khi đưa cho người khác. Tiếp theo: kerb profile test ${file}`,
    noFile: (file) => `không có tệp ghi ${file}`,
    noFileCure: "kerb record DEVICE sẽ tạo ra",
    unreadable: (problem) => `không dùng được bản ghi: ${problem}`,
    unreadableCure:
      "hãy chọn tệp do kerb record tạo (văn bản, tối đa 1 MiB), hoặc cho phép đọc: chmod u+r FILE",
    noCassette: "đây không phải bản ghi: không có dòng `cassette: 1`",
    noCassetteCure: "hãy chọn tệp do kerb record tạo",
    cutOff: "bản ghi bị cắt cụt: nó hết ở đây, trước các giá trị",
    damaged: (message, more) => `bản ghi bị hỏng: ${message}${more > 0 ? ` (và ${more} lỗi nữa)` : ""}`,
    damagedCure: "hãy lấy bản sao nguyên vẹn, hoặc ghi lại thiết bị: kerb record DEVICE",
    noCassettes: (folder) => `không có bản ghi nào trong ${folder} (<vendor>/<model>.cassettes/*.yaml)`,
    nothingCompared: "chưa so sánh gì: bản ghi không có giá trị hay bản ghi sự kiện nào (kerb record DEVICE)",
    leftOut: (count) =>
      `đã bỏ ${count} bản ghi sự kiện đến cùng lúc với cái cuối; hãy ghi ngắn hơn (--for 5s) để dừng trước chúng`,
    manyPersonal: "thiết bị gửi cùng lúc quá nhiều dữ liệu cá nhân nên không chắc che được hết",
    tooLarge: (bytes) => `bản ghi sẽ có ${bytes} byte, lớn hơn mức đọc lại được`,
    tooLargeCure: "hãy ghi ngắn hơn (--for 5s)",
    portTaken: (place) => `thiết bị gọi đến ${place}, nơi chương trình khác đang giữ (thường là gateway)`,
    portTakenCure: "hãy dừng gateway trong lúc ghi; thiết bị sẽ tự gọi lại",
    cannotListen: (place, why) => `kerb không lắng nghe được tại ${place}, nơi thiết bị gọi đến (${why})`,
    cannotListenCure:
      "hãy đặt cho thiết bị địa chỉ của máy này và cổng từ 1024 trở lên, và các tệp trong tls mà kerb đọc được",
    same: (readings) => `${readings} giá trị đúng như đã ghi`,
    differs: (count) => `${count} giá trị khác`,
    lost: (why) => `mất thiết bị: ${why}`,
    difference: (point, read, expected, found) =>
      `${point}${read === 0 ? "" : ` (lần đọc ${read})`}: phải là ${expected}, nhưng là ${found}`,
    unknown: (count) => `${count} yêu cầu không có trong bản ghi`,
  },
});
