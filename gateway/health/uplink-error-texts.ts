import { cause } from "../diagnosis/cause-text.ts";

/** Why there is no session with the broker, where the broker, its TLS or what else listens there says it exactly. */
export const uplinkCauses = {
  "KERB-UP-TLS-EXPIRED": cause(
    ["The broker's certificate has run out", "Chứng thư của broker đã hết hạn"],
    [
      "the IOC has not renewed it, or the box's clock is ahead",
      "IOC chưa gia hạn, hoặc đồng hồ của hộp chạy nhanh",
    ],
    [
      "check the box's clock (kerb health), then ask the IOC for a new certificate of the broker",
      "kiểm tra đồng hồ của hộp (kerb health), rồi yêu cầu IOC thay chứng thư của broker",
    ],
  ),
  "KERB-UP-TLS-NOT-YET": cause(
    ["The broker's certificate is not valid yet", "Chứng thư của broker chưa có hiệu lực"],
    ["the box's clock is behind", "đồng hồ của hộp chạy chậm"],
    ["set the box's clock: kerb health shows it", "chỉnh đồng hồ của hộp: kerb health cho biết"],
  ),
  "KERB-UP-TLS-NAME": cause(
    ["The broker's certificate is for another name", "Chứng thư của broker dành cho tên khác"],
    [
      "`url` has an address or an alias, or leads to another server",
      "`url` ghi địa chỉ IP hoặc tên khác, hoặc dẫn tới máy chủ khác",
    ],
    [
      "write the name of the certificate in `url` or as `tls.serverName`, once the IOC has confirmed it",
      "ghi tên trong chứng thư vào `url` hoặc `tls.serverName`, sau khi IOC xác nhận",
    ],
    false,
  ),
  "KERB-UP-TLS-PLAIN": cause(
    ["The broker speaks no TLS at this port", "Broker không dùng TLS ở cổng này"],
    [
      "`url` says mqtts:// with the broker's plain port",
      "`url` ghi mqtts:// nhưng dùng cổng không mã hóa của broker",
    ],
    [
      "take the broker's TLS port (usually 8883) in `url`",
      "ghi cổng TLS của broker (thường là 8883) trong `url`",
    ],
    false,
  ),
  "KERB-UP-TLS-WANTED": cause(
    ["The broker wants TLS at this port", "Broker yêu cầu TLS ở cổng này"],
    ["`url` says mqtt:// with the broker's TLS port", "`url` ghi mqtt:// nhưng dùng cổng TLS của broker"],
    ["write mqtts:// in `url`, and `tls.ca`", "ghi mqtts:// trong `url`, và `tls.ca`"],
    false,
  ),
  "KERB-UP-TLS-OWN": cause(
    ["The gateway's own TLS files cannot be used", "Không dùng được các tệp TLS của gateway"],
    [
      "`tls.key` does not belong to `tls.cert`, or one of the files is not PEM",
      "`tls.key` không khớp với `tls.cert`, hoặc một tệp không phải PEM",
    ],
    [
      "copy certificate, key and `tls.ca` anew from the IOC's delivery",
      "sao chép lại chứng thư, khóa và `tls.ca` do IOC cấp",
    ],
    false,
  ),
  "KERB-UP-FULL": cause(
    ["The broker lets nobody in at present", "Broker hiện không nhận thêm kết nối"],
    ["it has as many clients as it takes, or it is starting", "đã đủ số kết nối tối đa, hoặc đang khởi động"],
    [
      "ask the IOC to raise the broker's limit of connections; the gateway tries again by itself",
      "yêu cầu IOC tăng số kết nối tối đa của broker; gateway tự thử lại",
    ],
  ),
  "KERB-UP-HUNG-UP": cause(
    ["The broker hangs up before it has answered", "Broker ngắt kết nối trước khi trả lời"],
    [
      "it has as many clients as it takes (mosquitto says so by hanging up), the port is meant for TLS and `url` is not, or the other way round",
      "đã đủ số kết nối tối đa (mosquitto báo bằng cách ngắt), hoặc cổng dùng TLS mà `url` thì không, hoặc ngược lại",
    ],
    [
      "run kerb upstream test, which tries both; then ask the IOC for the broker's limit of connections and its log",
      "chạy kerb upstream test, lệnh này thử cả hai; sau đó hỏi IOC giới hạn kết nối và nhật ký của broker",
    ],
  ),
  "KERB-UP-CLIENT-ID": cause(
    ["The broker does not take this gateway's client id", "Broker không nhận client id của gateway này"],
    [
      "the broker has a list of ids, and the gateway id is not on it",
      "broker có danh sách mã, và mã gateway không có trong đó",
    ],
    ["give the IOC the gateway id of the site file", "gửi IOC mã gateway ghi trong tệp cấu hình"],
    false,
  ),
  "KERB-UP-NOT-MQTT": cause(
    ["What answers at the IOC's port is no MQTT", "Dịch vụ tại cổng của IOC không phải MQTT"],
    [
      "`url` leads to another service: a web server, or the broker's WebSocket port",
      "`url` dẫn tới dịch vụ khác: máy chủ web, hoặc cổng WebSocket của broker",
    ],
    ["check host and port in `url` with the IOC", "đối chiếu máy chủ và cổng trong `url` với IOC"],
    false,
  ),
};
