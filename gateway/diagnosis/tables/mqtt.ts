import { cause } from "../cause-text.ts";
import type { Rule } from "../rule.ts";

/** Devices behind an MQTT broker. */
export const mqttCauses = {
  "KERB-MQTT-BROKER": cause(
    ["The broker is gone, and all its devices with it", "Máy chủ MQTT mất liên lạc cùng mọi thiết bị của nó"],
    ["the broker's service or machine is down", "dịch vụ hoặc máy chạy MQTT đã dừng"],
    [
      "start the broker; the devices come back by themselves",
      "khởi động lại máy chủ MQTT; các thiết bị sẽ tự trở lại",
    ],
  ),
  "KERB-MQTT-LOGIN": cause(
    ["The broker refuses user and password", "Máy chủ MQTT từ chối tài khoản và mật khẩu"],
    ["wrong `username` or `password`", "sai `username` hoặc `password`"],
    [
      "correct them in the site file; on a network server an API key is the password",
      "sửa trong tệp cấu hình; với máy chủ mạng LoRa, mật khẩu là API key",
    ],
    false,
  ),
  "KERB-MQTT-AUTHORISATION": cause(
    ["The broker knows kerb and does not let it in", "Máy chủ MQTT biết kerb nhưng không cho vào"],
    [
      "the broker wants a login and got none, or this client id is not allowed",
      "máy chủ đòi đăng nhập mà chưa có, hoặc client id không được phép",
    ],
    [
      "write `username` and `password`, or allow the client id at the broker",
      "ghi `username` và `password`, hoặc cho phép client id trên máy chủ",
    ],
    false,
  ),
  "KERB-MQTT-TOPIC-RIGHTS": cause(
    [
      "The broker does not let kerb listen to the device's topic",
      "Máy chủ MQTT không cho nghe topic của thiết bị",
    ],
    ["the user's rights do not cover the topic", "quyền của tài khoản không bao gồm topic này"],
    [
      "give the user read rights on the topic at the broker",
      "cấp quyền đọc topic cho tài khoản trên máy chủ",
    ],
    false,
  ),
  "KERB-MQTT-VERSION": cause(
    ["The broker does not speak this version of MQTT", "Máy chủ không dùng phiên bản MQTT này"],
    [
      "`protocol: 5` with an old broker, or the other way round",
      "`protocol: 5` với máy chủ cũ, hoặc ngược lại",
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
      "dịch vụ khác, hoặc cổng TLS hay WebSocket của máy chủ",
    ],
    ["take 1883, or 8883 with `tls`", "dùng 1883, hoặc 8883 kèm `tls`"],
    false,
  ),
  "KERB-MQTT-CLOSES": cause(
    ["The broker closes the connection before it has let kerb in", "Máy chủ ngắt kết nối trước khi cho vào"],
    [
      "the port wants TLS, or the broker allows only known addresses",
      "cổng cần TLS, hoặc máy chủ chỉ nhận địa chỉ đã biết",
    ],
    [
      "add `tls`, or take the plain port; look into the broker's log",
      "thêm `tls`, hoặc dùng cổng không mã hóa; xem nhật ký máy chủ",
    ],
  ),
  "KERB-MQTT-MUTE": cause(
    ["The broker takes the connection and does not answer", "Máy chủ MQTT nhận kết nối nhưng không trả lời"],
    ["the broker hangs, or its disk is full", "máy chủ bị treo, hoặc đầy đĩa"],
    ["restart the broker; look at its disk", "khởi động lại máy chủ; kiểm tra đĩa"],
  ),
  "KERB-MQTT-UNAVAILABLE": cause(
    ["The broker says that it cannot serve now", "Máy chủ MQTT báo không phục vụ được lúc này"],
    ["it is starting, or has too many clients", "đang khởi động, hoặc quá nhiều kết nối"],
    ["wait a minute; look into the broker's log", "chờ một phút; xem nhật ký máy chủ"],
  ),
  "KERB-MQTT-OFFLINE": cause(
    [
      "The broker is well and says that the device is offline",
      "Máy chủ MQTT tốt, và báo thiết bị ngoại tuyến",
    ],
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
    ["The broker is well, and the device publishes nothing", "Máy chủ MQTT tốt nhưng thiết bị không gửi gì"],
    [
      "the device is off or out of reach, or `variables` name another topic than it uses",
      "thiết bị tắt hoặc ngoài vùng phủ sóng, hoặc `variables` chỉ sai topic",
    ],
    [
      "compare `variables` with the topics at the broker; check the device's power or battery",
      "so `variables` với topic trên máy chủ; kiểm tra nguồn hoặc pin của thiết bị",
    ],
  ),
};

const seen = { en: "{message}", vi: "{message}" };

export const mqttRules: Rule<keyof typeof mqttCauses>[] = [
  {
    cause: "KERB-MQTT-BROKER",
    on: ["network", "port", "protocol"],
    when: { "group.kind": "broker" },
    seen: {
      en: "all {group.size} devices behind {group.at} are lost since the same minute: {group.devices}",
      vi: "cả {group.size} thiết bị sau {group.at} mất liên lạc từ cùng một phút: {group.devices}",
    },
  },
  { cause: "KERB-MQTT-LOGIN", on: "login", when: { "mqtt.refused": "password" }, seen },
  { cause: "KERB-MQTT-AUTHORISATION", on: "login", when: { "mqtt.refused": "authorisation" }, seen },
  { cause: "KERB-MQTT-TOPIC-RIGHTS", on: "login", when: { "mqtt.refused": "subscribe" }, seen },
  { cause: "KERB-MQTT-ID", on: "login", when: { "mqtt.refused": ["id", "id-in-use"] }, seen },
  { cause: "KERB-MQTT-VERSION", on: "protocol", when: { "mqtt.refused": "version" }, seen },
  { cause: "KERB-MQTT-UNAVAILABLE", on: "protocol", when: { "mqtt.refused": "unavailable" }, seen },
  {
    cause: "KERB-MQTT-NOT-MQTT",
    on: "protocol",
    when: { "mqtt.notMqtt": true, tls: { present: false } },
    seen,
  },
  { cause: "KERB-MQTT-CLOSES", on: "protocol", when: { "mqtt.closes": true }, seen },
  { cause: "KERB-MQTT-MUTE", on: "protocol", when: { "mqtt.mute": true }, seen },
  { cause: "KERB-MQTT-OFFLINE", on: "values", when: { "mqtt.saysOffline": true }, seen },
  {
    cause: "KERB-MQTT-DEVICE-SILENT",
    on: "values",
    when: { "values.heard": 0 },
    seen: {
      en: "the broker at {place} lets kerb listen, and nothing of this device comes",
      vi: "máy chủ tại {place} cho nghe, nhưng không có tin nào của thiết bị này",
    },
  },
  {
    cause: "KERB-MQTT-DEVICE-SILENT",
    on: ["protocol", "values"],
    when: { error: "silent", "net.tcp": "open", "mqtt.mute": { present: false } },
    seen,
  },
];
