import { cause } from "../cause-text.ts";

/** TLS, whatever is spoken inside. */
export const tlsCauses = {
  "KERB-TLS-UNTRUSTED": cause(
    [
      "Nobody that kerb trusts vouches for the device's certificate",
      "Chứng thư của thiết bị không được ai tin cậy bảo đảm",
    ],
    [
      "the device made its certificate itself, or `tls.ca` is another authority",
      "thiết bị tự tạo chứng thư, hoặc `tls.ca` là CA khác",
    ],
    [
      "compare the fingerprint with the device itself, then write it as `pin` under `tls`",
      "đối chiếu dấu vân tay với chính thiết bị, rồi ghi `pin` dưới `tls`",
    ],
    false,
  ),
  "KERB-TLS-OTHER-CERTIFICATE": cause(
    [
      "The device shows another certificate than the pinned one",
      "Thiết bị đưa ra chứng thư khác với chứng thư đã ghim",
    ],
    [
      "it was renewed or the device exchanged; or somebody stands in between",
      "chứng thư đã được thay hoặc đổi thiết bị; hoặc có kẻ đứng giữa",
    ],
    [
      "compare the fingerprint at the device itself; only then write the new `pin`",
      "đối chiếu dấu vân tay ngay tại thiết bị; chỉ khi đúng mới ghi `pin` mới",
    ],
    false,
  ),
  "KERB-TLS-NAME": cause(
    ["The device's certificate is for another name", "Chứng thư của thiết bị dành cho tên khác"],
    ["`host` is an address and the certificate has a name", "`host` là địa chỉ IP còn chứng thư ghi tên"],
    ["write the name of the certificate as `tls.serverName`", "ghi tên trong chứng thư vào `tls.serverName`"],
    false,
  ),
  "KERB-TLS-EXPIRED": cause(
    ["The device's certificate has run out", "Chứng thư của thiết bị đã hết hạn"],
    ["it was not renewed, or the box's clock is wrong", "chưa được gia hạn, hoặc đồng hồ của hộp sai"],
    [
      "check the box's clock (kerb health), then renew the device's certificate",
      "kiểm tra đồng hồ của hộp (kerb health), rồi gia hạn chứng thư của thiết bị",
    ],
    false,
  ),
  "KERB-TLS-NOT-YET": cause(
    ["The device's certificate is not valid yet", "Chứng thư của thiết bị chưa có hiệu lực"],
    ["the box's clock is behind", "đồng hồ của hộp chạy chậm"],
    ["set the box's clock: kerb health shows it", "chỉnh đồng hồ của hộp: kerb health cho biết"],
  ),
  "KERB-TLS-PLAIN": cause(
    ["No TLS is spoken at this port", "Cổng này không dùng TLS"],
    [
      "it is the port for plain traffic, or TLS is off in the device",
      "đây là cổng không mã hóa, hoặc TLS trên thiết bị đang tắt",
    ],
    [
      "switch TLS on in the device and take its TLS port; without TLS only on a network of your own",
      "bật TLS trên thiết bị và dùng cổng TLS; chỉ bỏ TLS trong mạng riêng",
    ],
    false,
  ),
  "KERB-TLS-REJECTED": cause(
    ["The device ends the TLS handshake", "Thiết bị ngắt bắt tay TLS"],
    [
      "it wants a certificate of kerb's that it knows, or speaks old TLS only",
      "thiết bị cần chứng thư của kerb mà nó biết, hoặc chỉ dùng TLS cũ",
    ],
    [
      "write `cert` and `key` under `tls`, issued by the authority that the device trusts",
      "ghi `cert` và `key` dưới `tls`, do CA mà thiết bị tin cậy cấp",
    ],
    false,
  ),
};
