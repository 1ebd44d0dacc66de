import { cause } from "../cause-text.ts";

/** Why a point is not what its schedule says. */
export const scheduleCauses = {
  "KERB-SCH-CLOCK": cause(
    ["Schedules stand still: the clock is wrong", "Lịch đang dừng: đồng hồ không đúng"],
    [
      "the box has had no time server since its clock was set, or since a start with an empty battery",
      "hộp chưa gặp máy chủ thời gian từ khi đồng hồ bị chỉnh, hoặc từ khi khởi động với pin đồng hồ đã cạn",
    ],
    [
      "give the box a time server (timedatectl timesync-status); the points stay as they are until then",
      "cho hộp một máy chủ thời gian (timedatectl timesync-status); đến lúc đó các điểm giữ nguyên giá trị",
    ],
  ),
  "KERB-SCH-OVERRIDE": cause(
    [
      "A person operates the device: its schedule stands still",
      "Có người đang vận hành thiết bị: lịch đang dừng",
    ],
    ["its switch or its door says so", "công tắc hoặc cửa của thiết bị báo như vậy"],
    [
      "ask who is there; the schedule goes on by itself when the switch is back",
      "hỏi người tại chỗ; lịch tự chạy tiếp khi công tắc trở lại vị trí cũ",
    ],
  ),
  "KERB-SCH-NOT-KEPT": cause(
    ["A point cannot be brought to what its schedule says", "Không đưa được điểm về giá trị theo lịch"],
    [
      "the device refuses it, does not show it, or an interlock stands against it",
      "thiết bị từ chối, không cho đọc lại, hoặc đang bị khóa liên động",
    ],
    [
      "try it by hand: kerb write DEVICE POINT=VALUE; the gateway tries again by itself, at most once a minute",
      "thử bằng tay: kerb write THIẾT_BỊ ĐIỂM=GIÁ_TRỊ; gateway tự thử lại, nhiều nhất mỗi phút một lần",
    ],
  ),
  "KERB-SCH-LET-GO": cause(
    ["A device does not stay at what its schedule says", "Thiết bị không giữ giá trị theo lịch"],
    [
      "it has a schedule or a sensor of its own, or somebody else writes to it",
      "thiết bị có lịch hoặc cảm biến riêng, hoặc có hệ thống khác cùng ghi",
    ],
    [
      "leave it to one of the two: switch off the device's own schedule, or take the point out of `schedules`",
      "chỉ để một bên điều khiển: tắt lịch của thiết bị, hoặc bỏ điểm này khỏi `schedules`",
    ],
    false,
  ),
};
