import { cause } from "../cause-text.ts";

/** RSMP sites, which call kerb. */
export const rsmpCauses = {
  "KERB-RSMP-NO-CALL": cause(
    ["No call of the site has come through", "Chưa có cuộc gọi nào của tủ tín hiệu tới nơi"],
    [
      "the controller has no power or network, or calls another address or port than this box's",
      "bộ điều khiển mất nguồn hoặc mạng, hoặc gọi sai địa chỉ hay cổng của hộp",
    ],
    [
      "check the controller's power, and in it the supervisor's address: this box and `port`",
      "kiểm tra nguồn bộ điều khiển, và trong đó địa chỉ trung tâm: hộp này và `port`",
    ],
  ),
  "KERB-RSMP-SITE-ID": cause(
    ["A site calls, and under another site id", "Có tủ gọi tới nhưng với site id khác"],
    [
      "`siteId` in the site file or in the controller is wrong",
      "sai `siteId` trong tệp cấu hình hoặc trong bộ điều khiển",
    ],
    [
      "if it is this controller, write the id that calls as `siteId`",
      "nếu đúng bộ điều khiển này, ghi id đang gọi vào `siteId`",
    ],
    false,
  ),
  "KERB-RSMP-VERSION": cause(
    ["Site and kerb have no RSMP version in common", "Tủ và kerb không có phiên bản RSMP chung"],
    [
      "`versions` in the site file leaves out what the controller speaks",
      "`versions` trong tệp cấu hình không có phiên bản của bộ điều khiển",
    ],
    [
      "add the controller's version to `versions`, or leave `versions` out",
      "thêm phiên bản của bộ điều khiển vào `versions`, hoặc bỏ `versions`",
    ],
    false,
  ),
  "KERB-RSMP-SXL": cause(
    ["The site has another signal exchange list", "Tủ dùng danh mục tín hiệu (SXL) khác"],
    [
      "the controller was updated, or `sxl` names another version",
      "bộ điều khiển đã cập nhật, hoặc `sxl` ghi phiên bản khác",
    ],
    [
      "check the profile against the new list, then add it to `sxl`",
      "đối chiếu hồ sơ với danh mục mới, rồi thêm vào `sxl`",
    ],
    false,
  ),
  "KERB-RSMP-REFUSED": cause(
    ["The site refuses kerb's introduction", "Tủ từ chối lời chào của kerb"],
    [
      "the controller allows another supervisor, version or list only",
      "bộ điều khiển chỉ cho phép trung tâm, phiên bản hoặc danh mục khác",
    ],
    [
      "compare supervisor id, RSMP version and SXL in the controller",
      "so id trung tâm, phiên bản RSMP và SXL trong bộ điều khiển",
    ],
    false,
  ),
  "KERB-RSMP-MUTE": cause(
    ["The site calls and then does not answer", "Tủ gọi tới rồi không trả lời"],
    [
      "the controller hangs, or the link is so bad that answers are lost",
      "bộ điều khiển bị treo, hoặc đường truyền quá kém",
    ],
    [
      "restart the controller's communication; check the modem",
      "khởi động lại phần truyền thông của bộ điều khiển; kiểm tra modem",
    ],
  ),
  "KERB-RSMP-PORT-TAKEN": cause(
    [
      "Another program listens at the port on which sites are awaited",
      "Phần mềm khác đang dùng cổng chờ tủ gọi tới",
    ],
    ["a second gateway, or a test tool", "một gateway thứ hai, hoặc công cụ thử"],
    [
      "find it with `ss -ltnp` and stop it, or choose another `port`",
      "tìm bằng `ss -ltnp` và dừng nó, hoặc chọn `port` khác",
    ],
    false,
  ),
  "KERB-RSMP-ADDRESS": cause(
    ["The box does not have the address on which sites are awaited", "Hộp không có địa chỉ chờ tủ gọi tới"],
    ["`host` is to be an address of this box", "`host` phải là địa chỉ của chính hộp này"],
    [
      "write 0.0.0.0 or an address of `ip -br address`",
      "ghi 0.0.0.0 hoặc một địa chỉ trong `ip -br address`",
    ],
    false,
  ),
  "KERB-RSMP-NOT-RSMP": cause(
    ["Who called does not speak RSMP", "Bên gọi tới không dùng RSMP"],
    [
      "another program calls this port, or the controller uses TLS",
      "phần mềm khác gọi cổng này, hoặc bộ điều khiển dùng TLS",
    ],
    ["compare protocol, port and TLS in the controller", "so giao thức, cổng và TLS trong bộ điều khiển"],
    false,
  ),
};
