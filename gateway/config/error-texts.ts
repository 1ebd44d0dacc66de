import type { DeviceErrorCode } from "../driver.ts";

/** What a person reads is in English and in Vietnamese. */
export type Language = "en" | "vi";
type Text = Record<Language, string>;

/** What an error code says to people. */
export interface ErrorText {
  title: Text;
  likely: Text;
  do: Text;
  /** Worth trying again with nothing changed: the gateway does so by itself. */
  retry: boolean;
}

/** Beside what a driver can say: the gateway's own reason not to run a device. */
type DeviceTableCode = `KERB-DEV-${Uppercase<DeviceErrorCode>}` | "KERB-DEV-QUARANTINED";

export const deviceErrors: Record<DeviceTableCode, ErrorText> = {
  "KERB-DEV-ABORTED": {
    title: { en: "The call took longer than it may", vi: "Lệnh gọi quá thời gian cho phép" },
    likely: {
      en: "the device is slower than its poll period, or the line is shared by too many devices",
      vi: "thiết bị chậm hơn chu kỳ đọc, hoặc đường truyền có quá nhiều thiết bị dùng chung",
    },
    do: {
      en: "lengthen `poll` or shorten `timeout` of the device",
      vi: "tăng `poll` hoặc giảm `timeout` của thiết bị",
    },
    retry: true,
  },
  "KERB-DEV-CLOSED": {
    title: { en: "The gateway closed the connection", vi: "Gateway đã đóng kết nối" },
    likely: {
      en: "the device was disabled or its configuration changed",
      vi: "thiết bị vừa bị tắt hoặc cấu hình vừa thay đổi",
    },
    do: {
      en: "nothing: it opens again if the device is enabled",
      vi: "không cần làm gì: kết nối tự mở lại nếu thiết bị được bật",
    },
    retry: true,
  },
  "KERB-DEV-REFUSED": {
    title: {
      en: "Nothing listens at the device's address",
      vi: "Không có gì lắng nghe tại địa chỉ của thiết bị",
    },
    likely: {
      en: "wrong port, the service is off in the device, or the serial port does not exist",
      vi: "sai cổng, dịch vụ trên thiết bị chưa bật, hoặc cổng nối tiếp không tồn tại",
    },
    do: {
      en: "compare host and port with the device; for a serial port look into /dev/serial/by-id",
      vi: "đối chiếu địa chỉ và cổng với thiết bị; với cổng nối tiếp, xem trong /dev/serial/by-id",
    },
    retry: true,
  },
  "KERB-DEV-UNREACHABLE": {
    title: { en: "There is no way to the device", vi: "Không có đường mạng tới thiết bị" },
    likely: {
      en: "cable or switch is down, wrong subnet, or the host name is unknown",
      vi: "đứt cáp hoặc hỏng switch, sai lớp mạng, hoặc không tìm thấy tên máy",
    },
    do: {
      en: "check link lights and the address; ping the device from the box",
      vi: "kiểm tra đèn cổng mạng và địa chỉ; ping thiết bị từ hộp",
    },
    retry: true,
  },
  "KERB-DEV-SILENT": {
    title: { en: "The device does not answer", vi: "Thiết bị không trả lời" },
    likely: {
      en: "no power, a cable that is out, or another address or unit; on a serial line also baud, parity, or A and B swapped",
      vi: "mất nguồn, đứt cáp, hoặc sai địa chỉ hay số unit; trên đường nối tiếp còn có thể sai baud, parity, hoặc đảo dây A và B",
    },
    do: {
      en: "check power and cable, then address, port and unit; on an RS-485 line also baud and parity, and A and B swapped",
      vi: "kiểm tra nguồn và cáp, rồi địa chỉ, cổng và số unit; với đường RS-485 thì cả baud, parity, và thử đảo dây A và B",
    },
    retry: true,
  },
  "KERB-DEV-HUNG-UP": {
    title: { en: "The device closed the connection", vi: "Thiết bị đã ngắt kết nối" },
    likely: {
      en: "it restarted, or it allows fewer connections than it has clients",
      vi: "thiết bị khởi động lại, hoặc số kết nối vượt mức nó cho phép",
    },
    do: {
      en: "close other programs that talk to the device; check its power supply",
      vi: "tắt các phần mềm khác đang nối tới thiết bị; kiểm tra nguồn cấp",
    },
    retry: true,
  },
  "KERB-DEV-GARBAGE": {
    title: { en: "The answer is not the expected protocol", vi: "Câu trả lời không đúng giao thức" },
    likely: {
      en: "another protocol on this port, two devices with one unit number, or noise on the line",
      vi: "cổng này dùng giao thức khác, hai thiết bị trùng số unit, hoặc đường truyền bị nhiễu",
    },
    do: {
      en: "check driver and transport type, line settings, termination and shielding",
      vi: "kiểm tra driver và kiểu transport, thông số đường truyền, điện trở cuối đường và vỏ chống nhiễu",
    },
    retry: true,
  },
  "KERB-DEV-BUSY": {
    title: { en: "The port or the device is in use", vi: "Cổng hoặc thiết bị đang được dùng" },
    likely: {
      en: "another program holds the serial port, or the device serves one client only",
      vi: "phần mềm khác đang giữ cổng nối tiếp, hoặc thiết bị chỉ phục vụ một kết nối",
    },
    do: {
      en: "find the holder with `fuser -v PORT` and stop it",
      vi: "tìm phần mềm đang giữ bằng `fuser -v CỔNG` rồi dừng nó",
    },
    retry: true,
  },
  "KERB-DEV-DENIED": {
    title: {
      en: "Login or certificate is refused",
      vi: "Đăng nhập hoặc chứng thư bị từ chối",
    },
    likely: {
      en: "wrong user or password, the device's clock is wrong, or its certificate is another than the trusted one",
      vi: "sai tài khoản hoặc mật khẩu, đồng hồ thiết bị sai, hoặc chứng thư của nó khác chứng thư được tin cậy",
    },
    do: {
      en: "try the same login in the device's own page and compare its clock with the box; for a certificate, compare the fingerprint with the device itself before you write it down",
      vi: "thử đăng nhập bằng trang của thiết bị và so đồng hồ của nó với hộp; với chứng thư, đối chiếu dấu vân tay với chính thiết bị trước khi ghi vào",
    },
    retry: false,
  },
  "KERB-DEV-UNSUPPORTED": {
    title: { en: "The device cannot do this", vi: "Thiết bị không hỗ trợ việc này" },
    likely: {
      en: "the profile is for another model or firmware",
      vi: "hồ sơ thuộc về model hoặc firmware khác",
    },
    do: { en: "compare the model and firmware with the profile", vi: "so model và firmware với hồ sơ" },
    retry: false,
  },
  "KERB-DEV-REJECTED": {
    title: { en: "The device understood and said no", vi: "Thiết bị hiểu nhưng từ chối" },
    likely: {
      en: "the value is outside the device's own limits, or it is in local mode",
      vi: "giá trị ngoài giới hạn của thiết bị, hoặc thiết bị đang ở chế độ tại chỗ",
    },
    do: {
      en: "check local/remote switch and the limits in the device",
      vi: "kiểm tra công tắc tại chỗ/từ xa và giới hạn trong thiết bị",
    },
    retry: false,
  },
  "KERB-DEV-QUARANTINED": {
    title: {
      en: "The device is not read for a while: it ended its driver's process again and again",
      vi: "Thiết bị tạm thời không được đọc: nó làm dừng tiến trình driver nhiều lần",
    },
    likely: {
      en: "what the device answers meets a fault in the driver",
      vi: "câu trả lời của thiết bị làm lộ một lỗi trong driver",
    },
    do: {
      en: "nothing at once: it is tried again after 10 min to 6 h, or when the gateway restarts; report the reason with the driver's version",
      vi: "chưa cần làm gì: sẽ thử lại sau 10 phút đến 6 giờ, hoặc khi gateway khởi động lại; hãy báo lý do kèm phiên bản driver",
    },
    retry: true,
  },
};

export const configErrors = {
  "KERB-CFG-FILE": {
    title: { en: "A configuration file cannot be read", vi: "Không đọc được tệp cấu hình" },
    likely: {
      en: "wrong path, missing permission, or not saved as UTF-8",
      vi: "sai đường dẫn, thiếu quyền, hoặc không lưu ở dạng UTF-8",
    },
    do: {
      en: "check path and permission; save the file as UTF-8",
      vi: "kiểm tra đường dẫn và quyền; lưu tệp ở dạng UTF-8",
    },
    retry: false,
  },
  "KERB-CFG-SYNTAX": {
    title: { en: "The file is not valid YAML", vi: "Tệp không đúng cú pháp YAML" },
    likely: {
      en: "indentation, a tab, or a missing quote or bracket",
      vi: "thụt dòng sai, có ký tự tab, hoặc thiếu dấu nháy, dấu ngoặc",
    },
    do: {
      en: "mend the line under the caret; indent with spaces",
      vi: "sửa dòng có dấu ^; thụt dòng bằng dấu cách",
    },
    retry: false,
  },
  "KERB-CFG-KEY": {
    title: { en: "Unknown key", vi: "Khóa không tồn tại" },
    likely: { en: "a slip of the pen, or a key of another driver", vi: "gõ nhầm, hoặc khóa của driver khác" },
    do: { en: "take the key that the message names", vi: "dùng khóa mà thông báo gợi ý" },
    retry: false,
  },
  "KERB-CFG-MISSING": {
    title: { en: "A key is missing", vi: "Thiếu khóa" },
    likely: { en: "the key was left out or is indented wrongly", vi: "quên khóa hoặc thụt dòng sai" },
    do: { en: "add the key under the marked entry", vi: "thêm khóa vào mục được đánh dấu" },
    retry: false,
  },
  "KERB-CFG-VALUE": {
    title: { en: "A value is not allowed", vi: "Giá trị không hợp lệ" },
    likely: { en: "wrong type, unit or range", vi: "sai kiểu, đơn vị hoặc khoảng giá trị" },
    do: { en: "write what the message expects", vi: "ghi đúng giá trị mà thông báo yêu cầu" },
    retry: false,
  },
  "KERB-CFG-DUPLICATE": {
    title: { en: "Something is written twice", vi: "Có mục bị ghi hai lần" },
    likely: { en: "an entry was copied and not renamed", vi: "mục được sao chép mà chưa đổi tên" },
    do: { en: "rename or delete one of the two places", vi: "đổi tên hoặc xóa một trong hai chỗ" },
    retry: false,
  },
  "KERB-CFG-REFERENCE": {
    title: { en: "A reference cannot be resolved", vi: "Không tìm thấy giá trị được tham chiếu" },
    likely: {
      en: "the variable, file or secret does not exist on this box",
      vi: "biến, tệp hoặc bí mật không có trên hộp này",
    },
    do: {
      en: "create it; a secret is a file in the folder secrets beside the site file",
      vi: "tạo nó; bí mật là một tệp trong thư mục secrets cạnh tệp cấu hình",
    },
    retry: false,
  },
} satisfies Record<string, ErrorText>;

export const outboxErrors = {
  "KERB-OUT-DISK-FULL": {
    title: { en: "The disk is full", vi: "Đĩa đã đầy" },
    likely: {
      en: "logs or other programs took the space of the state folder",
      vi: "nhật ký hoặc phần mềm khác đã chiếm hết chỗ của thư mục trạng thái",
    },
    do: {
      en: "free space; polling goes on and the loss is counted",
      vi: "giải phóng dung lượng; việc đọc vẫn tiếp tục và số mất được ghi lại",
    },
    retry: true,
  },
  "KERB-OUT-READ-ONLY": {
    title: { en: "The state folder cannot be written", vi: "Không ghi được vào thư mục trạng thái" },
    likely: {
      en: "the file system went read-only after an error, or it belongs to another user",
      vi: "hệ thống tệp chuyển sang chỉ đọc sau lỗi, hoặc thuộc người dùng khác",
    },
    do: {
      en: "look into `dmesg` for disk errors; check the owner of the folder",
      vi: "xem lỗi đĩa bằng `dmesg`; kiểm tra chủ sở hữu thư mục",
    },
    retry: true,
  },
  "KERB-OUT-DAMAGED": {
    title: { en: "The outbox file is damaged", vi: "Tệp hộp gửi bị hỏng" },
    likely: {
      en: "power cut with a disk that does not honour flush, or a worn-out card",
      vi: "mất điện khi đĩa không ghi thật, hoặc thẻ nhớ đã mòn",
    },
    do: {
      en: "nothing now: what can be read is salvaged and the rest declared; replace the disk soon",
      vi: "chưa cần làm gì: phần đọc được đã cứu, phần còn lại đã khai báo; nên sớm thay đĩa",
    },
    retry: true,
  },
  "KERB-OUT-EVICTED": {
    title: {
      en: "The outbox is full and drops its oldest telemetry",
      vi: "Hộp gửi đầy và đang bỏ số đo cũ nhất",
    },
    likely: {
      en: "the IOC has been away for longer than `outbox.sizeMax` can hold",
      vi: "IOC mất kết nối lâu hơn mức `outbox.sizeMax` chứa được",
    },
    do: {
      en: "mend the uplink; every dropped event is declared to the IOC",
      vi: "khôi phục kết nối; mọi sự kiện bị bỏ đều được khai báo với IOC",
    },
    retry: true,
  },
  "KERB-OUT-NEWER": {
    title: {
      en: "The outbox was written by a newer kerb than this one",
      vi: "Hộp gửi do bản kerb mới hơn bản này ghi ra",
    },
    likely: {
      en: "kerb was set back to an older release",
      vi: "kerb đã bị đưa về bản phát hành cũ hơn",
    },
    do: {
      en: "install the newer kerb again; only if what is not yet delivered may be lost, rename the file, and this kerb starts an empty one",
      vi: "cài lại bản kerb mới; chỉ khi chấp nhận mất phần chưa giao thì đổi tên tệp này, kerb sẽ tạo tệp rỗng",
    },
    retry: false,
  },
  "KERB-OUT-OWNER": {
    title: {
      en: "The state folder belongs to another gateway",
      vi: "Thư mục trạng thái thuộc về một gateway khác",
    },
    likely: {
      en: "`gateway.id` was changed, two site files name one state folder, or the folder was copied from another box",
      vi: "`gateway.id` đã bị đổi, hai tệp cấu hình dùng chung một thư mục trạng thái, hoặc thư mục được chép từ hộp khác",
    },
    do: {
      en: "put the old id back, or give this gateway a folder of its own (`gateway.state`); a box that is renamed on purpose first delivers under its old id, is stopped, and then: kerb buffer adopt",
      vi: "đặt lại id cũ, hoặc cho gateway này một thư mục riêng (`gateway.state`); hộp được đổi tên có chủ ý thì để nó giao hết dưới id cũ, dừng lại, rồi chạy: kerb buffer adopt",
    },
    retry: false,
  },
} satisfies Record<string, ErrorText>;

export const uplinkErrors = {
  "KERB-UP-REFUSED": {
    title: { en: "The broker refuses the connection", vi: "Broker từ chối kết nối" },
    likely: {
      en: "the broker is down or listens on another port",
      vi: "broker đang dừng hoặc nghe ở cổng khác",
    },
    do: { en: "check the port in `url` and ask the IOC", vi: "kiểm tra cổng trong `url` và hỏi IOC" },
    retry: true,
  },
  "KERB-UP-UNREACHABLE": {
    title: { en: "There is no way to the broker", vi: "Không có đường mạng tới broker" },
    likely: {
      en: "the modem has no link, a firewall, or the host name is unknown",
      vi: "modem mất sóng, tường lửa chặn, hoặc không phân giải được tên máy",
    },
    do: {
      en: "check the modem and the name service; events wait in the outbox",
      vi: "kiểm tra modem và DNS; sự kiện được giữ trong hộp gửi",
    },
    retry: true,
  },
  "KERB-UP-TLS-UNTRUSTED": {
    title: { en: "The broker's certificate is not trusted", vi: "Chứng thư của broker không được tin cậy" },
    likely: {
      en: "`tls.ca` is another authority's, the name differs, or the box's clock is wrong",
      vi: "`tls.ca` là của CA khác, tên máy không khớp, hoặc đồng hồ của hộp sai",
    },
    do: {
      en: "check the clock, then `tls.ca` and `tls.serverName`",
      vi: "kiểm tra đồng hồ, rồi `tls.ca` và `tls.serverName`",
    },
    retry: true,
  },
  "KERB-UP-TLS-REJECTED": {
    title: {
      en: "The broker does not accept the gateway's certificate",
      vi: "Broker không chấp nhận chứng thư của gateway",
    },
    likely: {
      en: "it has expired, is not enrolled, or its name is not the gateway id",
      vi: "chứng thư hết hạn, chưa được đăng ký, hoặc tên không trùng mã gateway",
    },
    do: {
      en: "have a new certificate issued for the gateway id",
      vi: "xin cấp chứng thư mới đúng mã gateway",
    },
    retry: true,
  },
  "KERB-UP-CREDENTIALS": {
    title: { en: "The broker refuses user or password", vi: "Broker từ chối tài khoản hoặc mật khẩu" },
    likely: { en: "wrong or changed password", vi: "mật khẩu sai hoặc đã đổi" },
    do: {
      en: "compare `username` and the secret with the IOC",
      vi: "đối chiếu `username` và mật khẩu với IOC",
    },
    retry: true,
  },
  "KERB-UP-NOT-AUTHORISED": {
    title: { en: "The broker does not allow this gateway", vi: "Broker không cấp quyền cho gateway này" },
    likely: {
      en: "`username` or the password is wrong or missing (mosquitto says it like this), or the IOC does not know the gateway id or gives it no right to its topics",
      vi: "`username` hoặc mật khẩu sai hoặc thiếu (mosquitto báo lỗi như vậy), hoặc IOC chưa khai báo mã gateway hay chưa cấp quyền topic",
    },
    do: {
      en: "compare `username` and password in `uplinks` with the IOC; then give it the gateway id and city and ask for its topics",
      vi: "đối chiếu `username` và mật khẩu trong `uplinks` với IOC; sau đó gửi mã gateway và thành phố, yêu cầu cấp quyền topic",
    },
    retry: true,
  },
  "KERB-UP-PROTOCOL": {
    title: {
      en: "The broker does not speak this MQTT version",
      vi: "Broker không hỗ trợ phiên bản MQTT này",
    },
    likely: { en: "an older broker", vi: "broker đời cũ" },
    do: { en: "write `protocol: 3.1.1` under the uplink", vi: "ghi `protocol: 3.1.1` trong uplink" },
    retry: false,
  },
  "KERB-UP-SILENT": {
    title: { en: "The broker is silent", vi: "Broker không phản hồi" },
    likely: {
      en: "a half-open link, or the broker is overloaded",
      vi: "kết nối treo một nửa, hoặc broker quá tải",
    },
    do: {
      en: "nothing: the gateway connects again; look at the mobile signal if it repeats",
      vi: "không cần làm gì: gateway tự nối lại; nếu lặp lại hãy xem sóng di động",
    },
    retry: true,
  },
  "KERB-UP-CLOSED": {
    title: { en: "The broker closed the connection", vi: "Broker đã đóng kết nối" },
    likely: {
      en: "it restarts, or another gateway uses the same id",
      vi: "broker khởi động lại, hoặc gateway khác dùng trùng mã",
    },
    do: {
      en: "if it repeats every few seconds look for a second box with this gateway id",
      vi: "nếu lặp lại vài giây một lần, tìm hộp thứ hai dùng cùng mã gateway",
    },
    retry: true,
  },
  "KERB-UP-DUPLICATE": {
    title: { en: "Another box uses this gateway's id", vi: "Hộp khác đang dùng mã của gateway này" },
    likely: {
      en: "its state folder or its site file was copied from this one",
      vi: "thư mục trạng thái hoặc tệp cấu hình được sao chép từ hộp này",
    },
    do: {
      en: "give one of them an id of its own and an empty state folder",
      vi: "đặt mã riêng và thư mục trạng thái trống cho một trong hai hộp",
    },
    retry: true,
  },
  "KERB-UP-QUOTA": {
    title: { en: "The broker asks to send less", vi: "Broker yêu cầu giảm lượng gửi" },
    likely: { en: "a quota or rate limit of the IOC", vi: "hạn mức hoặc giới hạn tốc độ của IOC" },
    do: {
      en: "the gateway slows down by itself; ask for a larger quota if the backlog grows",
      vi: "gateway tự giảm tốc; xin tăng hạn mức nếu lượng tồn tăng",
    },
    retry: true,
  },
  "KERB-UP-TOO-LARGE": {
    title: { en: "The broker refuses the size of a message", vi: "Broker từ chối kích thước bản tin" },
    likely: {
      en: "its limit is below `messageBytesMax`",
      vi: "giới hạn của broker nhỏ hơn `messageBytesMax`",
    },
    do: {
      en: "lower `messageBytesMax`; the gateway splits the batch",
      vi: "giảm `messageBytesMax`; gateway sẽ chia nhỏ lô",
    },
    retry: true,
  },
  "KERB-UP-NO-CUSTODY": {
    title: { en: "The IOC does not confirm what it took", vi: "IOC không xác nhận dữ liệu đã nhận" },
    likely: {
      en: "the receiver is down while the broker runs",
      vi: "bộ nhận đang dừng trong khi broker vẫn chạy",
    },
    do: {
      en: "ask the IOC to start the receiver; events are kept until it confirms",
      vi: "yêu cầu IOC chạy lại bộ nhận; sự kiện được giữ tới khi có xác nhận",
    },
    retry: true,
  },
} satisfies Record<string, ErrorText>;
