import { cause } from "../cause-text.ts";

/** Devices with an HTTP API. */
export const httpCauses = {
  "KERB-HTTP-LOGIN": cause(
    ["The device refuses user and password", "Thiết bị từ chối tài khoản và mật khẩu"],
    [
      "wrong user or password, or another kind of login",
      "sai tài khoản hoặc mật khẩu, hoặc kiểu đăng nhập khác",
    ],
    [
      "try the login in the device's own page, then correct `auth` in the site file",
      "thử đăng nhập bằng trang của thiết bị, rồi sửa `auth` trong tệp cấu hình",
    ],
    false,
  ),
  "KERB-HTTP-LOGIN-WANTED": cause(
    ["The device wants a login, and the site file has none", "Thiết bị đòi đăng nhập, tệp cấu hình chưa có"],
    ["somebody has set a password at the device", "có người đã đặt mật khẩu trên thiết bị"],
    [
      "write `auth` with user and password into the site file",
      "ghi `auth` với tài khoản và mật khẩu vào tệp cấu hình",
    ],
    false,
  ),
  "KERB-HTTP-FORBIDDEN": cause(
    ["The login holds and may not read this", "Đăng nhập được nhưng không được đọc mục này"],
    [
      "the user has too few rights, or the box's address is not allowed",
      "tài khoản thiếu quyền, hoặc địa chỉ hộp không được phép",
    ],
    ["give the user the right to read in the device", "cấp quyền đọc cho tài khoản trên thiết bị"],
    false,
  ),
  "KERB-HTTP-PATH": cause(
    ["The device has no such page", "Thiết bị không có đường dẫn này"],
    [
      "the profile is for another model or firmware, or `basePath` is wrong",
      "hồ sơ của model hoặc firmware khác, hoặc sai `basePath`",
    ],
    [
      "open the path in a browser; correct `basePath` or choose the right profile",
      "mở đường dẫn bằng trình duyệt; sửa `basePath` hoặc chọn đúng hồ sơ",
    ],
    false,
  ),
  "KERB-HTTP-REDIRECT": cause(
    ["The device sends kerb to another address", "Thiết bị chuyển hướng sang địa chỉ khác"],
    ["it wants HTTPS, or its pages have moved", "thiết bị đòi HTTPS, hoặc trang đã được chuyển"],
    [
      "write the address that it names into the site file, with `tls` where it is https",
      "ghi địa chỉ mà nó chỉ ra vào tệp cấu hình, kèm `tls` nếu là https",
    ],
    false,
  ),
  "KERB-HTTP-SERVER": cause(
    ["The device's web server fails", "Máy chủ web của thiết bị bị lỗi"],
    [
      "a fault in the device: its own application does not run",
      "lỗi trong thiết bị: ứng dụng của nó không chạy",
    ],
    [
      "restart the device; if it stays, ask its maker with the status",
      "khởi động lại thiết bị; nếu vẫn lỗi, báo hãng kèm mã trạng thái",
    ],
  ),
  "KERB-HTTP-BUSY": cause(
    ["The device asks to be asked less often", "Thiết bị yêu cầu hỏi thưa hơn"],
    ["it has too many clients, or `poll` is too short", "quá nhiều phần mềm hỏi, hoặc `poll` quá ngắn"],
    ["lengthen `poll`; stop other programs that ask it", "tăng `poll`; tắt phần mềm khác đang hỏi nó"],
  ),
  "KERB-HTTP-CONTENT": cause(
    [
      "The answer is not the document that the profile expects",
      "Câu trả lời không phải tài liệu mà hồ sơ chờ đợi",
    ],
    [
      "a login page or an error page comes instead, or the path is another one",
      "trang đăng nhập hoặc trang lỗi được trả về, hoặc sai đường dẫn",
    ],
    ["open the path in a browser and see what stands there", "mở đường dẫn bằng trình duyệt để xem nội dung"],
    false,
  ),
  "KERB-HTTP-NOT-HTTP": cause(
    ["What answers at this port is no HTTP", "Dịch vụ tại cổng này không phải HTTP"],
    ["another service has this port, or it wants TLS", "dịch vụ khác dùng cổng này, hoặc cần TLS"],
    [
      "take the port of the device's web page; add `tls` where it is https",
      "dùng cổng trang web của thiết bị; thêm `tls` nếu là https",
    ],
    false,
  ),
  "KERB-HTTP-SILENT": cause(
    [
      "The web server takes the connection and does not answer",
      "Máy chủ web nhận kết nối nhưng không trả lời",
    ],
    ["the device hangs or is overloaded", "thiết bị bị treo hoặc quá tải"],
    [
      "restart the device; lengthen `timeout` if it only takes long",
      "khởi động lại thiết bị; tăng `timeout` nếu chỉ trả lời chậm",
    ],
  ),
};
