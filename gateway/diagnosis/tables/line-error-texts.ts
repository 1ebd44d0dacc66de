import { cause } from "../cause-text.ts";

/** Serial ports and what hangs on them. */
export const lineCauses = {
  "KERB-LINE-SETTINGS": cause(
    [
      "The device speaks with other line settings than the site file's",
      "Thiết bị dùng thông số đường truyền khác với tệp cấu hình",
    ],
    [
      "baud rate or parity were set otherwise at the device, or it came so from the factory",
      "tốc độ baud hoặc chẵn lẻ trên thiết bị đã được đặt khác, hoặc mặc định của hãng là vậy",
    ],
    [
      "kerb device set DEVICE transport.baud=RATE transport.parity=PARITY with what was seen, or set the device",
      "kerb device set THIẾT_BỊ transport.baud=TỐC_ĐỘ transport.parity=CHẴN_LẺ theo thông số đã thấy, hoặc đặt lại thiết bị",
    ],
    false,
  ),
  "KERB-LINE-DEAD": cause(
    ["No unit on the line answers any more", "Không còn unit nào trên đường truyền trả lời"],
    [
      "the bus is cut or shorted, the converter has no power, or the units' common supply is off",
      "bus bị đứt hoặc chập, bộ chuyển đổi mất nguồn, hoặc nguồn chung của các unit bị tắt",
    ],
    [
      "check the converter's power and lights, then the pair A/B up to the first unit",
      "kiểm tra nguồn và đèn bộ chuyển đổi, rồi cặp dây A/B đến unit đầu tiên",
    ],
  ),
  "KERB-LINE-MISSING": cause(
    ["There is no such serial port on this box", "Hộp không có cổng nối tiếp này"],
    [
      "the USB adapter is out, or it got another name after a restart",
      "bộ chuyển USB đã bị rút, hoặc đổi tên sau khi khởi động lại",
    ],
    [
      "plug the adapter in; name the port by its path below /dev/serial/by-id",
      "cắm lại bộ chuyển; ghi cổng theo đường dẫn trong /dev/serial/by-id",
    ],
  ),
  "KERB-LINE-NOT-PORT": cause(
    ["The path is no serial port", "Đường dẫn không phải cổng nối tiếp"],
    ["a slip in `port`: another file stands there", "gõ sai `port`: ở đó là một tệp khác"],
    [
      "choose a port of: ls /dev/serial/by-id /dev/ttyS*",
      "chọn một cổng trong: ls /dev/serial/by-id /dev/ttyS*",
    ],
    false,
  ),
  "KERB-LINE-PERMISSION": cause(
    ["kerb may not open the serial port", "kerb không có quyền mở cổng nối tiếp"],
    ["the user is not in the group of the port", "người dùng không thuộc nhóm của cổng"],
    [
      "usermod -aG dialout kerb, then start the gateway again",
      "usermod -aG dialout kerb, rồi khởi động lại gateway",
    ],
    false,
  ),
  "KERB-LINE-BUSY": cause(
    ["Another program has the serial port", "Phần mềm khác đang giữ cổng nối tiếp"],
    [
      "a test tool, a console on the port, or a second gateway",
      "công cụ thử, console trên cổng, hoặc một gateway thứ hai",
    ],
    ["find it with `fuser -v PORT` and stop it", "tìm bằng `fuser -v CỔNG` rồi dừng nó"],
  ),
  "KERB-LINE-CONFLICT": cause(
    [
      "Two devices of one port have different line settings",
      "Hai thiết bị cùng cổng có thông số đường truyền khác nhau",
    ],
    [
      "baud, parity or stop bits differ between them in the site file",
      "baud, parity hoặc stop bit khác nhau trong tệp cấu hình",
    ],
    [
      "give all devices of the port the same line settings",
      "đặt cùng thông số đường truyền cho mọi thiết bị của cổng",
    ],
    false,
  ),
  "KERB-LINE-GONE": cause(
    ["The serial port went away while it was open", "Cổng nối tiếp biến mất khi đang mở"],
    [
      "the USB adapter was pulled, or restarts for want of power",
      "bộ chuyển USB bị rút hoặc thiếu nguồn nên khởi động lại",
    ],
    [
      "check plug and power of the adapter; see `dmesg`",
      "kiểm tra đầu cắm và nguồn của bộ chuyển; xem `dmesg`",
    ],
  ),
  "KERB-LINE-BABBLE": cause(
    ["Somebody on the line never stops talking", "Có thiết bị nói liên tục trên đường truyền"],
    [
      "a second master on the bus, a stuck transmitter, or an instrument that sends by itself",
      "có master thứ hai trên bus, bộ phát bị kẹt, hoặc thiết bị tự gửi",
    ],
    ["take the units off one by one until the line is quiet", "tháo từng unit cho đến khi đường truyền im"],
  ),
  "KERB-LINE-GARBAGE": cause(
    ["Bytes come, and none of them is an answer", "Có byte đến nhưng không phải câu trả lời"],
    ["wrong baud rate or parity, or A and B are swapped", "sai baud hoặc parity, hoặc đảo dây A và B"],
    [
      "compare baud, parity and stop bits with the device; swap A and B",
      "so baud, parity và stop bit với thiết bị; thử đảo A và B",
    ],
  ),
  "KERB-LINE-SILENT": cause(
    ["The instrument on the line does not answer", "Thiết bị trên đường truyền không trả lời"],
    ["no power, another station address, or a broken pair", "mất nguồn, sai địa chỉ trạm, hoặc đứt dây"],
    [
      "check power and `station`, then transmit and receive of the pair",
      "kiểm tra nguồn và `station`, rồi dây phát và thu",
    ],
  ),
};
