import { words } from "../../words.ts";

/** What `kerb snapshot` says. */
export const snapshotWords = words({
  en: {
    gone: "there is no snapshot of this reference: its time is over, or it was taken on another box",
    goneHint: "the event's snapshot.keptUntil says how long it was kept; take the reference from the event",
    broken: "this snapshot cannot be opened: its file or the key beside it has been changed",
    brokenHint: "look into the folder snapshots of the state folder",
    taken: "taken by",
    at: "at",
  },
  vi: {
    gone: "không có ảnh nào mang mã này: đã hết hạn lưu, hoặc được chụp ở tủ khác",
    goneHint: "snapshot.keptUntil trong sự kiện cho biết hạn lưu; lấy mã từ chính sự kiện",
    broken: "không mở được ảnh này: tệp ảnh hoặc khóa bên cạnh đã bị thay đổi",
    brokenHint: "xem thư mục snapshots trong thư mục trạng thái",
    taken: "chụp bởi",
    at: "lúc",
  },
});
