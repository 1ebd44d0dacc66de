import { cause } from "../cause-text.ts";

/** Modbus TCP and RTU. */
export const modbusCauses = {
  "KERB-MB-UNIT": cause(
    [
      "This unit is silent, and another one at the same place answers",
      "Unit này im lặng, nhưng unit khác cùng chỗ có trả lời",
    ],
    [
      "wrong `unit` in the site file, or this one unit has no power",
      "sai `unit` trong tệp cấu hình, hoặc riêng unit này mất nguồn",
    ],
    [
      "compare `unit` with the address that is set at the device; check its power",
      "so `unit` với địa chỉ đặt trên thiết bị; kiểm tra nguồn của nó",
    ],
  ),
  "KERB-MB-TARGET": cause(
    [
      "The Modbus gateway says that the unit behind it does not answer",
      "Bộ chuyển Modbus báo unit phía sau không trả lời",
    ],
    [
      "wrong `unit`, the unit has no power, or the serial side of the gateway is broken",
      "sai `unit`, unit mất nguồn, hoặc phía nối tiếp của bộ chuyển bị hỏng",
    ],
    [
      "check `unit` and power of the unit, then baud and wiring at the gateway's serial side",
      "kiểm tra `unit` và nguồn của unit, rồi baud và dây phía nối tiếp của bộ chuyển",
    ],
  ),
  "KERB-MB-SILENT": cause(
    ["The connection stands, and no unit answers", "Kết nối được nhưng không unit nào trả lời"],
    [
      "wrong `unit`, the device hangs, or the line behind a converter is dead",
      "sai `unit`, thiết bị bị treo, hoặc đường truyền sau bộ chuyển đổi bị hỏng",
    ],
    [
      "restart the device; behind a converter check the units' power and the pair A/B",
      "khởi động lại thiết bị; sau bộ chuyển đổi hãy kiểm tra nguồn unit và cặp dây A/B",
    ],
  ),
  "KERB-MB-NOISE": cause(
    ["The unit's answers arrive damaged", "Câu trả lời của unit bị hỏng trên đường truyền"],
    [
      "noise on the line: no termination, shield open, power cable beside it, or two units with one number",
      "nhiễu đường truyền: thiếu điện trở cuối, hở vỏ chống nhiễu, gần cáp lực, hoặc trùng số unit",
    ],
    [
      "120 Ω at both ends, shield on one side; try a lower baud rate; look for a second unit with this number",
      "đặt 120 Ω ở hai đầu, nối vỏ một phía; thử baud thấp hơn; tìm unit trùng số",
    ],
  ),
  "KERB-MB-LINE-GARBAGE": cause(
    ["Bytes come back, and they are no Modbus", "Có byte trả về nhưng không phải Modbus"],
    [
      "wrong baud rate or parity, A and B swapped, or another protocol on the line",
      "sai baud hoặc parity, đảo dây A và B, hoặc giao thức khác trên đường truyền",
    ],
    [
      "compare baud, parity and stop bits with the device; swap A and B",
      "so baud, parity và stop bit với thiết bị; thử đảo A và B",
    ],
  ),
  "KERB-MB-NOT-MODBUS": cause(
    ["What answers at this port is no Modbus TCP", "Dịch vụ tại cổng này không phải Modbus TCP"],
    ["another service has this port", "một dịch vụ khác dùng cổng này"],
    ["take the device's Modbus port, mostly 502", "dùng cổng Modbus của thiết bị, thường là 502"],
    false,
  ),
  "KERB-MB-FRAMING": cause(
    [
      "The device speaks the other kind of Modbus on this port",
      "Thiết bị dùng kiểu Modbus khác tại cổng này",
    ],
    [
      "a converter that passes RTU frames through, or one that makes Modbus TCP of them",
      "bộ chuyển đổi chuyển thẳng khung RTU, hoặc đổi sang Modbus TCP",
    ],
    [
      "write the transport type that answers into the site file: tcp or rtu-over-tcp",
      "ghi đúng kiểu transport có trả lời vào tệp cấu hình: tcp hoặc rtu-over-tcp",
    ],
    false,
  ),
  "KERB-MB-FUNCTION": cause(
    ["The device does not have this Modbus function", "Thiết bị không hỗ trợ hàm Modbus này"],
    [
      "the profile is for another model, or `functions` names too many",
      "hồ sơ của model khác, hoặc `functions` liệt kê thừa",
    ],
    [
      "leave the function out of `functions`, or choose the right profile",
      "bỏ hàm đó khỏi `functions`, hoặc chọn đúng hồ sơ",
    ],
    false,
  ),
  "KERB-MB-REGISTERS": cause(
    ["The device does not have these registers", "Thiết bị không có các thanh ghi này"],
    [
      "the profile is for another model, or its addresses count from the other base (0 or 1)",
      "hồ sơ của model khác, hoặc địa chỉ đếm từ gốc khác (0 hoặc 1)",
    ],
    [
      'compare model and profile: kerb identify DEVICE; kerb browse DEVICE --under "holding 0-199"',
      'so model và hồ sơ: kerb identify THIẾT_BỊ; kerb browse THIẾT_BỊ --under "holding 0-199"',
    ],
    false,
  ),
};
