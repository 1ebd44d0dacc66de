import { cause } from "../cause-text.ts";

/** SNMP agents. */
export const snmpCauses = {
  "KERB-SNMP-COMMUNITY": cause(
    ["The agent is there and ignores this community", "Agent có hoạt động nhưng bỏ qua community này"],
    [
      "wrong `community`, or the agent takes version 3 only",
      "sai `community`, hoặc agent chỉ nhận phiên bản 3",
    ],
    [
      "compare `community` with the device, or write `version: 3` with a user",
      "so `community` với thiết bị, hoặc ghi `version: 3` kèm người dùng",
    ],
    false,
  ),
  "KERB-SNMP-VERSION": cause(
    ["The agent answers in another version of SNMP", "Agent trả lời bằng phiên bản SNMP khác"],
    [
      "`version` in the site file is not the one that the agent speaks",
      "`version` trong tệp cấu hình không đúng với agent",
    ],
    ["write the version that answers into the site file", "ghi phiên bản có trả lời vào tệp cấu hình"],
    false,
  ),
  "KERB-SNMP-SILENT": cause(
    ["No SNMP answer comes back", "Không có trả lời SNMP nào"],
    [
      "the device is off, its SNMP is off, the community is wrong, or a firewall stands between",
      "thiết bị tắt, SNMP tắt, sai community, hoặc bị tường lửa chặn",
    ],
    [
      "ping the device; switch SNMP on in it and compare `community`",
      "ping thiết bị; bật SNMP trên thiết bị và so `community`",
    ],
  ),
  "KERB-SNMP-OFF": cause(
    ["The machine is there, and no agent listens", "Máy có trả lời nhưng không có agent SNMP"],
    [
      "SNMP is switched off in the device, or it has another port",
      "SNMP trên thiết bị đang tắt, hoặc dùng cổng khác",
    ],
    ["switch SNMP on in the device; compare `port`", "bật SNMP trên thiết bị; so `port`"],
  ),
  "KERB-SNMP-USER": cause(
    ["The agent does not know this SNMPv3 user", "Agent không biết người dùng SNMPv3 này"],
    [
      "a slip in `security.user`, or the user was not made in the agent",
      "gõ sai `security.user`, hoặc agent chưa có người dùng này",
    ],
    ["compare `security.user` with the agent's users", "so `security.user` với danh sách của agent"],
    false,
  ),
  "KERB-SNMP-PASSWORD": cause(
    ["The agent refuses the SNMPv3 signature", "Agent từ chối chữ ký SNMPv3"],
    [
      "wrong `authPassword`, or another hash (`auth`) than the agent's",
      "sai `authPassword`, hoặc `auth` khác với agent",
    ],
    ["compare `auth` and `authPassword` with the agent", "so `auth` và `authPassword` với agent"],
    false,
  ),
  "KERB-SNMP-PRIVACY": cause(
    ["The agent cannot decrypt what kerb sends", "Agent không giải mã được dữ liệu của kerb"],
    [
      "wrong `privPassword`, or another cipher (`priv`) than the agent's",
      "sai `privPassword`, hoặc `priv` khác với agent",
    ],
    ["compare `priv` and `privPassword` with the agent", "so `priv` và `privPassword` với agent"],
    false,
  ),
  "KERB-SNMP-LEVEL": cause(
    [
      "The agent wants another level of security from this user",
      "Agent đòi mức bảo mật khác cho người dùng này",
    ],
    ["signing or encryption is on at one end only", "ký hoặc mã hóa chỉ bật ở một đầu"],
    [
      "set `auth` and `priv` as the agent has them for this user",
      "đặt `auth` và `priv` đúng như agent quy định",
    ],
    false,
  ),
  "KERB-SNMP-CLOCK": cause(
    ["The agent's SNMPv3 clock does not hold", "Đồng hồ SNMPv3 của agent không ổn định"],
    [
      "the device restarts over and over, or does not keep its boot count",
      "thiết bị liên tục khởi động lại, hoặc không giữ số lần khởi động",
    ],
    ["check the device's power; update its firmware", "kiểm tra nguồn của thiết bị; cập nhật firmware"],
  ),
  "KERB-SNMP-NOT-SNMP": cause(
    ["What answers at this port is no SNMP", "Dịch vụ tại cổng này không phải SNMP"],
    ["another service has this port", "dịch vụ khác dùng cổng này"],
    ["take the agent's port, mostly 161", "dùng cổng của agent, thường là 161"],
    false,
  ),
};
