import { cause } from "../cause-text.ts";

/** What may be wrong with a device of any protocol. */
export const deviceCauses = {
  "KERB-DEV-OFF": cause(
    ["The device is switched off in the site file", "Thiết bị đang bị tắt trong tệp cấu hình"],
    ["somebody wrote `enabled: false`", "có người đã ghi `enabled: false`"],
    ["kerb device enable DEVICE, if it is to be read", "kerb device enable THIẾT_BỊ, nếu cần đọc"],
    false,
  ),
  "KERB-DEV-DRIVER-DOWN": cause(
    ["The driver's process is down", "Tiến trình driver không chạy"],
    ["it ended again and again, or is being started", "nó dừng nhiều lần, hoặc đang khởi động"],
    [
      "kerb health shows why; all devices of the driver come back with it",
      "kerb health cho biết lý do; các thiết bị của driver sẽ trở lại cùng nó",
    ],
  ),
  "KERB-DEV-MODEL": cause(
    ["Another model answers at the device's address", "Một model khác trả lời tại địa chỉ của thiết bị"],
    [
      "the device was exchanged, or address or profile in the site file are another device's",
      "thiết bị đã bị thay, hoặc địa chỉ hay hồ sơ trong tệp cấu hình là của thiết bị khác",
    ],
    [
      "kerb identify DEVICE shows who answers and which profile fits",
      "kerb identify THIẾT_BỊ cho biết ai trả lời và hồ sơ nào phù hợp",
    ],
    false,
  ),
  "KERB-DEV-FIRMWARE": cause(
    [
      "The device has a firmware that its profile does not speak of",
      "Firmware của thiết bị nằm ngoài phạm vi của hồ sơ",
    ],
    [
      "its firmware was changed; values are uncertain until somebody has checked them",
      "firmware đã được thay đổi; giá trị chưa chắc chắn cho đến khi có người kiểm tra",
    ],
    [
      "kerb identify DEVICE shows which profile holds; compare a few values with the device's own display",
      "kerb identify THIẾT_BỊ cho biết hồ sơ nào phù hợp; so vài giá trị với màn hình của thiết bị",
    ],
    false,
  ),
  "KERB-DEV-UNIT": cause(
    [
      "Another unit answers than the one that was here first",
      "Một chiếc khác trả lời, không phải chiếc ban đầu",
    ],
    ["the device was exchanged", "thiết bị đã được thay"],
    ["if that is right: kerb identify DEVICE --accept", "nếu đúng như vậy: kerb identify THIẾT_BỊ --accept"],
    false,
  ),
  "KERB-DEV-BAD-VALUES": cause(
    ["The device answers, and not one point can be read", "Thiết bị trả lời nhưng không đọc được điểm nào"],
    ["the profile is for another model, or firmware", "hồ sơ dành cho model hoặc firmware khác"],
    [
      "kerb identify DEVICE shows which profile fits; kerb browse DEVICE what it has",
      "kerb identify THIẾT_BỊ cho biết hồ sơ nào phù hợp; kerb browse THIẾT_BỊ cho biết nó có gì",
    ],
    false,
  ),
  "KERB-DEV-SOME-BAD": cause(
    ["Some points of the device cannot be read", "Một số điểm của thiết bị không đọc được"],
    [
      "the unit lacks an option, or its firmware has other addresses",
      "thiết bị thiếu tùy chọn, hoặc firmware dùng địa chỉ khác",
    ],
    [
      "kerb read DEVICE shows them; switch off in the site file what this unit does not have",
      "kerb read THIẾT_BỊ liệt kê chúng; tắt trong tệp cấu hình những gì thiết bị không có",
    ],
    false,
  ),
  "KERB-DEV-SLOW": cause(
    ["The device answers slower than it is asked", "Thiết bị trả lời chậm hơn nhịp hỏi"],
    [
      "the device or its line is overloaded, or `poll` is too short for it",
      "thiết bị hoặc đường truyền quá tải, hoặc `poll` quá ngắn",
    ],
    ["lengthen `poll` of the device, or read fewer points", "tăng `poll` của thiết bị, hoặc đọc ít điểm hơn"],
  ),
  "KERB-DEV-TIMEOUT": cause(
    [
      "The device answers, but later than kerb waits",
      "Thiết bị có trả lời nhưng muộn hơn thời gian kerb chờ",
    ],
    [
      "`timeout` is too short for this device or its line",
      "`timeout` quá ngắn cho thiết bị hoặc đường truyền",
    ],
    ["lengthen `timeout` beyond the time that was seen", "tăng `timeout` vượt thời gian đo được"],
  ),
  "KERB-DEV-LOSSY": cause(
    ["Many polls of the device fail", "Nhiều lần đọc thiết bị bị hỏng"],
    ["a bad link: radio, noise on the line, a loose plug", "đường truyền kém: sóng yếu, nhiễu, lỏng đầu nối"],
    [
      "check plugs, shield and termination; see the share fall with `kerb why`",
      "kiểm tra đầu nối, vỏ chống nhiễu, điện trở cuối; theo dõi tỷ lệ bằng `kerb why`",
    ],
  ),
  "KERB-DEV-HANGS-UP": cause(
    ["The device closes each connection at once", "Thiết bị ngắt mọi kết nối ngay lập tức"],
    [
      "it serves fewer clients than it has, allows only known addresses, or restarts over and over",
      "quá số kết nối cho phép, chỉ nhận địa chỉ đã biết, hoặc liên tục khởi động lại",
    ],
    [
      "stop other programs that talk to it; enter the box's address in the device's allow list",
      "tắt phần mềm khác đang nối tới; thêm địa chỉ của hộp vào danh sách cho phép của thiết bị",
    ],
  ),
  "KERB-DEV-NOT-ASKED": cause(
    [
      "The gateway could not ask the device just now; what it knows is as old as the last poll",
      "Gateway hiện không hỏi được thiết bị; thông tin đang có là của lần đọc trước",
    ],
    [
      "the line is full, the driver hangs or starts again, or the device only tells by itself",
      "đường truyền đầy, driver bị treo hoặc đang khởi động lại, hoặc thiết bị chỉ tự gửi",
    ],
    [
      "kerb health shows how the driver stands; ask again in a minute",
      "kerb health cho biết tình trạng driver; hỏi lại sau một phút",
    ],
  ),
  "KERB-DEV-BACK": cause(
    ["The device answers again", "Thiết bị đã trả lời trở lại"],
    [
      "it was away, and the gateway waits before it tries again",
      "thiết bị vừa mất liên lạc, gateway chờ trước khi thử lại",
    ],
    [
      "nothing: the gateway connects by itself within a minute",
      "không cần làm gì: gateway tự kết nối lại trong một phút",
    ],
  ),
};
