import { words } from "../../words.ts";

/** What `kerb backup` and `kerb restore` say. */
export const backupWords = words({
  en: {
    passphrase: "Passphrase: ",
    again: "Once more: ",
    tooShort: (chars: number) => `the passphrase has fewer than ${chars} characters`,
    tooShortCure: "take four or five words that nobody guesses, and keep them where the file is not",
    differs: "the two passphrases differ",
    differsCure: "type it again",
    nobody: "nobody is there to type the passphrase",
    nobodyCure: "run it in a terminal, or give the passphrase as the first line of stdin: --passphrase-stdin",
    interrupted: "interrupted",
    failed: "the backup was not made",
    failedCure: "see the sentence above; nothing was written",
    written: (file: string, size: string, files: number) => `written: ${file}   ${size}, ${files} files`,
    kinds: {
      portable: "portable: without secrets; kerb backup --sealed holds them too, under a passphrase",
      sealed: "sealed: with all secrets; without the passphrase nobody can read it, you neither",
    },
    buffer: {
      with: "with the events that the IOC does not have yet",
      without: "without events; those that the IOC does not have yet stay on this box",
    },
    needs: "it takes besides, where it is restored:",
    unreadable: (file: string, seen: string) => `${file} cannot be restored: ${seen}`,
    notBackupCure: "give a file that kerb backup has written, whole",
    wrongPassphrase: "the passphrase is wrong, or the file was changed",
    wrongPassphraseCure: "try again; without its passphrase a sealed backup is lost",
    from: (gateway: string, age: string, kind: string) => `Backup   ${gateway}, ${age} old, ${kind}`,
    to: (site: string, state: string) => `Goes to  ${site}, state in ${state}`,
    keepsState: "Keeps    the outbox that is in this state folder: it is newer than any backup",
    taken: (file: string) => `there is a site file already: ${file}`,
    takenCure: "--force puts it aside; or name another place with --site FILE",
    otherOwner: (folder: string, owner: string, gateway: string) =>
      `the state folder ${folder} belongs to the gateway "${owner}", and the backup is of "${gateway}"`,
    otherOwnerCure: "move that folder away, its events are in it, and restore again",
    ownQueue: (folder: string) =>
      `${folder} has an outbox of its own: the saved events must not be mixed with it`,
    ownQueueCure: "restore into an empty state folder, or make a backup without --with-buffer",
    oldBox: "The old box must not run again: two boxes with one id take the line from each other.",
    saidNo: "nothing was restored",
    done: (files: number, epoch: number | undefined) =>
      `restored: ${files} files${epoch === undefined ? "" : `; events are counted anew in epoch ${epoch}, the IOC is told of the time between`}`,
    aside: (file: string) => `the file that was there is now ${file}`,
    leases:
      "These points were to go back by themselves when the backup was made. Look at them: kerb wrote nothing.",
    lease: (device: string, point: string, value: string) =>
      `  ${device} ${point}   was to go back to ${value}`,
    profiles: (ids: string) => `this kerb has these profiles in another form and keeps its own: ${ids}`,
    next: (site: string) =>
      `next: kerb config check ${site}   then: systemctl start kerb   or: kerb run ${site}`,
  },
  vi: {
    passphrase: "Cụm mật khẩu: ",
    again: "Nhập lại: ",
    tooShort: (chars) => `cụm mật khẩu ngắn hơn ${chars} ký tự`,
    tooShortCure: "chọn bốn năm từ khó đoán, và cất ở nơi khác với tệp",
    differs: "hai lần nhập khác nhau",
    differsCure: "nhập lại",
    nobody: "không có ai để nhập cụm mật khẩu",
    nobodyCure: "chạy trong cửa sổ lệnh, hoặc đưa cụm mật khẩu vào dòng đầu của stdin: --passphrase-stdin",
    interrupted: "đã bị ngắt",
    failed: "chưa sao lưu được",
    failedCure: "xem câu ở trên; chưa ghi gì cả",
    written: (file, size, files) => `đã ghi: ${file}   ${size}, ${files} tệp`,
    kinds: {
      portable: "loại mở: không có bí mật; kerb backup --sealed giữ cả bí mật, khóa bằng cụm mật khẩu",
      sealed: "loại khóa: có mọi bí mật; không có cụm mật khẩu thì không ai đọc được, kể cả bạn",
    },
    buffer: {
      with: "có các sự kiện mà IOC chưa nhận",
      without: "không có sự kiện; những gì IOC chưa nhận vẫn ở trên hộp này",
    },
    needs: "nơi khôi phục cần thêm:",
    unreadable: (file, seen) => `không khôi phục được ${file}: ${seen}`,
    notBackupCure: "đưa một tệp do kerb backup ghi, còn nguyên vẹn",
    wrongPassphrase: "sai cụm mật khẩu, hoặc tệp đã bị sửa",
    wrongPassphraseCure: "thử lại; mất cụm mật khẩu là mất bản sao lưu loại khóa",
    from: (gateway, age, kind) => `Bản lưu   ${gateway}, từ ${age} trước, ${kind}`,
    to: (site, state) => `Đặt vào   ${site}, trạng thái ở ${state}`,
    keepsState: "Giữ lại   hộp gửi trong thư mục trạng thái này: nó mới hơn mọi bản lưu",
    taken: (file) => `đã có tệp cấu hình: ${file}`,
    takenCure: "--force cất nó sang bên; hoặc chọn chỗ khác bằng --site FILE",
    otherOwner: (folder, owner, gateway) =>
      `thư mục trạng thái ${folder} thuộc gateway "${owner}", còn bản sao lưu là của "${gateway}"`,
    otherOwnerCure: "chuyển thư mục đó đi nơi khác, vì sự kiện của nó nằm trong đó, rồi khôi phục lại",
    ownQueue: (folder) => `${folder} có hộp gửi riêng: không được trộn với các sự kiện đã lưu`,
    ownQueueCure: "khôi phục vào thư mục trạng thái trống, hoặc sao lưu không có --with-buffer",
    oldBox: "Hộp cũ không được chạy lại: hai hộp cùng mã sẽ giành đường truyền của nhau.",
    saidNo: "không khôi phục gì cả",
    done: (files, epoch) =>
      `đã khôi phục: ${files} tệp${epoch === undefined ? "" : `; sự kiện được đánh số lại trong kỳ ${epoch}, IOC được báo về khoảng thời gian ở giữa`}`,
    aside: (file) => `tệp cũ ở đó nay là ${file}`,
    leases: "Khi sao lưu, các điểm này đang chờ tự trở lại. Hãy xem chúng: kerb không ghi gì.",
    lease: (device, point, value) => `  ${device} ${point}   lẽ ra trở lại ${value}`,
    profiles: (ids) => `kerb này có các hồ sơ sau ở dạng khác và giữ bản của mình: ${ids}`,
    next: (site) =>
      `tiếp theo: kerb config check ${site}   rồi: systemctl start kerb   hoặc: kerb run ${site}`,
  },
});
