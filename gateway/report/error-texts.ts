import type { ErrorText } from "../config/error-texts.ts";

/** What `kerb report` finds besides what is wrong with the running gateway. */
export const reportErrors = {
  "KERB-REP-NO-GATEWAY": {
    title: { en: "No gateway runs", vi: "Không có gateway nào đang chạy" },
    likely: {
      en: "it was not started yet, or was stopped for work at the cabinet",
      vi: "gateway chưa được khởi động, hoặc đã bị dừng để làm việc tại tủ",
    },
    do: {
      en: "start it (systemctl start kerb), wait until the IOC has acknowledged, and make the report again",
      vi: "khởi động (systemctl start kerb), chờ IOC xác nhận rồi lập lại báo cáo",
    },
    retry: false,
  },
  "KERB-REP-REFUSED": {
    title: {
      en: "The box does not sign what it was given",
      vi: "Hộp không ký nội dung được đưa",
    },
    likely: {
      en: "it is no commissioning report of this gateway, the files have other devices than those that run, it was altered, or it was not made just now",
      vi: "đó không phải báo cáo nghiệm thu của gateway này, tệp cấu hình có thiết bị khác với những gì đang chạy, đã bị sửa, hoặc không phải vừa mới lập",
    },
    do: {
      en: "apply what was changed in the files (kerb config apply), then make and sign it in one go, with kerb report, while the gateway runs",
      vi: "áp dụng những gì đã sửa trong tệp cấu hình (kerb config apply), rồi lập và ký trong một lần, bằng kerb report, khi gateway đang chạy",
    },
    retry: false,
  },
  "KERB-REP-READ": {
    title: {
      en: "The device could not be read for the report",
      vi: "Không đọc được thiết bị khi lập báo cáo",
    },
    likely: {
      en: "it was busy or was lost just now",
      vi: "thiết bị đang bận hoặc vừa mất kết nối",
    },
    do: { en: "kerb read DEVICE, then make the report again", vi: "kerb read THIẾT_BỊ, rồi lập lại báo cáo" },
    retry: true,
  },
  "KERB-REP-VALUES": {
    title: { en: "Some values are not as they should be", vi: "Một số giá trị không đạt" },
    likely: {
      en: "a sensor is not connected, the wiring is wrong, or the scale in the profile does not fit",
      vi: "cảm biến chưa nối, đấu dây sai, hoặc hệ số trong hồ sơ không đúng",
    },
    do: {
      en: "compare with an instrument at the device; kerb read DEVICE --raw shows the bytes",
      vi: "đối chiếu với dụng cụ đo tại thiết bị; kerb read THIẾT_BỊ --raw cho xem byte",
    },
    retry: false,
  },
  "KERB-REP-UNHEARD": {
    title: { en: "The device has told nothing yet", vi: "Thiết bị chưa gửi gì" },
    likely: {
      en: "it tells its values by itself, and nothing has happened since the start",
      vi: "thiết bị tự gửi giá trị, và chưa có gì xảy ra từ khi khởi động",
    },
    do: {
      en: "make it tell something (drive over the detector, open the door), then make the report again",
      vi: "tạo một sự kiện (cho xe qua cảm biến, mở cửa tủ), rồi lập lại báo cáo",
    },
    retry: false,
  },
  "KERB-REP-IDENTITY": {
    title: {
      en: "The device is not the model of its profile",
      vi: "Thiết bị không phải model mà hồ sơ mô tả",
    },
    likely: {
      en: "another model was installed, or the site file names the wrong profile",
      vi: "đã lắp model khác, hoặc tệp cấu hình ghi sai hồ sơ",
    },
    do: {
      en: "kerb identify DEVICE shows which profile fits",
      vi: "kerb identify THIẾT_BỊ cho biết hồ sơ nào phù hợp",
    },
    retry: false,
  },
  "KERB-REP-NOT-COMMISSIONED": {
    title: { en: "The device is not in operation", vi: "Thiết bị chưa đưa vào vận hành" },
    likely: {
      en: "it is disabled in the site file, or the running gateway does not have it yet",
      vi: "thiết bị bị tắt trong tệp cấu hình, hoặc gateway đang chạy chưa có thiết bị này",
    },
    do: {
      en: "enable it and let the gateway take the site file over, or remove it from the site file",
      vi: "bật thiết bị và cho gateway nạp lại tệp cấu hình, hoặc xoá khỏi tệp cấu hình",
    },
    retry: false,
  },
  "KERB-REP-UNDELIVERED": {
    title: {
      en: "Nothing of this device has reached the IOC yet",
      vi: "IOC chưa nhận được gì của thiết bị này",
    },
    likely: {
      en: "the gateway has just started: the IOC acknowledges once a minute",
      vi: "gateway vừa khởi động: IOC xác nhận mỗi phút một lần",
    },
    do: {
      en: "wait two minutes and make the report again; kerb books shows what waits",
      vi: "chờ hai phút rồi lập lại báo cáo; kerb books cho biết sự kiện nào đang chờ",
    },
    retry: true,
  },
  "KERB-REP-BOOKS": {
    title: { en: "The books do not balance", vi: "Sổ sự kiện không khớp" },
    likely: { en: "the outbox was damaged", vi: "hộp gửi bị hỏng" },
    do: {
      en: "kerb books shows the lines that do not close; keep the state folder as it is",
      vi: "kerb books cho biết dòng nào không khớp; giữ nguyên thư mục trạng thái",
    },
    retry: false,
  },
  "KERB-REP-AUDIT": {
    title: { en: "The journal of commands was altered", vi: "Nhật ký lệnh đã bị sửa" },
    likely: { en: "somebody has edited or cut it", vi: "có người đã sửa hoặc cắt nhật ký" },
    do: {
      en: "kerb audit verify names the place; keep the folder as it is",
      vi: "kerb audit verify cho biết vị trí; giữ nguyên thư mục",
    },
    retry: false,
  },
} satisfies Record<string, ErrorText>;
