import { words } from "../../words.ts";

/** Where something is amiss: "1:5-9", "1:2", "1". */
interface Place {
  events: string;
  seal: string;
  epoch: string;
}

/** What `kerb certificate` says. */
export const certificateWords = words({
  en: {
    states: {
      complete: "complete",
      "complete-with-declared-loss": "complete with declared loss",
      gap: "gap",
      unsealed: "unsealed",
    },
    findings: {
      "not-over": () => "it is not over",
      "no-seal": () => "no seal has come for all of it",
      "box-off": () => "the box was off",
      "not-checked": ({ seal }: Place) => `seal ${seal} is not checked yet`,
      "not-ended": ({ epoch }: Place) => `epoch ${epoch} is not sealed to its end`,
      "not-followed": ({ epoch }: Place) => `what came after epoch ${epoch} is not sealed`,
      missing: ({ events }: Place) => `events ${events} are missing`,
      vanished: ({ events }: Place) => `events ${events} were stored and are gone`,
      altered: ({ events }: Place) => `events ${events} are not what the gateway sealed`,
      repeated: ({ events }: Place) => `events ${events} are stored twice`,
      unreadable: ({ events }: Place) => `events ${events} cannot be read`,
      "seal-missing": ({ seal }: Place) => `seal ${seal} is missing`,
      "chain-broken": ({ seal }: Place) => `seal ${seal} does not follow the one before it`,
    },
    events: "events",
    lost: "declared lost",
    devices: (count: number) => `${count} ${count === 1 ? "device" : "devices"}`,
    polls: (polls: string, answered: string, failed: string, missed: string) =>
      `polls ${polls}: answered ${answered}, failed ${failed}, missed ${missed}`,
    unknown: (time: string) => `polls not known for ${time} of it`,
    off: "box off",
    checked: "checked",
    nobody: {
      title: "no gateway has been heard by this receiver",
      hint: "run kerb on a gateway whose uplink leads to the receiver's broker, with the same city",
    },
    nothing: "no period is over yet",
    seals: "seals",
    signatureRight: "the signature is right",
    signatureWrong: "THE SIGNATURE IS WRONG",
    unsigned: "NOT SIGNED",
    notUrl: (url: string) => `"${url}" is not a URL`,
    notUrlCure: "write it as http://127.0.0.1:8788",
    noReceiver: (url: string) => `no receiver answers at ${url}`,
    noReceiverCure: "kerb receive runs one; --url names another",
    status: (status: number) => `the receiver answered with status ${status}`,
    unknownCure: "kerb certificate without a name lists all gateways",
    usageCure: "kerb certificate --help shows how it is written",
    noKey: (file: string, why: string) => `${file} is no public key of a receiver: ${why}`,
    noKeyCure:
      'name a PEM file with "BEGIN PUBLIC KEY" (Ed25519), as GET /certificates/key of the receiver gives it',
    unreadable: (file: string, why: string) => `${file} cannot be read: ${why}`,
    noCertificate: (file: string) => `${file} holds something that is no certificate`,
    fileCure: "name a file with the output of kerb certificate --json",
  },
  vi: {
    states: {
      complete: "đầy đủ",
      "complete-with-declared-loss": "đầy đủ, có mất mát đã khai báo",
      gap: "có lỗ hổng",
      unsealed: "chưa niêm phong",
    },
    findings: {
      "not-over": () => "khoảng thời gian này chưa kết thúc",
      "no-seal": () => "chưa nhận đủ niêm phong",
      "box-off": () => "gateway đã tắt nguồn",
      "not-checked": ({ seal }) => `niêm phong ${seal} chưa được đối chiếu`,
      "not-ended": ({ epoch }) => `kỳ ${epoch} chưa được niêm phong đến hết`,
      "not-followed": ({ epoch }) => `phần sau kỳ ${epoch} chưa được niêm phong`,
      missing: ({ events }) => `thiếu sự kiện ${events}`,
      vanished: ({ events }) => `sự kiện ${events} đã lưu nhưng nay không còn`,
      altered: ({ events }) => `sự kiện ${events} không khớp với niêm phong của gateway`,
      repeated: ({ events }) => `sự kiện ${events} bị lưu hai lần`,
      unreadable: ({ events }) => `không đọc được sự kiện ${events}`,
      "seal-missing": ({ seal }) => `thiếu niêm phong ${seal}`,
      "chain-broken": ({ seal }) => `niêm phong ${seal} không nối tiếp niêm phong trước`,
    },
    events: "sự kiện",
    lost: "đã khai báo mất",
    devices: (count) => `${count} thiết bị`,
    polls: (polls, answered, failed, missed) =>
      `lần đọc ${polls}: trả lời ${answered}, hỏng ${failed}, bỏ lỡ ${missed}`,
    unknown: (time) => `không rõ số lần đọc trong ${time}`,
    off: "gateway tắt",
    checked: "đối chiếu lúc",
    nobody: {
      title: "bộ nhận này chưa nghe thấy gateway nào",
      hint: "chạy kerb trên một gateway có kết nối tới broker của bộ nhận, cùng thành phố",
    },
    nothing: "chưa có khoảng thời gian nào kết thúc",
    seals: "niêm phong",
    signatureRight: "chữ ký đúng",
    signatureWrong: "CHỮ KÝ SAI",
    unsigned: "KHÔNG CÓ CHỮ KÝ",
    notUrl: (url) => `"${url}" không phải URL`,
    notUrlCure: "viết như http://127.0.0.1:8788",
    noReceiver: (url) => `không có bộ nhận nào trả lời tại ${url}`,
    noReceiverCure: "kerb receive chạy một bộ nhận; --url nêu bộ nhận khác",
    status: (status) => `bộ nhận trả lời với mã ${status}`,
    unknownCure: "kerb certificate không nêu tên sẽ liệt kê mọi gateway",
    usageCure: "kerb certificate --help cho biết cách viết",
    noKey: (file, why) => `${file} không phải khóa công khai của bộ nhận: ${why}`,
    noKeyCure:
      'nêu một tệp PEM có "BEGIN PUBLIC KEY" (Ed25519), như GET /certificates/key của bộ nhận trả về',
    unreadable: (file, why) => `không đọc được ${file}: ${why}`,
    noCertificate: (file) => `${file} chứa thứ không phải giấy chứng nhận`,
    fileCure: "nêu một tệp chứa những gì kerb certificate --json in ra",
  },
});
