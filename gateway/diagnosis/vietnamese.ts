/**
 * What drivers and hosts say of a device in English, in Vietnamese. The sentences stay English where they are made, in
 * logs and events; what a device or a library said stands in them as it was said.
 */

/** "{}": whatever stands there. */
const phrases: readonly (readonly [english: string, vietnamese: string])[] = [
  // Silence.
  ["no whole answer within {} ms", "không có câu trả lời trọn vẹn trong {} ms"],
  ["no answer to {} within {} ms", "không trả lời {} trong {} ms"],
  ["no answer within {} ms", "không trả lời trong {} ms"],
  ["no answer within {} s", "không trả lời trong {} giây"],
  ["no connection within {} ms", "không kết nối được trong {} ms"],
  ["no TLS within {} ms", "không thiết lập được TLS trong {} ms"],
  ["no acknowledgement of {} within {} ms", "không xác nhận {} trong {} ms"],
  ["no sign of life of the subscription within {} ms", "kênh đăng ký im lặng quá {} ms"],
  ["nothing has been heard for {} s", "không nghe thấy gì trong {} giây"],
  ["the site has not called within {} ms", "site không gọi tới trong {} ms"],
  ["the broker did not let us in within {} ms", "broker không cho vào trong {} ms"],
  ["the broker does not answer pings", "broker không trả lời ping"],
  ["more than {} requests are not answered", "hơn {} yêu cầu chưa được trả lời"],
  ["no answer to", "không trả lời"],
  ["no answer", "không trả lời"],
  ["request identification", "yêu cầu nhận dạng"],
  ["the wake-up", "lệnh đánh thức"],
  ["read coil {}", "lệnh đọc coil {}"],
  ["read discrete {}", "lệnh đọc discrete {}"],
  ["read input {}", "lệnh đọc input {}"],
  ["read holding {}", "lệnh đọc holding {}"],
  // The connection.
  [
    "the broker closed the connection before it let us in; is it the right port, and does it want tls?",
    "broker đóng kết nối trước khi cho vào; có đúng cổng không, nó có cần tls không?",
  ],
  ["the device closed the connection", "thiết bị đã đóng kết nối"],
  ["the other end closed the connection", "đầu kia đã đóng kết nối"],
  ["the server closed the connection", "máy chủ đã đóng kết nối"],
  ["the broker closed the connection", "broker đã đóng kết nối"],
  ["the site closed the connection", "site đã đóng kết nối"],
  ["the device has ended the subscription", "thiết bị đã kết thúc kênh đăng ký"],
  ["the server has ended the subscription", "máy chủ đã kết thúc kênh đăng ký"],
  ["the connection is closed", "kết nối đã đóng"],
  ["the connection was closed", "kết nối đã bị đóng"],
  ["closed before it had answered", "đóng kết nối trước khi trả lời"],
  ["closed before TLS was agreed", "đóng kết nối khi chưa thỏa thuận xong TLS"],
  ["the answer was cut off", "câu trả lời bị cắt ngang"],
  ["is not connected", "chưa được kết nối"],
  ["given up by the caller", "bên gọi đã thôi chờ"],
  ["nothing listens there", "ở đó không có gì lắng nghe"],
  ["there is no address for the name {}", "không có địa chỉ nào cho tên {}"],
  ["no address for this name", "không có địa chỉ cho tên này"],
  ["the name leads to {}, which is this box itself", "tên dẫn đến {}, chính là hộp này"],
  ["cannot listen on {}: EADDRINUSE", "không lắng nghe được tại {}: cổng đã có chương trình khác dùng"],
  ["cannot listen on {}: EADDRNOTAVAIL", "không lắng nghe được tại {}: hộp này không có địa chỉ đó"],
  ["cannot listen on", "không lắng nghe được tại"],
  ["another device has the same site id", "một thiết bị khác có cùng site id"],
  ["another device has the same webhook token", "một thiết bị khác có cùng token webhook"],
  // The line.
  ["another program has this port open", "chương trình khác đang mở cổng này"],
  ["Error Resource temporarily unavailable Cannot lock port", "chương trình khác đang khóa cổng này"],
  [
    "Error: Inappropriate ioctl for device setting custom baud rate of {}",
    "không đặt được tốc độ {}: đây không phải cổng nối tiếp",
  ],
  ["the port is open with another baud rate or parity", "cổng đang mở với tốc độ baud hoặc chẵn lẻ khác"],
  ["the line is never silent", "đường truyền không lúc nào im"],
  ["the line was lost", "mất đường truyền"],
  ["the port is gone", "cổng không còn nữa"],
  ["only {} bytes that are none", "chỉ có {} byte không phải câu trả lời"],
  ["an answer among them whose checksum is wrong", "trong đó có câu trả lời sai mã kiểm tra"],
  ["{} bytes came and no whole frame among them", "{} byte đến, không có khung nào trọn vẹn"],
  ["too many calls wait for the line", "quá nhiều lệnh chờ đường truyền"],
  // Modbus.
  ["not Modbus TCP: protocol id is not 0", "không phải Modbus TCP: mã giao thức khác 0"],
  ["not Modbus TCP", "không phải Modbus TCP"],
  [
    "gateway target device failed to respond (exception 11)",
    "thiết bị sau bộ chuyển đổi không trả lời (exception 11)",
  ],
  ["gateway path unavailable", "bộ chuyển đổi không có đường tới thiết bị"],
  ["illegal function", "hàm không được hỗ trợ"],
  ["illegal data address", "địa chỉ thanh ghi không tồn tại"],
  ["illegal data value", "giá trị không hợp lệ"],
  ["server device failure", "thiết bị báo lỗi nội bộ"],
  ["server device busy", "thiết bị đang bận"],
  ["the answer comes from unit {}", "câu trả lời đến từ unit {}"],
  ["the answer to {} does not fit it", "câu trả lời cho {} không khớp"],
  ["the answer to {} is malformed", "câu trả lời cho {} sai định dạng"],
  // HTTP and ONVIF.
  ["a login is wanted", "cần đăng nhập"],
  ["the login was refused", "đăng nhập bị từ chối"],
  ["login refused before", "đăng nhập đã bị từ chối trước đó"],
  ["login refused", "đăng nhập bị từ chối"],
  ["the server takes no {} login, it takes", "máy chủ không nhận đăng nhập kiểu {}, chỉ nhận"],
  ["the server takes", "máy chủ nhận"],
  ["the server answers {}", "máy chủ trả lời {}"],
  ["the server is busy", "máy chủ đang bận"],
  ["the server asks to wait {} s more", "máy chủ yêu cầu chờ thêm {} giây"],
  [
    "the server redirects to {}, which is not followed: name the place itself",
    "máy chủ chuyển hướng tới {}, kerb không đi theo: hãy ghi đúng nơi đó",
  ],
  ["the server changes the protocol", "máy chủ đổi giao thức"],
  ["the answer is larger than {} bytes", "câu trả lời lớn hơn {} byte"],
  ["an answer of more than {} bytes", "câu trả lời lớn hơn {} byte"],
  ["the answer is {} and not {}", "câu trả lời là {}, không phải {}"],
  ["what came is not HTTP", "thứ nhận được không phải HTTP"],
  ["no HTTP (", "không phải HTTP ("],
  ["an answer without SOAP", "câu trả lời không có SOAP"],
  ["no SOAP answer", "câu trả lời không phải SOAP"],
  ["points elsewhere (HTTP {}), which is not followed", "chuyển sang nơi khác (HTTP {}), kerb không đi theo"],
  ["the camera has no event service", "camera không có dịch vụ sự kiện"],
  // Certificates.
  ["TLS failed", "TLS thất bại"],
  ["the certificate is not trusted", "chứng chỉ không được tin cậy"],
  ["its certificate is not trusted for {} (", "chứng chỉ của nó không được tin cậy cho {} ("],
  ["the certificate is not the one that is pinned", "chứng chỉ không phải cái đã ghim"],
  ["its fingerprint is", "dấu vân tay là"],
  [
    "the server shows another certificate than the pinned one; if it was renewed, write",
    "máy chủ đưa ra chứng chỉ khác với cái đã ghim; nếu nó đã được cấp lại, hãy ghi",
  ],
  [
    "it shows another certificate than the pinned one; if it was renewed, write",
    "nó đưa ra chứng chỉ khác với cái đã ghim; nếu nó đã được cấp lại, hãy ghi",
  ],
  [
    "the server's certificate is not pinned; if its fingerprint is right, write",
    "chứng chỉ của máy chủ chưa được ghim; nếu dấu vân tay đúng, hãy ghi",
  ],
  ["if its fingerprint is right, write under tls", "nếu dấu vân tay đúng, hãy ghi dưới tls"],
  // OPC UA.
  ["the server does not offer {}, it offers", "máy chủ không có {}, chỉ có"],
  ["the server has no namespace", "máy chủ không có namespace"],
  ["the server shows no certificate", "máy chủ không đưa ra chứng chỉ"],
  [
    "the server wants the password in clear; use security",
    "máy chủ đòi mật khẩu không mã hóa; hãy dùng security",
  ],
  ["not OPC UA", "không phải OPC UA"],
  // SNMP.
  ["only datagrams that are no SNMP", "chỉ có gói tin không phải SNMP"],
  ["answers with another community", "trả lời với community khác"],
  ["SNMPv3 says", "SNMPv3 báo"],
  ["the device has no such object", "thiết bị không có đối tượng này"],
  // MQTT.
  ["Connection refused: Bad username or password", "bị từ chối: sai tài khoản hoặc mật khẩu"],
  ["Connection refused: Not authorized", "bị từ chối: không có quyền"],
  ["Connection refused: Unacceptable protocol version", "bị từ chối: phiên bản giao thức không được nhận"],
  ["Connection refused: Identifier rejected", "bị từ chối: mã client không được nhận"],
  ["Connection refused: Server unavailable", "bị từ chối: broker chưa sẵn sàng"],
  ["Connection refused", "bị từ chối"],
  ["the broker does not let us listen to {}", "broker không cho nghe {}"],
  ["the broker ended the TLS handshake", "broker ngắt khi bắt tay TLS"],
  ["not MQTT", "không phải MQTT"],
  [
    "this one stands back for {} s; give one of them an id of its own",
    "hộp này tạm nhường {} giây; hãy đặt id riêng cho một trong hai hộp",
  ],
  // RSMP.
  ["site {} at {}:", "site {} tại {}:"],
  ["SXL version {} requested, but only {} supported", "yêu cầu SXL phiên bản {}, nhưng chỉ hỗ trợ {}"],
  ["RSMP versions {} requested, but only {} supported", "yêu cầu RSMP phiên bản {}, nhưng chỉ hỗ trợ {}"],
  ["the site refuses kerb's version", "site từ chối phiên bản của kerb"],
  ["bytes that are no UTF-8", "có byte không phải UTF-8"],
  // Who it is.
  [
    "firmware {} is outside the profile's range {}: kerb identify {} shows which profile holds",
    "firmware {} nằm ngoài khoảng {} của hồ sơ: kerb identify {} cho biết hồ sơ nào đúng",
  ],
  ["firmware {} is outside the profile's range", "firmware {} nằm ngoài khoảng của hồ sơ"],
  [
    "the profile is for firmware {}, and the device tells none",
    "hồ sơ dành cho firmware {}, mà thiết bị không cho biết firmware",
  ],
  ["holds nothing, the profile expects", "trống, hồ sơ cần"],
  ["holds {}, the profile expects", "là {}, hồ sơ cần"],
  ["the site file says serial number {}, {} answers", "tệp cấu hình ghi số sê-ri {}, nhưng {} trả lời"],
  ["serial number {} was here first, {} answers", "lúc đầu ở đây là số sê-ri {}, nay {} trả lời"],
  ["{} was here first, {} answers", "lúc đầu ở đây là {}, nay {} trả lời"],
  [
    "the certificate is not the one that was seen first ({}), but",
    "chứng chỉ không phải cái đã thấy lúc đầu ({}), mà là",
  ],
  ["if that is right, kerb identify {} --accept", "nếu đúng là vậy: kerb identify {} --accept"],
  // The host.
  ["the {} host did not answer within {} s", "driver {} không trả lời trong {} giây"],
  ["the {} host has ended", "driver {} đã dừng"],
  ["the driver did not give up", "driver không chịu dừng"],
  ["device {} is disabled", "thiết bị {} đang tắt"],
  ["nothing listens", "không có gì lắng nghe"],
];

/** What stands for "{}": a word, something in quotes or brackets, or words up to the next mark. */
function compiled([english, vietnamese]: readonly [string, string]): [RegExp, string] {
  const parts = english.split("{}").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  const starts = /^\w/.test(english) ? String.raw`\b` : "";
  const ends = /\w$/.test(english) ? String.raw`\b` : "";
  let count = 0;
  const filled = vietnamese.replaceAll("{}", () => `$${++count}`);
  return [
    new RegExp(`${starts}${parts.join(String.raw`(\S+?|".*?"|\[.*?\]|[^;:,]+?)`)}${ends}`, "g"),
    filled,
  ];
}

let rules: [RegExp, string][] | undefined;

/** A sentence about a device in Vietnamese; what nobody has put into Vietnamese stays as it is. */
export function seenInVietnamese(text: string): string {
  // A short one may be part of a longer one.
  rules ??= phrases.toSorted(([one], [other]) => other.length - one.length).map(compiled);
  return rules.reduce((said, [pattern, vietnamese]) => said.replaceAll(pattern, vietnamese), text);
}
