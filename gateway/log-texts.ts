import type { ErrorText } from "./config/error-texts.ts";

/** Codes that only the gateway's log has. */
export const logErrors = {
  "KERB-GW-WATCHDOG": {
    title: {
      en: "The gateway does not tell systemd that it is well",
      vi: "Gateway không báo cho systemd là nó ổn",
    },
    likely: {
      en: "its outbox or its main loop hangs, as the sentence beside the code says",
      vi: "hộp gửi hoặc vòng xử lý chính bị treo, như câu bên cạnh mã cho biết",
    },
    do: {
      en: "wait: systemd restarts it unless it recovers, and stored events stay; `kerb health` shows the cause",
      vi: "chờ: systemd sẽ khởi động lại nếu nó không tự hồi phục, sự kiện đã lưu vẫn còn; `kerb health` cho biết nguyên nhân",
    },
    retry: true,
  },
  "KERB-UP-LOST": {
    title: { en: "The link to the broker is lost", vi: "Mất kết nối tới broker" },
    likely: {
      en: "the network or the broker is down; the sentence beside the code says what was seen",
      vi: "mạng hoặc broker ngừng hoạt động; câu bên cạnh mã cho biết đã thấy gì",
    },
    do: {
      en: "nothing if it comes back: events wait on the disk; else `kerb health` names the cause",
      vi: "không cần làm gì nếu tự nối lại: sự kiện chờ trên đĩa; nếu không, `kerb health` nêu nguyên nhân",
    },
    retry: true,
  },
  "KERB-UP-SUBSCRIBE": {
    title: {
      en: "The broker refuses a subscription of the gateway",
      vi: "Broker từ chối yêu cầu nhận tin của gateway",
    },
    likely: {
      en: "the access rules of the broker do not let this gateway read its own topics",
      vi: "quy tắc truy cập của broker không cho gateway này đọc các topic của nó",
    },
    do: {
      en: "let it read {city}/ack/v1/{gateway}, {city}/host/v1/+ and, for commands, {city}/cmd/v1/{gateway}/+, for the twin {city}/twin/v1/{gateway}/want",
      vi: "cho phép nó đọc {city}/ack/v1/{gateway}, {city}/host/v1/+ và, để nhận lệnh, {city}/cmd/v1/{gateway}/+, cho twin {city}/twin/v1/{gateway}/want",
    },
    retry: true,
  },
  "KERB-OUT-PROBLEM": {
    title: { en: "The outbox has trouble with its file", vi: "Hộp gửi gặp sự cố với tệp của nó" },
    likely: {
      en: "the disk is full, slow or dying, or another program holds the file",
      vi: "đĩa đầy, chậm hoặc sắp hỏng, hoặc phần mềm khác đang giữ tệp",
    },
    do: {
      en: "read the sentence beside the code; `kerb health` shows whether it still holds",
      vi: "đọc câu bên cạnh mã; `kerb health` cho biết sự cố còn hay đã hết",
    },
    retry: true,
  },
  "KERB-OUT-OK": {
    title: { en: "The outbox stores events again", vi: "Hộp gửi lại lưu được sự kiện" },
    likely: {
      en: "what kept it from storing is over; events had waited in memory",
      vi: "nguyên nhân làm hộp gửi ngừng lưu đã hết; trong lúc đó sự kiện chờ trong bộ nhớ",
    },
    do: {
      en: "nothing; `kerb books` shows whether any event was lost before",
      vi: "không cần làm gì; `kerb books` cho biết trước đó có sự kiện nào bị mất không",
    },
    retry: true,
  },
  "KERB-GW-NOTIFY": {
    title: {
      en: "systemd cannot be told how the gateway is",
      vi: "Không báo được tình trạng gateway cho systemd",
    },
    likely: {
      en: "the program systemd-notify is missing or fails, or the box has no memory for it",
      vi: "thiếu chương trình systemd-notify, chương trình đó bị lỗi, hoặc hộp hết bộ nhớ",
    },
    do: {
      en: "see whether `systemd-notify --version` works, and whether the box has memory left; without it the service may be restarted",
      vi: "kiểm tra `systemd-notify --version` có chạy không và hộp còn bộ nhớ không; nếu không, dịch vụ có thể bị khởi động lại",
    },
    retry: true,
  },
  "KERB-UP-COMMAND": {
    title: { en: "Answers to commands reach the IOC late", vi: "Câu trả lời cho lệnh đến IOC bị muộn" },
    likely: {
      en: "more commands come than the link can answer, or the broker takes answers slowly",
      vi: "lệnh đến nhiều hơn mức đường truyền trả lời kịp, hoặc broker nhận câu trả lời chậm",
    },
    do: {
      en: "nothing: they come as events; if it repeats, see the link in `kerb status` and send commands more slowly",
      vi: "không cần làm gì: chúng sẽ đến dưới dạng sự kiện; nếu lặp lại, xem kết nối trong `kerb status` và gửi lệnh thưa hơn",
    },
    retry: true,
  },
} satisfies Record<string, ErrorText>;
