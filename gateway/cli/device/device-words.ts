import type { EditReason } from "../../config/device-edits.ts";
import { words } from "../../words.ts";
import { stateWords } from "../../state-words.ts";

/** The words of `kerb device`. */

const en = {
  // Files and lines.
  willWrite: (file: string, count: number, isNew: boolean) =>
    isNew ? `Will write ${file} (new, ${count} lines):` : `Will change ${file}:`,
  willDelete: (file: string) => `Will delete ${file}: nothing else stands in it.`,
  save: "Save? [Y/n] ",
  saveDoubtful: "Save all the same? [y/N] ",
  saved: (file: string, lines: string) => `Saved ${file}${lines}.`,
  deleted: (file: string) => `Deleted ${file}.`,
  notSaved: "Not saved",
  saidNo: "the answer was no",
  needsYes: "nobody can be asked here",
  needsYesHint: "repeat it with --yes, or in a terminal",
  restart: (file: string) =>
    `The running gateway does not know it yet: restart it (systemctl restart kerb, or kerb run ${file}).`,
  applied: (generation: number, restarts: boolean) =>
    restarts
      ? `Config #${generation}: the gateway restarts with it.`
      : `The gateway runs config #${generation} from now on.`,
  notApplied: (file: string, why: string) =>
    `Saved, and not taken over by the gateway (${why}). Then: kerb config apply --site ${file}`,
  notRunning: (file: string) => `No gateway runs: it counts from the next start (kerb run ${file}).`,
  meanwhile: (file: string) => `${file} has been changed by somebody else meanwhile`,
  meanwhileHint: "say it again: it is read anew",
  cannotWrite: (file: string, why: string) => `${file} cannot be written (${why})`,
  cannotWriteHint: "repeat it as a user who may: sudo kerb device …",
  byHand: (file: string, why: string) => `${file} is not changed: ${why}`,
  whyByHand: {
    "no-yaml": (detail: string) => detail,
    "no-keys": () => "it does not begin with a key",
    "no-list": () => 'its "devices" is no list',
    brackets: () => "its devices stand in brackets",
    unclear: () => "its list of devices cannot be found",
    shared: () => "what its lines hold is used elsewhere in the file",
    further: () => "the change would reach other lines as well",
    missing: () => "the device is not in its list",
    elsewhere: () => "the device stands elsewhere in the file",
    empty: (key: string) => `its "${key}" is empty`,
    "no-id": () => "the device has no id there",
  } satisfies Record<EditReason, (detail: string) => string>,
  byHandHint: (place: string) => `edit it by hand at ${place}`,
  handWritten: (id: string, place: string) =>
    `${id} stands in the site file, which kerb never changes: ${place}`,
  handHint: (what: string) => `${what}; or move its lines into a file of devices.d/, then kerb can do it`,
  handRemove: (first: number, last: number) => `delete lines ${first} to ${last} there`,
  handSet: (key: string, value: string) => `write "${key}: ${value}" at it there`,
  noInclude: (file: string) => `${file} includes no files, so that kerb has nowhere to write devices`,
  noIncludeHint: (line: string) => `add this line to it, at the left margin: ${line}`,
  notIncluded: (file: string, site: string) => `${file} is not among the files that ${site} includes`,
  notIncludedHint: (list: string) => `those that it includes: ${list}`,
  siteItself: (file: string) => `${file} is the site file, which kerb never changes`,
  // add
  idNeeded: "the device has no id yet",
  idNeededHint: (suggested: string) =>
    `name it, 2 to 40 of a-z 0-9 "-": --id ${suggested}; it goes into every event`,
  idWrong: (id: string) => `"${id}" is no id: 2 to 40 of a-z, 0-9 and "-", a letter first`,
  idPrompt: (suggested: string) => `Id [${suggested}]: `,
  idTaken: (id: string, place: string) => `there is a device ${id} already: ${place}`,
  idTakenHint: "choose another --id, or change that one: kerb device --help",
  sameDevice: (id: string, place: string) => `this device is there already, as ${id}: ${place}`,
  sameDeviceHint: (id: string) =>
    `kerb device show ${id}; if it shall be there twice, write the second one by hand`,
  noTarget: "nobody says which device is meant",
  noTargetHint:
    "kerb device add 3 (a number of the last kerb discover), or an address: kerb device add 10.0.0.4 --driver modbus",
  noDriver: (target: string) => `nobody says what ${target} speaks`,
  noDriverHint: (drivers: string) => `--driver ${drivers}, or --profile vendor/model`,
  findDriverHint: (drivers: string) =>
    `kerb discover ADDRESS --port PORT finds out; or by its name plate: --profile vendor/model (kerb profiles WORD); or --driver ${drivers}`,
  noSuchDriver: (driver: string, guess: string) => `there is no driver "${driver}"${guess}`,
  otherDriver: (profile: string, own: string, driver: string) =>
    `the profile ${profile} is for ${own}, not for ${driver}`,
  noDiscovery: "there is no last kerb discover on this box",
  noDiscoveryHint: "kerb discover, then the number; or an address: kerb device add 10.0.0.4 --driver modbus",
  noNumber: (number: number, count: number) =>
    `the last kerb discover found ${count}, and has no number ${number}`,
  noNumberHint: "kerb discover shows them anew",
  toldReference:
    "what the device says of itself has the form of a reference (${…}): the gateway would put a secret there",
  toldReferenceHint: "nothing was saved; look at who that is, before you write it into a file by hand",
  settingForm: (given: string) =>
    `--set ${given}: expected KEY=VALUE, such as timeout=2s or transport.baud=19200`,
  noLogin: (driver: string) => `${driver} has no login with a user`,
  noLoginHint: "leave --user out, or write the setting: --set KEY=VALUE",
  needsLoginHint: "repeat it with --user NAME; the password is asked for",
  secretInClear: (key: string) =>
    `${key} is a secret, and would stand in files and in the history of the shell`,
  secretInClearHint: (id: string) =>
    `--user NAME asks for it; or write it into secrets/${id}, and --set KEY='\${secret:${id}}'`,
  passwordFor: (user: string) => `Password for ${user}: `,
  noPassword: "no password was given",
  noPasswordHint: "type it, or pipe it in: --password-stdin",
  secretTaken: (file: string, users: string) => `${file} is there already, and used by ${users}`,
  secretTakenHint: "choose another --id",
  secretSaved: (file: string) => `The password is in ${file} (0640), and nowhere else.`,
  whichProfile: "which profile holds cannot be told from what it says",
  whichProfileHint: (list: string) => `name it: --profile ${list}`,
  noProfileFits: (driver: string) =>
    `name one that you know: --profile vendor/model (kerb profiles lists them); or draft one: kerb profile new (${driver})`,
  again: "then repeat the command",
  saveAnyway: "(to save it all the same: --save-anyway)",
  notTested: "It was saved without having passed its test.",
  notReached: "What was changed could not be tested: something else is in the way.",
  taken: (profile: string, why: string) => [`   profile ${profile}: ${why}`],
  writable: (offered: number) =>
    offered === 0
      ? "Nothing of it can be written."
      : `Writable points: none. The profile offers ${offered}: list those wanted under write.allow.`,
  next: (id: string, site: string) => `Next: kerb read ${id}${site}`,
  interrupted: "interrupted",
  // list and show
  titles: ["ID", "STATE", "DRIVER", "ADDRESS", "PROFILE", "LAST GOOD", "NAME"],
  onlyFiles: "no gateway runs: this is what the files say",
  brokenFiles: (count: number) =>
    `the files are wrong (${count} mistakes: kerb config check): this is what the gateway runs`,
  noDevices: "No devices.   Next: kerb discover, then kerb device add",
  noneSo: "No device fits.",
  states: { ...stateWords.en, unknown: "-" },
  counts: (count: number, good: number, bad: number) =>
    `${count} ${count === 1 ? "device" : "devices"}: ${good} online, ${bad} failing`,
  labels: {
    file: "file",
    state: "state",
    address: "address",
    driver: "driver",
    profile: "profile",
    fits: "fits",
    identity: "identity",
    unit: "pinned",
    replaced: "replaced",
    points: "points",
    writable: "writable",
    twin: "from afar",
    lastGood: "last good",
    polls: "polls",
  },
  lines: (first: number, last: number) => (first === last ? `line ${first}` : `lines ${first}-${last}`),
  noUnit: "nobody yet: the first unit that answers is trusted",
  noneWritable: (offered: number) =>
    offered === 0 ? "nothing" : `nothing; the profile offers ${offered} (write.allow)`,
  pointCounts: (points: number, records: number) => `${points} points, ${records} records`,
  ownPoints: "none, points of its own",
  editable: "kerb device can change it",
  notEditable: "written by hand: kerb never changes it",
  pollCounts: (polls: number, failed: number, missed: number) =>
    `${polls}, ${failed} failed, ${missed} missed`,
  // changes
  setWhat: "nobody says what is to be set",
  setWhatHint:
    "kerb device set DEVICE unit=7, or host=10.0.0.5, transport.port=502, timeout=5s; its login: --user NAME",
  setSecretHint:
    "a login: --user NAME, the password is asked for; else write a reference: KEY='${secret:NAME}'",
  setId: "the id is no setting: for the IOC another id is another device",
  isSet: (id: string) => `${id} has that already`,
  nextWhy: (id: string, site: string) => `Next: kerb why ${id}${site}`,
  nothingToDo: (what: string) => `Nothing to do: ${what}.`,
  isEnabled: (id: string) => `${id} is enabled already`,
  isDisabled: (id: string) => `${id} is disabled already`,
  isNamed: (id: string, name: string) => `${id} is called "${name}" already`,
  renameWhat: "nobody says what is to be renamed",
  renameWhatHint: 'kerb device rename ID "new name", or --id NEW-ID',
  newId: (before: string, after: string) =>
    `For the IOC ${after} is a new device: new topics, new events. ${before} ends there; what is queued of it is still delivered as ${before}.`,
  stillDelivered: (kept: number | undefined) =>
    kept === undefined
      ? "What is in the outbox of it is still delivered."
      : `${kept} events are in the outbox: those of it are still delivered.`,
  secretLeft: (file: string) => `No device uses ${file} any more. Delete it: rm ${file}`,
  removeAsk: (id: string) => `Remove ${id}? [y/N] `,
  disabledMeans: "It is not read from then on; its lines stay.",
  // replace
  unitBefore: "before",
  unitNow: "now",
  nobody: "nobody",
  sameUnit: "the same unit answers as before: there is nothing to replace",
  untoldUnit: "the new unit tells no serial number: it cannot be told from the old one",
  tellsNothing: "it says nothing of itself: units cannot be told apart, and none has to be accepted",
  replaceAsk: (id: string) => `Is this the right unit for ${id} from here on? [y/N] `,
  accepted: (id: string, who: string) => `${id}: ${who} is the unit from here on, and noted in the history.`,
  disabledFirst: (id: string) => `${id} is disabled`,
  disabledFirstHint: (id: string) => `kerb device enable ${id}`,
  otherModel: "this is another model than the profile is for",
  otherModelHint: (id: string) => `kerb device remove ${id}, then kerb device add with the same --id`,
};

export type DeviceWords = typeof en;

const vi: DeviceWords = {
  willWrite: (file, count, isNew) => (isNew ? `Sẽ ghi ${file} (tệp mới, ${count} dòng):` : `Sẽ sửa ${file}:`),
  willDelete: (file) => `Sẽ xóa ${file}: trong đó không còn gì khác.`,
  save: "Lưu? [C/k] ",
  saveDoubtful: "Vẫn lưu? [c/K] ",
  saved: (file, lines) => `Đã lưu ${file}${lines}.`,
  deleted: (file) => `Đã xóa ${file}.`,
  notSaved: "Chưa lưu",
  saidNo: "câu trả lời là không",
  needsYes: "ở đây không hỏi được ai",
  needsYesHint: "thêm --yes, hoặc chạy trong cửa sổ lệnh",
  restart: (file) =>
    `Gateway đang chạy chưa biết thay đổi này: hãy khởi động lại (systemctl restart kerb, hoặc kerb run ${file}).`,
  applied: (generation, restarts) =>
    restarts
      ? `Cấu hình #${generation}: gateway đang khởi động lại.`
      : `Gateway chạy cấu hình #${generation} từ bây giờ.`,
  notApplied: (file, why) =>
    `Đã lưu, nhưng gateway chưa dùng (${why}). Sau đó: kerb config apply --site ${file}`,
  notRunning: (file) => `Không có gateway đang chạy: có hiệu lực từ lần khởi động sau (kerb run ${file}).`,
  meanwhile: (file) => `${file} vừa bị người khác sửa`,
  meanwhileHint: "hãy gõ lại lệnh: tệp sẽ được đọc lại",
  cannotWrite: (file, why) => `không ghi được ${file} (${why})`,
  cannotWriteHint: "chạy lại với người dùng có quyền: sudo kerb device …",
  byHand: (file, why) => `không sửa ${file}: ${why}`,
  whyByHand: {
    "no-yaml": (detail) => detail,
    "no-keys": () => "tệp không mở đầu bằng một khóa",
    "no-list": () => '"devices" trong đó không phải danh sách',
    brackets: () => "các thiết bị trong đó viết trong ngoặc",
    unclear: () => "không tìm được danh sách thiết bị trong đó",
    shared: () => "nội dung các dòng này còn được dùng ở chỗ khác trong tệp",
    further: () => "sửa như vậy sẽ đụng đến các dòng khác",
    missing: () => "thiết bị không có trong danh sách ở đó",
    elsewhere: () => "thiết bị được viết ở chỗ khác trong tệp",
    empty: (key) => `"${key}" ở đó để trống`,
    "no-id": () => "thiết bị ở đó không có id",
  },
  byHandHint: (place) => `hãy sửa bằng tay tại ${place}`,
  handWritten: (id, place) => `${id} nằm trong tệp cấu hình chính, tệp mà kerb không bao giờ sửa: ${place}`,
  handHint: (what) => `${what}; hoặc chuyển các dòng của nó vào một tệp trong devices.d/ để kerb sửa được`,
  handRemove: (first, last) => `xóa các dòng ${first} đến ${last} ở đó`,
  handSet: (key, value) => `ghi "${key}: ${value}" ở nó`,
  noInclude: (file) => `${file} không include tệp nào, nên kerb không có chỗ ghi thiết bị`,
  noIncludeHint: (line) => `thêm dòng này vào tệp, sát lề trái: ${line}`,
  notIncluded: (file, site) => `${file} không nằm trong các tệp mà ${site} include`,
  notIncludedHint: (list) => `các tệp được include: ${list}`,
  siteItself: (file) => `${file} là tệp cấu hình chính, kerb không bao giờ sửa`,
  idNeeded: "thiết bị chưa có mã",
  idNeededHint: (suggested) =>
    `đặt mã, 2 đến 40 ký tự a-z 0-9 "-": --id ${suggested}; mã có trong mọi sự kiện`,
  idWrong: (id) => `"${id}" không dùng làm mã được: 2 đến 40 ký tự a-z, 0-9 và "-", bắt đầu bằng chữ`,
  idPrompt: (suggested) => `Mã [${suggested}]: `,
  idTaken: (id, place) => `đã có thiết bị ${id}: ${place}`,
  idTakenHint: "chọn --id khác, hoặc sửa thiết bị đó: kerb device --help",
  sameDevice: (id, place) => `thiết bị này đã có rồi, với mã ${id}: ${place}`,
  sameDeviceHint: (id) =>
    `kerb device show ${id}; nếu thật sự cần hai lần, hãy ghi thiết bị thứ hai bằng tay`,
  noTarget: "chưa nói là thiết bị nào",
  noTargetHint:
    "kerb device add 3 (số thứ tự của lần kerb discover gần nhất), hoặc địa chỉ: kerb device add 10.0.0.4 --driver modbus",
  noDriver: (target) => `chưa nói ${target} dùng giao thức gì`,
  noDriverHint: (drivers) => `--driver ${drivers}, hoặc --profile hãng/model`,
  findDriverHint: (drivers) =>
    `để kerb tự tìm: kerb discover ĐỊA_CHỈ --port CỔNG; hoặc theo nhãn máy: --profile hãng/model (kerb profiles TỪ); hoặc --driver ${drivers}`,
  noSuchDriver: (driver, guess) => `không có driver "${driver}"${guess}`,
  otherDriver: (profile, own, driver) => `hồ sơ ${profile} dùng cho ${own}, không dùng cho ${driver}`,
  noDiscovery: "ở tủ này chưa chạy kerb discover lần nào",
  noDiscoveryHint:
    "chạy kerb discover rồi dùng số thứ tự; hoặc địa chỉ: kerb device add 10.0.0.4 --driver modbus",
  noNumber: (number, count) => `lần kerb discover gần nhất thấy ${count} thiết bị, không có số ${number}`,
  noNumberHint: "kerb discover tìm lại từ đầu",
  toldReference: "điều thiết bị tự khai có dạng một tham chiếu (${…}): gateway sẽ đặt một bí mật vào chỗ đó",
  toldReferenceHint: "chưa lưu gì; hãy xem đó là thiết bị nào trước khi tự viết nó vào tệp",
  settingForm: (given) => `--set ${given}: cần KHÓA=GIÁ_TRỊ, ví dụ timeout=2s hoặc transport.baud=19200`,
  noLogin: (driver) => `${driver} không đăng nhập bằng tên người dùng`,
  noLoginHint: "bỏ --user, hoặc ghi thành thiết lập: --set KHÓA=GIÁ_TRỊ",
  needsLoginHint: "thêm --user TÊN; mật khẩu sẽ được hỏi",
  secretInClear: (key) => `${key} là bí mật, sẽ nằm lộ trong tệp và trong lịch sử lệnh`,
  secretInClearHint: (id) =>
    `--user TÊN sẽ hỏi mật khẩu; hoặc ghi vào secrets/${id}, rồi --set KHÓA='\${secret:${id}}'`,
  passwordFor: (user) => `Mật khẩu của ${user}: `,
  noPassword: "chưa có mật khẩu",
  noPasswordHint: "gõ vào, hoặc đưa qua ống: --password-stdin",
  secretTaken: (file, users) => `${file} đã có và đang được dùng bởi ${users}`,
  secretTakenHint: "chọn --id khác",
  secretSaved: (file) => `Mật khẩu nằm trong ${file} (0640), không ở đâu khác.`,
  whichProfile: "từ điều thiết bị tự khai, chưa biết được hồ sơ nào đúng",
  whichProfileHint: (list) => `chỉ rõ: --profile ${list}`,
  noProfileFits: (driver) =>
    `chỉ rõ hồ sơ bạn biết: --profile hãng/model (kerb profiles liệt kê); hoặc lập nháp: kerb profile new (${driver})`,
  again: "rồi chạy lại lệnh",
  saveAnyway: "(muốn vẫn lưu: --save-anyway)",
  notTested: "Đã lưu dù phép thử chưa đạt.",
  notReached: "Chưa thử được phần vừa đổi: có lỗi khác chắn trước.",
  taken: (profile, why) => [`   hồ sơ ${profile}: ${why}`],
  writable: (offered) =>
    offered === 0
      ? "Không có điểm nào ghi được."
      : `Điểm được ghi: không có. Hồ sơ cho phép ${offered}: ghi những điểm cần vào write.allow.`,
  next: (id, site) => `Tiếp theo: kerb read ${id}${site}`,
  interrupted: "đã dừng giữa chừng",
  titles: ["MÃ", "TRẠNG THÁI", "DRIVER", "ĐỊA CHỈ", "HỒ SƠ", "LẦN TỐT CUỐI", "TÊN"],
  onlyFiles: "không có gateway đang chạy: đây là nội dung các tệp",
  brokenFiles: (count) =>
    `tệp cấu hình sai (${count} lỗi: kerb config check): đây là những gì gateway đang chạy`,
  noDevices: "Chưa có thiết bị.   Tiếp theo: kerb discover, rồi kerb device add",
  noneSo: "Không có thiết bị nào như vậy.",
  states: { ...stateWords.vi, unknown: "-" },
  counts: (count, good, bad) => `${count} thiết bị: ${good} trực tuyến, ${bad} hỏng`,
  labels: {
    file: "tệp",
    state: "trạng thái",
    address: "địa chỉ",
    driver: "driver",
    profile: "hồ sơ",
    fits: "mức hợp",
    identity: "danh tính",
    unit: "đã ghim",
    replaced: "đã thay",
    points: "điểm đo",
    writable: "được ghi",
    twin: "đặt từ xa",
    lastGood: "lần tốt cuối",
    polls: "lần đọc",
  },
  lines: (first, last) => (first === last ? `dòng ${first}` : `dòng ${first}-${last}`),
  noUnit: "chưa có: thiết bị trả lời đầu tiên sẽ được tin",
  noneWritable: (offered) =>
    offered === 0 ? "không có" : `không có; hồ sơ cho phép ${offered} (write.allow)`,
  pointCounts: (points, records) => `${points} điểm, ${records} bản ghi`,
  ownPoints: "không có, điểm đo ghi riêng",
  editable: "kerb device sửa được",
  notEditable: "viết tay: kerb không bao giờ sửa",
  pollCounts: (polls, failed, missed) => `${polls}, hỏng ${failed}, bỏ lỡ ${missed}`,
  setWhat: "chưa nói cần đặt gì",
  setWhatHint:
    "kerb device set DEVICE unit=7, hoặc host=10.0.0.5, transport.port=502, timeout=5s; đăng nhập: --user NAME",
  setSecretHint:
    "đăng nhập: --user NAME, mật khẩu sẽ được hỏi; nếu không, ghi tham chiếu: KEY='${secret:NAME}'",
  setId: "mã không phải là thiết lập: với IOC, mã khác là thiết bị khác",
  isSet: (id) => `${id} đã như vậy rồi`,
  nextWhy: (id, site) => `Tiếp theo: kerb why ${id}${site}`,
  nothingToDo: (what) => `Không có gì để làm: ${what}.`,
  isEnabled: (id) => `${id} đang bật`,
  isDisabled: (id) => `${id} đang tắt`,
  isNamed: (id, name) => `${id} đã có tên "${name}"`,
  renameWhat: "chưa nói đổi tên gì",
  renameWhatHint: 'kerb device rename MÃ "tên mới", hoặc --id MÃ-MỚI',
  newId: (before, after) =>
    `Với IOC, ${after} là thiết bị mới: topic mới, sự kiện mới. ${before} kết thúc ở đó; những gì còn chờ gửi vẫn được giao dưới tên ${before}.`,
  stillDelivered: (kept) =>
    kept === undefined
      ? "Những gì của nó còn trong hộp gửi vẫn được giao."
      : `Hộp gửi có ${kept} sự kiện: phần của nó vẫn được giao.`,
  secretLeft: (file) => `Không còn thiết bị nào dùng ${file}. Hãy xóa: rm ${file}`,
  removeAsk: (id) => `Gỡ ${id}? [c/K] `,
  disabledMeans: "Từ đó thiết bị không được đọc nữa; các dòng của nó vẫn còn.",
  unitBefore: "trước",
  unitNow: "bây giờ",
  nobody: "chưa có",
  sameUnit: "vẫn là thiết bị cũ trả lời: không có gì để thay",
  untoldUnit: "thiết bị mới không cho biết số sê-ri: không phân biệt được với thiết bị cũ",
  tellsNothing: "thiết bị không tự khai báo: không phân biệt được các thiết bị, không cần chấp nhận",
  replaceAsk: (id) => `Từ nay đây là thiết bị đúng của ${id}? [c/K] `,
  accepted: (id, who) => `${id}: từ nay ${who} là thiết bị đúng, đã ghi vào lịch sử.`,
  disabledFirst: (id) => `${id} đang tắt`,
  disabledFirstHint: (id) => `kerb device enable ${id}`,
  otherModel: "đây là model khác với model của hồ sơ",
  otherModelHint: (id) => `kerb device remove ${id}, rồi kerb device add với đúng --id đó`,
};

/** Every language's words. */
export const deviceWords = words({ en, vi });
