import type { CommandStage, CommandState } from "../../commands/state.ts";
import type { Language } from "../../config/error-texts.ts";
import { type ErrorCode, errorTable, exitCodes, printable } from "../../errors.ts";
import { words } from "../../words.ts";
import { CommandError, tableError } from "../errors.ts";

/** What `kerb command`, `write` and `audit` say. */

export const commandWords = words({
  en: {
    command: "command",
    before: "before",
    readBack: "read back",
    returnsAfter: "returns by itself after",
    returned: "is back at",
    token: "token",
    validFor: "valid for",
    sentAgain: "sent",
    times: "times",
    unanswered: "no answer came: the gateway did not get it, or its answers are lost",
    unansweredHint:
      "see whether the gateway is online and whether its site file opens anything for writing; the command is dead by now",
    unknown: "nobody can say yet whether it was executed",
    unknownHint:
      "the gateway reads the point and tells the result as an event: GET /commands/ID at the receiver",
    stage: {
      accepted: "accepted",
      rejected: "rejected",
      running: "running",
      done: "done",
      failed: "failed",
      expired: "expired",
      unknown: "unknown",
    },
    now: "Now",
    limits: "Limits",
    interlock: "Interlock",
    none: "none",
    unread: "cannot be read",
    step: "step",
    returnsLine: (value: string, after: string) =>
      `It goes back to ${value} after ${after}, even if this terminal closes.`,
    twoSteps: "It is a safety point: it is armed, then committed.",
    nothingOpen: (site: string) => `nothing may be written: no device in ${site} opens a point`,
    nothingOpenCure:
      "kerb device show DEVICE says which points its profile offers; open one in the device's file: write: { allow: [POINT] }, then kerb config apply",
    notWritten: "nothing was written",
    saidNo: "nobody said yes",
    recorded: (id: string, user: string) =>
      `Recorded as command ${id}; the IOC sees it as local maintenance by ${user}.`,
    twoPerson: "this point is armed by one person and committed by another, one of them with a signature",
    twoPersonHint:
      "kerb write … --arm gives a token, with which the IOC commits within 15 s; or the IOC arms, and its token goes here: --commit TOKEN",
    armed: (token: string, seconds: number) => `Armed. Within ${seconds} s: --commit ${token}`,
    missing: (option: string) => `--${option} is missing`,
    missingCure: (verb: string) => `kerb ${verb} --help shows how it is written`,
    oneMode: "--arm, --commit, --abort and --two-steps exclude each other",
    oneModeCure: "choose one of them",
    noBroker: (given: string) => `"${given}" is no broker`,
    noBrokerCure: "write it as mqtts://host:8883",
    noKey: (file: string, why: string) => `${file} is no key to sign with: ${why}`,
    noKeyCure: (file: string) => `make one: kerb command keygen ${file}`,
  },
  vi: {
    command: "lệnh",
    before: "trước đó",
    readBack: "đọc lại",
    returnsAfter: "tự trở lại sau",
    returned: "đã trở lại",
    token: "mã",
    validFor: "hiệu lực",
    sentAgain: "đã gửi",
    times: "lần",
    unanswered: "không có trả lời: gateway không nhận được, hoặc trả lời bị mất",
    unansweredHint:
      "xem gateway có trực tuyến không và tệp cấu hình có cho ghi gì không; lệnh này đã hết hạn",
    unknown: "chưa rõ lệnh đã được thực hiện hay chưa",
    unknownHint: "gateway sẽ đọc lại điểm và báo kết quả bằng sự kiện: GET /commands/ID tại bộ nhận",
    stage: {
      accepted: "đã nhận",
      rejected: "từ chối",
      running: "đang chạy",
      done: "xong",
      failed: "hỏng",
      expired: "hết hạn",
      unknown: "chưa rõ",
    },
    now: "Hiện tại",
    limits: "Giới hạn",
    interlock: "Khóa liên động",
    none: "không có",
    unread: "không đọc được",
    step: "bước",
    returnsLine: (value, after) => `Sẽ tự trở lại ${value} sau ${after}, kể cả khi đóng cửa sổ này.`,
    twoSteps: "Đây là điểm an toàn: phải mở khóa rồi mới xác nhận.",
    nothingOpen: (site) => `không ghi được gì: không thiết bị nào trong ${site} mở điểm nào để ghi`,
    nothingOpenCure:
      "kerb device show DEVICE cho biết hồ sơ có những điểm nào ghi được; mở trong tệp của thiết bị: write: { allow: [POINT] }, rồi kerb config apply",
    notWritten: "không ghi gì cả",
    saidNo: "không có ai đồng ý",
    recorded: (id, user) => `Đã ghi là lệnh ${id}; IOC thấy đây là bảo trì tại chỗ của ${user}.`,
    twoPerson: "điểm này do một người mở khóa và người khác xác nhận, một trong hai phải có chữ ký số",
    twoPersonHint:
      "kerb write … --arm cho một mã để IOC xác nhận trong 15 giây; hoặc IOC mở khóa và mã được nhập ở đây: --commit MÃ",
    armed: (token, seconds) => `Đã mở khóa. Trong ${seconds} giây: --commit ${token}`,
    missing: (option) => `thiếu --${option}`,
    missingCure: (verb) => `kerb ${verb} --help cho biết cách viết`,
    oneMode: "--arm, --commit, --abort và --two-steps loại trừ nhau",
    oneModeCure: "chọn một",
    noBroker: (given) => `"${given}" không phải địa chỉ broker`,
    noBrokerCure: "viết như mqtts://host:8883",
    noKey: (file, why) => `không dùng được khóa ${file}: ${why}`,
    noKeyCure: (file) => `tạo khóa: kerb command keygen ${file}`,
  },
});

/** How a command line ends that was not done; undefined: it was. */
export function failureOf(
  place: string,
  state: CommandState | undefined,
  stage: CommandStage | "unanswered",
  language: Language,
): CommandError | undefined {
  const text = commandWords[language];
  if (stage === "done") return undefined;
  if (stage === "unanswered") {
    const title = `${place}: ${text.unanswered}`;
    const hint = text.unansweredHint;
    return new CommandError({ code: "KERB-CLI-FAILED", exitCode: exitCodes.timedOut, title, hint, language });
  }
  const { code = "", reason = "" } = state ?? {};
  const usual = {
    rejected: exitCodes.notAllowed,
    failed: exitCodes.notDone,
    expired: exitCodes.notDone,
    unknown: exitCodes.unsure,
    accepted: exitCodes.unsure,
    running: exitCodes.unsure,
  }[stage];
  const exitCode = code === "KERB-CMD-PARTIAL" ? exitCodes.partly : usual;
  if (Object.hasOwn(errorTable, code))
    return tableError(place, code as ErrorCode, reason, language, exitCode);
  const isOpen = exitCode === exitCodes.unsure;
  const about = isOpen ? text.unknown : text.stage[stage];
  return new CommandError({
    code: "KERB-CLI-FAILED",
    exitCode,
    title: printable(`${place}: ${about}${reason === "" ? "" : `: ${reason}`}`),
    ...(isOpen ? { hint: text.unknownHint } : {}),
    language,
  });
}

/** "dim 70, lamp true" */
export function shownValues(values: CommandState["before"]): string {
  return printable(
    Object.entries(values ?? {})
      .map(([point, value]) => `${point} ${value ?? "-"}`)
      .join(", "),
  );
}
