import { cause } from "../cause-text.ts";

/** Devices behind an MQTT broker. */
export const mqttCauses = {
  "KERB-MQTT-BROKER": cause(
    ["The broker is gone, and all its devices with it", "Broker mất liên lạc cùng mọi thiết bị của nó"],
    ["the broker's service or machine is down", "dịch vụ hoặc máy chạy MQTT đã dừng"],
    [
      "start the broker; the devices come back by themselves",
      "khởi động lại broker; các thiết bị sẽ tự trở lại",
    ],
  ),
  "KERB-MQTT-LOGIN": cause(
    ["The broker refuses user and password", "Broker từ chối tài khoản và mật khẩu"],
    ["wrong `username` or `password`", "sai `username` hoặc `password`"],
    [
      "correct them in the site file; on a network server an API key is the password",
      "sửa trong tệp cấu hình; với máy chủ mạng LoRa, mật khẩu là API key",
    ],
    false,
  ),
  "KERB-MQTT-AUTHORISATION": cause(
    ["The broker knows kerb and does not let it in", "Broker biết kerb nhưng không cho vào"],
    [
      "the broker wants a login and got none, or this client id is not allowed",
      "broker đòi đăng nhập mà chưa có, hoặc client id không được phép",
    ],
    [
      "write `username` and `password`, or allow the client id at the broker",
      "ghi `username` và `password`, hoặc cho phép client id trên broker",
    ],
    false,
  ),
  "KERB-MQTT-TOPIC-RIGHTS": cause(
    ["The broker does not let kerb listen to the device's topic", "Broker không cho nghe topic của thiết bị"],
    ["the user's rights do not cover the topic", "quyền của tài khoản không bao gồm topic này"],
    ["give the user read rights on the topic at the broker", "cấp quyền đọc topic cho tài khoản trên broker"],
    false,
  ),
  "KERB-MQTT-VERSION": cause(
    ["The broker does not speak this version of MQTT", "Broker không dùng phiên bản MQTT này"],
    [
      "`protocol: 5` with an old broker, or the other way round",
      "`protocol: 5` với broker cũ, hoặc ngược lại",
    ],
    ["write the other `protocol`: 3.1.1 or 5", "ghi `protocol` còn lại: 3.1.1 hoặc 5"],
    false,
  ),
  "KERB-MQTT-ID": cause(
    ["Another client has the same client id", "Phần mềm khác dùng cùng client id"],
    ["a second gateway, or a copy of this box's disk", "một gateway thứ hai, hoặc bản sao đĩa của hộp này"],
    [
      "stop the other one, or give one of the two another `clientId`",
      "dừng bên kia, hoặc đổi `clientId` của một bên",
    ],
    false,
  ),
  "KERB-MQTT-NOT-MQTT": cause(
    ["What answers at this port is no MQTT", "Dịch vụ tại cổng này không phải MQTT"],
    [
      "another service, or the broker's TLS or WebSocket port",
      "dịch vụ khác, hoặc cổng TLS hay WebSocket của broker",
    ],
    ["take 1883, or 8883 with `tls`", "dùng 1883, hoặc 8883 kèm `tls`"],
    false,
  ),
  "KERB-MQTT-CLOSES": cause(
    ["The broker closes the connection before it has let kerb in", "Broker ngắt kết nối trước khi cho vào"],
    [
      "the port wants TLS, or the broker allows only known addresses",
      "cổng cần TLS, hoặc broker chỉ nhận địa chỉ đã biết",
    ],
    [
      "add `tls`, or take the plain port; look into the broker's log",
      "thêm `tls`, hoặc dùng cổng không mã hóa; xem nhật ký broker",
    ],
  ),
  "KERB-MQTT-MUTE": cause(
    ["The broker takes the connection and does not answer", "Broker nhận kết nối nhưng không trả lời"],
    ["the broker hangs, or its disk is full", "broker bị treo, hoặc đầy đĩa"],
    ["restart the broker; look at its disk", "khởi động lại broker; kiểm tra đĩa"],
  ),
  "KERB-MQTT-UNAVAILABLE": cause(
    ["The broker says that it cannot serve now", "Broker báo không phục vụ được lúc này"],
    ["it is starting, or has too many clients", "đang khởi động, hoặc quá nhiều kết nối"],
    ["wait a minute; look into the broker's log", "chờ một phút; xem nhật ký broker"],
  ),
  "KERB-MQTT-OFFLINE": cause(
    ["The broker is well and says that the device is offline", "Broker tốt, và báo thiết bị ngoại tuyến"],
    [
      "the device or its radio gateway has no power or no reception",
      "thiết bị hoặc gateway sóng mất nguồn hoặc mất sóng",
    ],
    [
      "check the device's power or battery, then the radio gateway",
      "kiểm tra nguồn hoặc pin của thiết bị, rồi gateway sóng",
    ],
  ),
  "KERB-MQTT-DEVICE-SILENT": cause(
    ["The broker is well, and the device publishes nothing", "Broker tốt nhưng thiết bị không gửi gì"],
    [
      "the device is off or out of reach, or `variables` name another topic than it uses",
      "thiết bị tắt hoặc ngoài vùng phủ sóng, hoặc `variables` chỉ sai topic",
    ],
    [
      "compare `variables` with the topics at the broker; check the device's power or battery",
      "so `variables` với topic trên broker; kiểm tra nguồn hoặc pin của thiết bị",
    ],
  ),
};
