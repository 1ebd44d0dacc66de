import type { Language } from "../config/error-texts.ts";

/** What `kerb backup` and `kerb restore` say. */
interface BackupWords {
  passphrase: string;
  again: string;
  tooShort: (chars: number) => string;
  tooShortCure: string;
  differs: string;
  differsCure: string;
  nobody: string;
  nobodyCure: string;
  bufferRuns: string;
  failed: string;
  failedCure: string;
  written: (file: string, size: string, files: number) => string;
  kinds: Record<"portable" | "sealed", string>;
  buffer: Record<"with" | "without", string>;
  needs: string;
  unreadable: (file: string, seen: string) => string;
  notBackupCure: string;
  wrongPassphrase: string;
  wrongPassphraseCure: string;
  from: (gateway: string, age: string, kind: string) => string;
  to: (site: string, state: string) => string;
  keepsState: string;
  taken: (file: string) => string;
  takenCure: string;
  ownQueue: (folder: string) => string;
  ownQueueCure: string;
  oldBox: string;
  go: string;
  saidNo: string;
  needsYes: string;
  needsYesCure: string;
  done: (files: number, epoch: number | undefined) => string;
  aside: (file: string) => string;
  leases: string;
  lease: (device: string, point: string, value: string) => string;
  profiles: (ids: string) => string;
  next: (site: string) => string;
}

export const backupWords: Record<Language, BackupWords> = {
  en: {
    passphrase: "Passphrase: ",
    again: "Once more: ",
    tooShort: (chars) => `the passphrase has fewer than ${chars} characters`,
    tooShortCure: "take four or five words that nobody guesses, and keep them where the file is not",
    differs: "the two passphrases differ",
    differsCure: "type it again",
    nobody: "nobody is there to type the passphrase",
    nobodyCure: "run it in a terminal, or give the passphrase as the first line of stdin: --passphrase-stdin",
    bufferRuns:
      "the events cannot be saved while the gateway runs: leave --with-buffer out, or stop it first",
    failed: "the backup was not made",
    failedCure: "see the sentence above; nothing was written",
    written: (file, size, files) => `written: ${file}   ${size}, ${files} files`,
    kinds: {
      portable: "portable: without secrets; kerb backup --sealed holds them too, under a passphrase",
      sealed: "sealed: with all secrets; without the passphrase nobody can read it, you neither",
    },
    buffer: {
      with: "with the events that the IOC does not have yet",
      without: "without events; those that the IOC does not have yet stay on this box",
    },
    needs: "it takes besides, where it is restored:",
    unreadable: (file, seen) => `${file} cannot be restored: ${seen}`,
    notBackupCure: "give a file that kerb backup has written, whole",
    wrongPassphrase: "the passphrase is wrong, or the file was changed",
    wrongPassphraseCure: "try again; without its passphrase a sealed backup is lost",
    from: (gateway, age, kind) => `Backup   ${gateway}, ${age} old, ${kind}`,
    to: (site, state) => `Goes to  ${site}, state in ${state}`,
    keepsState: "Keeps    the queue that is in this state folder: it is newer than any backup",
    taken: (file) => `there is a site file already: ${file}`,
    takenCure: "--force puts it aside; or name another place with --site FILE",
    ownQueue: (folder) => `${folder} has a queue of its own: the saved events must not be mixed with it`,
    ownQueueCure: "restore into an empty state folder, or make a backup without --with-buffer",
    oldBox: "The old box must not run again: two boxes with one id take the line from each other.",
    go: "Go? [y/N] ",
    saidNo: "nothing was restored",
    needsYes: "nothing was restored: nobody is there to say yes",
    needsYesCure: "add --yes, or run it in a terminal",
    done: (files, epoch) =>
      `restored: ${files} files${epoch === undefined ? "" : `; events are counted anew in epoch ${epoch}, the IOC is told of the time between`}`,
    aside: (file) => `the file that was there is now ${file}`,
    leases:
      "These points were to go back by themselves when the backup was made. Look at them: kerb wrote nothing.",
    lease: (device, point, value) => `  ${device} ${point}   was to go back to ${value}`,
    profiles: (ids) => `this kerb has these profiles in another form and keeps its own: ${ids}`,
    next: (site) => `next: kerb check ${site}   then: systemctl start kerb   or: kerb run ${site}`,
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
    bufferRuns: "không lưu được sự kiện khi gateway đang chạy: bỏ --with-buffer, hoặc dừng nó trước",
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
    keepsState: "Giữ lại   hàng đợi trong thư mục trạng thái này: nó mới hơn mọi bản lưu",
    taken: (file) => `đã có tệp cấu hình: ${file}`,
    takenCure: "--force cất nó sang bên; hoặc chọn chỗ khác bằng --site TỆP",
    ownQueue: (folder) => `${folder} có hàng đợi riêng: không được trộn với các sự kiện đã lưu`,
    ownQueueCure: "khôi phục vào thư mục trạng thái trống, hoặc sao lưu không có --with-buffer",
    oldBox: "Hộp cũ không được chạy lại: hai hộp cùng mã sẽ giành đường truyền của nhau.",
    go: "Thực hiện? [y/N] ",
    saidNo: "không khôi phục gì cả",
    needsYes: "không khôi phục gì cả: không có ai ở đó để đồng ý",
    needsYesCure: "thêm --yes, hoặc chạy trong cửa sổ lệnh",
    done: (files, epoch) =>
      `đã khôi phục: ${files} tệp${epoch === undefined ? "" : `; sự kiện được đánh số lại trong kỳ ${epoch}, IOC được báo về khoảng thời gian ở giữa`}`,
    aside: (file) => `tệp cũ ở đó nay là ${file}`,
    leases: "Khi sao lưu, các điểm này đang chờ tự trở lại. Hãy xem chúng: kerb không ghi gì.",
    lease: (device, point, value) => `  ${device} ${point}   lẽ ra trở lại ${value}`,
    profiles: (ids) => `kerb này có các cấu hình mẫu sau ở dạng khác và giữ bản của mình: ${ids}`,
    next: (site) => `tiếp theo: kerb check ${site}   rồi: systemctl start kerb   hoặc: kerb run ${site}`,
  },
};
