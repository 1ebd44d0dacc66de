import type { ErrorText } from "../config/error-texts.ts";

/** What `kerb health` finds besides the errors of devices, outbox and uplinks. */
export const healthErrors = {
  "KERB-GW-LOOP": {
    title: { en: "The gateway answers late", vi: "Gateway phản hồi chậm" },
    likely: {
      en: "another program takes the processor, the box swaps, or it has too many devices",
      vi: "phần mềm khác chiếm bộ xử lý, hộp thiếu bộ nhớ, hoặc có quá nhiều thiết bị",
    },
    do: {
      en: "look at `top` for the process that takes the processor; lengthen `poll` of fast devices",
      vi: "dùng `top` tìm tiến trình chiếm bộ xử lý; tăng `poll` của các thiết bị đọc nhanh",
    },
    retry: true,
  },
  "KERB-GW-SILENT": {
    title: { en: "The gateway runs but does not answer", vi: "Gateway đang chạy nhưng không phản hồi" },
    likely: {
      en: "the box is overloaded, or the program hangs",
      vi: "hộp bị quá tải, hoặc chương trình bị treo",
    },
    do: {
      en: "wait a minute: systemd restarts a gateway that hangs; else `systemctl restart kerb`, stored events stay",
      vi: "chờ một phút: systemd sẽ khởi động lại gateway bị treo; nếu không, `systemctl restart kerb`, sự kiện đã lưu vẫn còn",
    },
    retry: true,
  },
  "KERB-GW-ENDPOINT": {
    title: { en: "Metrics and health checks are not served", vi: "Không phục vụ được số liệu giám sát" },
    likely: {
      en: "another program listens at the address of `health.listen`, or this box does not have that address",
      vi: "phần mềm khác đang dùng địa chỉ `health.listen`, hoặc hộp không có địa chỉ đó",
    },
    do: {
      en: "choose another port in `health.listen`; `ss -ltnp` shows who has it",
      vi: "chọn cổng khác trong `health.listen`; `ss -ltnp` cho biết phần mềm nào đang giữ",
    },
    retry: true,
  },
  "KERB-OUT-STUCK": {
    title: { en: "The outbox does not answer", vi: "Hộp gửi không phản hồi" },
    likely: {
      en: "the disk hangs: a dying card, or a network disk that has gone",
      vi: "đĩa bị treo: thẻ nhớ sắp hỏng, hoặc mất ổ đĩa mạng",
    },
    do: {
      en: "look into `dmesg` for disk errors and replace the disk; polling goes on in memory",
      vi: "xem lỗi đĩa bằng `dmesg` và thay đĩa; việc đọc vẫn tiếp tục trong bộ nhớ",
    },
    retry: true,
  },
  "KERB-OUT-FAILED": {
    title: { en: "The outbox cannot store events", vi: "Hộp gửi không lưu được sự kiện" },
    likely: { en: "the disk reports an error", vi: "đĩa báo lỗi" },
    do: {
      en: "look into `dmesg` for disk errors; polling goes on in memory",
      vi: "xem lỗi đĩa bằng `dmesg`; việc đọc vẫn tiếp tục trong bộ nhớ",
    },
    retry: true,
  },
  "KERB-OUT-BUDGET": {
    title: { en: "The outbox fills up", vi: "Hộp gửi đang đầy dần" },
    likely: {
      en: "the IOC has been away for long, or takes less than the devices say",
      vi: "IOC mất kết nối đã lâu, hoặc nhận chậm hơn lượng dữ liệu từ thiết bị",
    },
    do: {
      en: "mend the uplink before the oldest telemetry is dropped, or raise `outbox.sizeMax`",
      vi: "khôi phục kết nối trước khi số đo cũ nhất bị bỏ, hoặc tăng `outbox.sizeMax`",
    },
    retry: true,
  },
  "KERB-OUT-SPACE": {
    title: {
      en: "The disk has less room than the outbox may need",
      vi: "Đĩa còn ít chỗ hơn mức hộp gửi có thể cần",
    },
    likely: {
      en: "logs or other programs took the space, or `outbox.sizeMax` is too large for this disk",
      vi: "nhật ký hoặc phần mềm khác chiếm chỗ, hoặc `outbox.sizeMax` quá lớn so với đĩa",
    },
    do: {
      en: "free space, or lower `outbox.sizeMax`",
      vi: "giải phóng dung lượng, hoặc giảm `outbox.sizeMax`",
    },
    retry: true,
  },
  "KERB-CLOCK-UNSYNCED": {
    title: { en: "The box's clock is wrong", vi: "Đồng hồ của hộp sai" },
    likely: {
      en: "the battery of the clock is empty and no time server answers",
      vi: "pin đồng hồ đã hết và không có máy chủ thời gian nào trả lời",
    },
    do: {
      en: "let the box reach a time server and ask `timedatectl`; until then all events are marked",
      vi: "cho hộp kết nối tới máy chủ thời gian và xem `timedatectl`; tới lúc đó mọi sự kiện đều được đánh dấu",
    },
    retry: true,
  },
  "KERB-CLOCK-UNPROVED": {
    title: { en: "Nobody vouches for the box's clock", vi: "Chưa có gì xác nhận đồng hồ của hộp" },
    likely: {
      en: "systemd-timesyncd has not reached a time server since the box was started, or does not run",
      vi: "từ khi hộp khởi động, systemd-timesyncd chưa liên lạc được máy chủ thời gian, hoặc không chạy",
    },
    do: {
      en: "ask `timedatectl timesync-status`; name a server that the box can reach in /etc/systemd/timesyncd.conf",
      vi: "xem `timedatectl timesync-status`; ghi máy chủ mà hộp tới được vào /etc/systemd/timesyncd.conf",
    },
    retry: true,
  },
  "KERB-UP-NONE": {
    title: { en: "There is no uplink", vi: "Chưa có kết nối nào tới IOC" },
    likely: { en: "the site file names none under `uplinks`", vi: "tệp cấu hình không khai báo `uplinks`" },
    do: {
      en: "add one to `uplinks`; until then events stay in the outbox",
      vi: "khai báo trong `uplinks`; tới lúc đó sự kiện nằm lại trong hộp gửi",
    },
    retry: false,
  },
  "KERB-HOST-ENDED": {
    title: { en: "A driver's process has ended", vi: "Tiến trình của một driver đã dừng" },
    likely: {
      en: "a fault in the driver, or a device that says something nobody expected",
      vi: "lỗi trong driver, hoặc thiết bị gửi dữ liệu không lường trước",
    },
    do: {
      en: "nothing: it starts again by itself; if it repeats send `journalctl -u kerb` to the maker",
      vi: "không cần làm gì: tiến trình tự chạy lại; nếu lặp lại, gửi `journalctl -u kerb` cho nhà phát triển",
    },
    retry: true,
  },
  "KERB-HOST-SILENT": {
    title: { en: "A driver's process does not answer", vi: "Tiến trình của một driver không phản hồi" },
    likely: { en: "the driver hangs, or the box is overloaded", vi: "driver bị treo, hoặc hộp bị quá tải" },
    do: {
      en: "nothing: it is ended and started again within seconds; if it stays, `systemctl restart kerb`",
      vi: "không cần làm gì: tiến trình được dừng và chạy lại trong vài giây; nếu vẫn vậy, `systemctl restart kerb`",
    },
    retry: true,
  },
  "KERB-HOST-MEMORY": {
    title: { en: "A driver's process takes much memory", vi: "Tiến trình của một driver dùng nhiều bộ nhớ" },
    likely: {
      en: "a leak in the driver, or very many points",
      vi: "driver rò rỉ bộ nhớ, hoặc có rất nhiều điểm đo",
    },
    do: {
      en: "nothing: it is started anew above its limit; if it repeats send `journalctl -u kerb` to the maker",
      vi: "không cần làm gì: vượt giới hạn thì tiến trình được chạy mới; nếu lặp lại, gửi `journalctl -u kerb` cho nhà phát triển",
    },
    retry: true,
  },
  "KERB-DEV-WRONG-DEVICE": {
    title: { en: "Another device answers at this address", vi: "Thiết bị khác trả lời tại địa chỉ này" },
    likely: {
      en: "units were swapped or renumbered, or the profile is another model's",
      vi: "thiết bị bị đổi chỗ hoặc đổi số, hoặc hồ sơ thuộc model khác",
    },
    do: {
      en: "compare the label on the device with `profile` and address in the site file",
      vi: "so nhãn trên thiết bị với `profile` và địa chỉ trong tệp cấu hình",
    },
    retry: true,
  },
  "KERB-DEV-INTERNAL": {
    title: { en: "The driver failed in a way it does not know", vi: "Driver gặp lỗi chưa biết" },
    likely: { en: "a fault in the driver", vi: "lỗi trong driver" },
    do: {
      en: "send `journalctl -u kerb` to the maker; the device is tried again by itself",
      vi: "gửi `journalctl -u kerb` cho nhà phát triển; thiết bị được thử lại tự động",
    },
    retry: true,
  },
} satisfies Record<string, ErrorText>;
