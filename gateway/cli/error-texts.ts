import type { ErrorText } from "../config/error-texts.ts";

/** What ends a verb of the command line besides the errors of devices, commands and the gateway. */
export const cliErrors = {
  "KERB-CLI-USAGE": {
    title: { en: "A command was written wrongly", vi: "Câu lệnh viết sai" },
    likely: {
      en: "a word or an option is misspelt, missing or one too many, or its value cannot be",
      vi: "một từ hay tùy chọn viết sai, thiếu hoặc thừa, hoặc giá trị của nó không hợp lệ",
    },
    do: {
      en: "the sentence names the place; `kerb VERB --help` shows how it is written",
      vi: "câu báo lỗi nêu chỗ sai; `kerb VERB --help` cho biết cách viết",
    },
    retry: false,
  },
  "KERB-CLI-NOT-FOUND": {
    title: { en: "Something that was named does not exist", vi: "Không có thứ được nêu tên" },
    likely: {
      en: "a typing mistake, or another site file than the one that is meant",
      vi: "gõ nhầm, hoặc tệp cấu hình đang dùng không phải tệp cần dùng",
    },
    do: {
      en: "the complaint lists what there is; `kerb status` lists the devices of the running gateway",
      vi: "câu báo lỗi liệt kê những gì đang có; `kerb status` liệt kê thiết bị của gateway đang chạy",
    },
    retry: false,
  },
  "KERB-CLI-NOT-RUNNING": {
    title: { en: "Nobody answers this command", vi: "Không có ai trả lời lệnh này" },
    likely: {
      en: "the gateway or the receiver is not started, or it runs with another site file or address",
      vi: "gateway hoặc bộ nhận chưa chạy, hoặc đang chạy với tệp cấu hình hay địa chỉ khác",
    },
    do: {
      en: "`systemctl status kerb` shows the service; `kerb run FILE` starts a gateway by hand",
      vi: "`systemctl status kerb` cho biết dịch vụ; `kerb run FILE` khởi động gateway bằng tay",
    },
    retry: false,
  },
  "KERB-CLI-TAKEN": {
    title: {
      en: "An address on this machine cannot be used",
      vi: "Không dùng được một địa chỉ trên máy này",
    },
    likely: {
      en: "another program listens there, or a port below 1024 needs root",
      vi: "phần mềm khác đang lắng nghe ở đó, hoặc cổng dưới 1024 cần quyền root",
    },
    do: {
      en: "`ss -ltnp` shows who has it; end that program or take another port",
      vi: "`ss -ltnp` cho biết phần mềm nào đang giữ; dừng phần mềm đó hoặc chọn cổng khác",
    },
    retry: false,
  },
  "KERB-CLI-CASSETTE": {
    title: { en: "A recording cannot be used", vi: "Không dùng được bản ghi" },
    likely: {
      en: "the file is damaged, cut off, or was not made by `kerb record`",
      vi: "tệp bị hỏng, bị cắt cụt, hoặc không phải do `kerb record` tạo",
    },
    do: {
      en: "take an undamaged copy, or record the device anew: `kerb record DEVICE`",
      vi: "lấy bản sao nguyên vẹn, hoặc ghi lại thiết bị: `kerb record DEVICE`",
    },
    retry: false,
  },
  "KERB-CLI-NEEDS-YES": {
    title: { en: "Nobody is there to say yes", vi: "Không có ai ở đó để đồng ý" },
    likely: {
      en: "a command that changes something runs in a script, in a pipe or with --json",
      vi: "lệnh làm thay đổi thiết bị hay cấu hình đang chạy trong script, qua đường ống hoặc với --json",
    },
    do: {
      en: "run it in a terminal, or add --yes if it is meant",
      vi: "chạy nó trong cửa sổ lệnh, hoặc thêm --yes nếu thật sự muốn",
    },
    retry: false,
  },
  "KERB-CLI-FAILED": {
    title: { en: "A command could not be carried out", vi: "Không thực hiện được câu lệnh" },
    likely: {
      en: "the sentence beside the code says what went wrong; no other code fits",
      vi: "câu bên cạnh mã cho biết điều gì đã hỏng; không có mã nào khác phù hợp",
    },
    do: {
      en: "do what the complaint says; if it says nothing, `KERB_DEBUG=1` before the command shows where it broke",
      vi: "làm theo câu báo lỗi; nếu không có chỉ dẫn, `KERB_DEBUG=1` trước câu lệnh cho biết hỏng ở đâu",
    },
    retry: false,
  },
} satisfies Record<string, ErrorText>;
