import { cause } from "../cause-text.ts";

/** OPC UA servers. */
export const opcuaCauses = {
  "KERB-UA-ENDPOINT": cause(
    ["The server does not offer the security that is wanted", "Máy chủ không có mức bảo mật được yêu cầu"],
    [
      "`security` or `policy` in the site file is none of the server's",
      "`security` hoặc `policy` trong tệp cấu hình không có trên máy chủ",
    ],
    [
      "switch it on in the server, or choose one that it offers",
      "bật mức đó trên máy chủ, hoặc chọn mức mà nó có",
    ],
    false,
  ),
  "KERB-UA-PIN": cause(
    [
      "The server shows another certificate than the pinned one",
      "Máy chủ đưa ra chứng thư khác với chứng thư đã ghim",
    ],
    [
      "it was renewed or the server exchanged; or somebody stands in between",
      "chứng thư đã thay hoặc đổi máy chủ; hoặc có kẻ đứng giữa",
    ],
    [
      "compare the fingerprint at the server itself; only then write the new `pin`",
      "đối chiếu dấu vân tay tại chính máy chủ; chỉ khi đúng mới ghi `pin` mới",
    ],
    false,
  ),
  "KERB-UA-NOT-PINNED": cause(
    ["The server's certificate is not trusted yet", "Chứng thư của máy chủ chưa được tin cậy"],
    ["nobody has written its fingerprint", "chưa ai ghi dấu vân tay của nó"],
    [
      "compare the fingerprint at the server and write it as `pin`",
      "đối chiếu dấu vân tay tại máy chủ và ghi vào `pin`",
    ],
    false,
  ),
  "KERB-UA-NOT-TRUSTED": cause(
    ["The server does not trust kerb's certificate", "Máy chủ không tin cậy chứng thư của kerb"],
    [
      "kerb's certificate lies in the server's list of rejected ones",
      "chứng thư của kerb nằm trong danh sách bị từ chối của máy chủ",
    ],
    [
      "move kerb's certificate to the trusted ones in the server's page",
      "chuyển chứng thư của kerb sang danh sách tin cậy trên máy chủ",
    ],
    false,
  ),
  "KERB-UA-CLOCK": cause(
    [
      "By the clock of the server kerb's certificate does not hold",
      "Theo đồng hồ máy chủ, chứng thư của kerb không hiệu lực",
    ],
    ["the server's or the box's clock is wrong", "đồng hồ máy chủ hoặc hộp sai"],
    ["compare both clocks; set NTP at the server", "so hai đồng hồ; đặt NTP trên máy chủ"],
  ),
  "KERB-UA-LOGIN": cause(
    ["The server refuses user and password", "Máy chủ từ chối tài khoản và mật khẩu"],
    ["wrong user or password", "sai tài khoản hoặc mật khẩu"],
    [
      "try the login with another OPC UA client, then correct `user` and `password`",
      "thử bằng phần mềm OPC UA khác, rồi sửa `user` và `password`",
    ],
    false,
  ),
  "KERB-UA-RIGHTS": cause(
    ["The user may not come in, or may not do this", "Tài khoản không được phép"],
    ["the user has too few rights at the server", "tài khoản thiếu quyền trên máy chủ"],
    ["give the user the right to read in the server", "cấp quyền đọc cho tài khoản trên máy chủ"],
    false,
  ),
  "KERB-UA-TOKEN": cause(
    ["The server does not take this kind of login", "Máy chủ không nhận kiểu đăng nhập này"],
    [
      "it wants a user and the site file has none, or it has no users at all",
      "máy chủ cần tài khoản mà tệp cấu hình chưa có, hoặc máy chủ không dùng tài khoản",
    ],
    [
      "write or take out `user` and `password` as the server wants it",
      "ghi hoặc bỏ `user` và `password` theo yêu cầu của máy chủ",
    ],
    false,
  ),
  "KERB-UA-CLEAR-PASSWORD": cause(
    ["The server wants the password in clear", "Máy chủ đòi mật khẩu không mã hóa"],
    [
      "the endpoint without security cannot protect it",
      "điểm cuối không bảo mật nên không che được mật khẩu",
    ],
    ['write security: "sign-and-encrypt"', 'ghi security: "sign-and-encrypt"'],
    false,
  ),
  "KERB-UA-SESSIONS": cause(
    ["The server has no session left", "Máy chủ hết phiên kết nối"],
    [
      "other clients hold them, or old ones have not run out yet",
      "phần mềm khác đang giữ, hoặc phiên cũ chưa hết hạn",
    ],
    [
      "stop other clients; old sessions end by themselves within minutes",
      "tắt phần mềm khác; phiên cũ tự hết sau vài phút",
    ],
  ),
  "KERB-UA-NOT-UA": cause(
    ["What answers at this port is no OPC UA", "Dịch vụ tại cổng này không phải OPC UA"],
    ["another service has this port", "dịch vụ khác dùng cổng này"],
    ["take the server's port, mostly 4840", "dùng cổng của máy chủ, thường là 4840"],
    false,
  ),
  "KERB-UA-NODES": cause(
    ["The server does not have the nodes of the profile", "Máy chủ không có các node của hồ sơ"],
    [
      "another model or project, or its namespaces have another order",
      "model hoặc dự án khác, hoặc thứ tự namespace khác",
    ],
    [
      "kerb browse DEVICE shows what it has; choose the right profile",
      "kerb browse THIẾT_BỊ cho biết nó có gì; chọn đúng hồ sơ",
    ],
    false,
  ),
  "KERB-UA-SILENT": cause(
    ["The server takes the connection and does not answer", "Máy chủ nhận kết nối nhưng không trả lời"],
    ["the server hangs, or is starting", "máy chủ bị treo hoặc đang khởi động"],
    [
      "wait a minute, then restart the server's service",
      "chờ một phút, rồi khởi động lại dịch vụ trên máy chủ",
    ],
  ),
};
