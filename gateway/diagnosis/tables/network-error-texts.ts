import { cause } from "../cause-text.ts";

/** The way to a device: names, routes, ports, and what several devices share. */
export const networkCauses = {
  "KERB-NET-SWITCH": cause(
    ["Several devices of one network went away together", "Nhiều thiết bị cùng mạng mất liên lạc cùng lúc"],
    [
      "the switch, its power supply or the cable between box and switch is down",
      "switch, nguồn của switch hoặc cáp giữa hộp và switch bị hỏng",
    ],
    [
      "look at the switch: power, link lights, the cable to the box; the devices come back by themselves",
      "kiểm tra switch: nguồn, đèn cổng, cáp nối với hộp; các thiết bị sẽ tự trở lại",
    ],
  ),
  "KERB-NET-HOST": cause(
    ["A machine with several devices went away", "Mất liên lạc với một máy có nhiều thiết bị"],
    [
      "the converter or controller in front of them has no power or no network",
      "bộ chuyển đổi hoặc bộ điều khiển phía trước mất nguồn hoặc mất mạng",
    ],
    [
      "check power and link light of that machine, then ping it from the box",
      "kiểm tra nguồn và đèn mạng của máy đó, rồi ping từ hộp",
    ],
  ),
  "KERB-NET-NAME": cause(
    ["The device's host name is not known", "Không tìm thấy tên máy của thiết bị"],
    [
      "a slip in `host`, or no name server is reached from the box",
      "gõ sai `host`, hoặc hộp không tới được máy chủ tên miền",
    ],
    [
      "write the IP address into `host`, or check the name with: getent hosts NAME",
      "ghi địa chỉ IP vào `host`, hoặc kiểm tra tên bằng: getent hosts TÊN",
    ],
  ),
  "KERB-NET-ROUTE": cause(
    ["The box has no way to the device's network", "Hộp không có đường tới mạng của thiết bị"],
    [
      "the box's cable is out, or its address is in another subnet than the device",
      "hộp chưa cắm cáp mạng, hoặc địa chỉ hộp khác lớp mạng với thiết bị",
    ],
    [
      "compare `ip -br address` of the box with the device's address and mask; check the box's link light",
      "so `ip -br address` của hộp với địa chỉ và mặt nạ của thiết bị; kiểm tra đèn mạng của hộp",
    ],
  ),
  "KERB-NET-SILENT": cause(
    ["Nobody answers at the device's address", "Không có ai trả lời tại địa chỉ của thiết bị"],
    [
      "the device has no power, its cable is out, or it has another IP address",
      "thiết bị mất nguồn, đứt cáp, hoặc có địa chỉ IP khác",
    ],
    [
      "check the device's power and link light; then look for it: kerb discover SUBNET",
      "kiểm tra nguồn và đèn mạng của thiết bị; sau đó dò tìm: kerb discover LỚP_MẠNG",
    ],
  ),
  "KERB-NET-PORT": cause(
    [
      "The machine is there, and nothing listens at this port",
      "Máy có trả lời, nhưng không có gì lắng nghe tại cổng này",
    ],
    [
      "wrong `port` in the site file, or the service is switched off in the device",
      "sai `port` trong tệp cấu hình, hoặc dịch vụ trên thiết bị đang tắt",
    ],
    [
      "compare `port` with the device's own page and switch the service on there",
      "so `port` với trang cấu hình của thiết bị và bật dịch vụ ở đó",
    ],
  ),
};
