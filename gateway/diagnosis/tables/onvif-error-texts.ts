import { cause } from "../cause-text.ts";

/** ONVIF cameras. */
export const onvifCauses = {
  "KERB-ONVIF-LOGIN": cause(
    ["The camera refuses user and password", "Camera từ chối tài khoản và mật khẩu"],
    [
      "wrong password, or the user is none of the camera's ONVIF users (many keep them apart from those of the page)",
      "sai mật khẩu, hoặc không phải tài khoản ONVIF của camera (nhiều hãng tách riêng với tài khoản trang web)",
    ],
    [
      "create an ONVIF user in the camera's page and write it into the site file; wait if the account is locked",
      "tạo tài khoản ONVIF trên trang camera và ghi vào tệp cấu hình; nếu bị khóa, hãy chờ",
    ],
    false,
  ),
  "KERB-ONVIF-CLOCK-LOGIN": cause(
    [
      "The camera refuses the login, and its clock is wrong",
      "Camera từ chối đăng nhập và đồng hồ của nó sai",
    ],
    [
      "a login token with another time than the camera's is refused like a wrong password",
      "mã đăng nhập có giờ khác với camera bị từ chối giống như sai mật khẩu",
    ],
    [
      "set the camera's NTP server to this box and its time zone to UTC+7; then check the password",
      "đặt máy chủ NTP của camera là hộp này và múi giờ UTC+7; sau đó kiểm tra mật khẩu",
    ],
  ),
  "KERB-ONVIF-CLOCK": cause(
    ["The camera's clock is wrong", "Đồng hồ của camera sai"],
    [
      "no NTP server, or the camera holds local time and says that it is UTC",
      "không có máy chủ NTP, hoặc camera dùng giờ địa phương nhưng báo là UTC",
    ],
    [
      "set the camera's NTP server to this box and its time zone to UTC+7",
      "đặt máy chủ NTP của camera là hộp này và múi giờ UTC+7",
    ],
  ),
  "KERB-ONVIF-LOGIN-WANTED": cause(
    ["The camera wants a login, and the site file has none", "Camera đòi đăng nhập, tệp cấu hình chưa có"],
    ["`user` and `password` are not written yet", "chưa ghi `user` và `password`"],
    [
      "create an ONVIF user in the camera's page, then write `user` and `password: ${secret:…}`",
      "tạo tài khoản ONVIF trên trang camera, rồi ghi `user` và `password: ${secret:…}`",
    ],
    false,
  ),
  "KERB-ONVIF-OFF": cause(
    [
      "The web server answers, and there is no ONVIF service",
      "Máy chủ web trả lời nhưng không có dịch vụ ONVIF",
    ],
    [
      "ONVIF is switched off in the camera, or its path or port is another one",
      "ONVIF đang tắt trên camera, hoặc đường dẫn hay cổng khác",
    ],
    [
      "switch ONVIF on in the camera's page (network, integration); compare `servicePath` and `port`",
      "bật ONVIF trên trang camera (mạng, tích hợp); so `servicePath` và `port`",
    ],
    false,
  ),
  "KERB-ONVIF-NOT-HTTP": cause(
    ["What answers at this port is no camera's web server", "Dịch vụ tại cổng này không phải web của camera"],
    [
      "another port of the camera (RTSP 554), or TLS without `tls`",
      "cổng khác của camera (RTSP 554), hoặc cần `tls`",
    ],
    ["take the camera's HTTP port, mostly 80", "dùng cổng HTTP của camera, thường là 80"],
    false,
  ),
  "KERB-ONVIF-REDIRECT": cause(
    ["The camera sends kerb to another address", "Camera chuyển hướng sang địa chỉ khác"],
    ["it is set to HTTPS only", "camera chỉ cho dùng HTTPS"],
    [
      "write `tls` and its HTTPS port, mostly 443, into the site file",
      "ghi `tls` và cổng HTTPS, thường là 443, vào tệp cấu hình",
    ],
    false,
  ),
  "KERB-ONVIF-SERVER": cause(
    ["The camera's web server fails", "Máy chủ web của camera bị lỗi"],
    [
      "a fault in the camera: mostly too little memory after a long run",
      "lỗi trong camera: thường hết bộ nhớ sau thời gian dài",
    ],
    [
      "restart the camera; update its firmware if it comes back",
      "khởi động lại camera; cập nhật firmware nếu lặp lại",
    ],
  ),
  "KERB-ONVIF-SILENT": cause(
    ["The camera takes the connection and does not answer", "Camera nhận kết nối nhưng không trả lời"],
    ["the camera hangs, or too many clients use it", "camera bị treo, hoặc quá nhiều phần mềm sử dụng"],
    ["restart the camera; stop other ONVIF clients", "khởi động lại camera; tắt phần mềm ONVIF khác"],
  ),
};
