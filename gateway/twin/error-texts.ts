import type { ErrorText } from "../config/error-texts.ts";

/** Why a document of the twin is not taken, or did not stay. */
export const twinErrors = {
  "KERB-TWIN-SIZE": {
    title: { en: "A twin document is too long", vi: "Tài liệu twin quá dài" },
    likely: {
      en: "it names very many devices, or is no twin document",
      vi: "nó nêu quá nhiều thiết bị, hoặc không phải tài liệu twin",
    },
    do: { en: "keep it within 32 KiB", vi: "giữ trong 32 KiB" },
    retry: false,
  },
  "KERB-TWIN-JSON": {
    title: { en: "A twin document is not JSON", vi: "Tài liệu twin không phải JSON" },
    likely: { en: "it was cut, garbled, or has a key twice", vi: "nó bị cắt, bị hỏng, hoặc có khóa lặp lại" },
    do: {
      en: "send one JSON object in UTF-8, each key once",
      vi: "gửi một đối tượng JSON mã hóa UTF-8, mỗi khóa một lần",
    },
    retry: false,
  },
  "KERB-TWIN-SHAPE": {
    title: { en: "A twin document holds what none may hold", vi: "Tài liệu twin chứa thứ không được phép" },
    likely: {
      en: "it is nested too deep, has a key such as __proto__, or a number that is too large",
      vi: "nó lồng quá sâu, có khóa như __proto__, hoặc có số quá lớn",
    },
    do: { en: "make it with kerb twin set", vi: "tạo bằng kerb twin set" },
    retry: false,
  },
  "KERB-TWIN-SCHEMA": {
    title: { en: "A twin document does not have its form", vi: "Tài liệu twin không đúng định dạng" },
    likely: {
      en: "a key is missing, unknown, or has a wrong value",
      vi: "thiếu khóa, khóa lạ, hoặc giá trị sai",
    },
    do: {
      en: "make it with kerb twin set; config/twin.schema.json says what it holds",
      vi: "tạo bằng kerb twin set; config/twin.schema.json mô tả nội dung",
    },
    retry: false,
  },
  "KERB-TWIN-GATEWAY": {
    title: { en: "A twin document is for another gateway", vi: "Tài liệu twin dành cho gateway khác" },
    likely: {
      en: "it was published on the wrong topic, or copied there",
      vi: "nó được gửi nhầm topic, hoặc bị chép sang",
    },
    do: { en: "make one for this gateway: --gateway", vi: "tạo tài liệu cho gateway này: --gateway" },
    retry: false,
  },
  "KERB-TWIN-OFF": {
    title: { en: "This gateway takes no twin documents", vi: "Gateway này không nhận tài liệu twin" },
    likely: { en: "its site file has no key twin", vi: "tệp cấu hình không có khóa twin" },
    do: {
      en: "write twin into the site file, if the IOC is to configure this gateway",
      vi: "viết twin vào tệp cấu hình nếu muốn IOC cấu hình gateway này",
    },
    retry: false,
  },
  "KERB-TWIN-ISSUER": {
    title: {
      en: "A twin document is of nobody who may configure this gateway",
      vi: "Tài liệu twin không do bên được phép cấu hình gateway này gửi",
    },
    likely: {
      en: "its issuer may only command, was added by a twin itself, or is none of this site",
      vi: "bên gửi chỉ được ra lệnh, do chính twin thêm vào, hoặc không thuộc nơi này",
    },
    do: {
      en: "name the issuer under twin.issuers of the site file, if it is to",
      vi: "ghi bên gửi vào twin.issuers của tệp cấu hình nếu cho phép",
    },
    retry: false,
  },
  "KERB-TWIN-SIGNATURE": {
    title: { en: "The signature of a twin document is wrong", vi: "Chữ ký của tài liệu twin sai" },
    likely: {
      en: "another key, or it was changed on its way",
      vi: "khóa khác, hoặc tài liệu bị sửa trên đường",
    },
    do: {
      en: "sign with the key whose public part the site file has; if you did, somebody at the broker changes messages",
      vi: "ký bằng khóa có phần công khai trong tệp cấu hình; nếu đã đúng thì có kẻ sửa tin tại broker",
    },
    retry: false,
  },
  "KERB-TWIN-HASH": {
    title: {
      en: "The hash of a twin document is not that of what it wants",
      vi: "Mã băm của tài liệu twin không khớp nội dung",
    },
    likely: {
      en: "it was made by other software that counts otherwise",
      vi: "nó do phần mềm khác tạo với cách tính khác",
    },
    do: {
      en: "take the SHA-256 of the canonical JSON (RFC 8785) of cfg",
      vi: "lấy SHA-256 của JSON chuẩn tắc (RFC 8785) của cfg",
    },
    retry: false,
  },
  "KERB-TWIN-OLD": {
    title: {
      en: "A twin document is older than one that came before",
      vi: "Tài liệu twin cũ hơn tài liệu đã nhận",
    },
    likely: {
      en: "somebody has sent an old one again, or two people send at once",
      vi: "có người gửi lại bản cũ, hoặc hai người cùng gửi",
    },
    do: { en: "send what is wanted under a higher ver", vi: "gửi nội dung mong muốn với ver cao hơn" },
    retry: false,
  },
  "KERB-TWIN-VERSION": {
    title: {
      en: "A twin document has the version of another one",
      vi: "Tài liệu twin trùng phiên bản với tài liệu khác",
    },
    likely: { en: "two people have made one at the same moment", vi: "hai người tạo tài liệu cùng lúc" },
    do: { en: "send it again under a higher ver", vi: "gửi lại với ver cao hơn" },
    retry: false,
  },
  "KERB-TWIN-SECRET": {
    title: { en: "A twin document has a reference in it", vi: "Tài liệu twin chứa tham chiếu" },
    likely: {
      en: "a part of a site file was copied, ${secret:…} with it",
      vi: "một phần tệp cấu hình được chép kèm ${secret:…}",
    },
    do: {
      en: "leave it out: secrets stay in the files of the box",
      vi: "bỏ nó đi: bí mật chỉ nằm trong tệp của thiết bị",
    },
    retry: false,
  },
  "KERB-TWIN-SECTION": {
    title: {
      en: "A twin document wants what this gateway does not let it",
      vi: "Tài liệu twin muốn đổi thứ mà gateway không cho phép",
    },
    likely: {
      en: "twin.allow of the site file does not name the section",
      vi: "twin.allow trong tệp cấu hình không nêu mục đó",
    },
    do: {
      en: "leave the section out, or have it allowed at the box",
      vi: "bỏ mục đó, hoặc cho phép tại thiết bị",
    },
    retry: false,
  },
  "KERB-TWIN-DEVICE": {
    title: {
      en: "A twin document names a device that there is not",
      vi: "Tài liệu twin nêu thiết bị không tồn tại",
    },
    likely: {
      en: "a spelling, or the device was taken out of the site",
      vi: "sai chính tả, hoặc thiết bị đã bị gỡ",
    },
    do: {
      en: "compare with the devices of the gateway: kerb status",
      vi: "so với danh sách thiết bị của gateway: kerb status",
    },
    retry: false,
  },
  "KERB-TWIN-POINT": {
    title: {
      en: "A twin document names a point that there is not",
      vi: "Tài liệu twin nêu điểm không tồn tại",
    },
    likely: {
      en: "a spelling, or another profile than was thought",
      vi: "sai chính tả, hoặc hồ sơ khác với dự kiến",
    },
    do: {
      en: "compare with the points of the device: kerb read",
      vi: "so với các điểm của thiết bị: kerb read",
    },
    retry: false,
  },
  "KERB-TWIN-VALUE": {
    title: {
      en: "A twin document wants a value that the site file could not have",
      vi: "Tài liệu twin muốn giá trị mà tệp cấu hình không thể có",
    },
    likely: { en: "it is out of bounds, or of another kind", vi: "nó ngoài giới hạn, hoặc khác loại" },
    do: {
      en: "the text beside this code says what is expected",
      vi: "nội dung kèm mã này cho biết giá trị mong đợi",
    },
    retry: false,
  },
  "KERB-TWIN-ROLE": {
    title: {
      en: "A twin document gives a role that there is not",
      vi: "Tài liệu twin trao vai trò không tồn tại",
    },
    likely: {
      en: "a spelling; roles are made in the site file only",
      vi: "sai chính tả; vai trò chỉ được tạo trong tệp cấu hình",
    },
    do: {
      en: "take a role of commands.roles of the site file",
      vi: "dùng một vai trò trong commands.roles của tệp cấu hình",
    },
    retry: false,
  },
  "KERB-TWIN-ROOT": {
    title: {
      en: "A twin document would change who may configure this gateway",
      vi: "Tài liệu twin muốn đổi bên được cấu hình gateway này",
    },
    likely: {
      en: "it has an issuer, or the key of one, that the site file has",
      vi: "nó có bên gửi, hoặc khóa, đã nằm trong tệp cấu hình",
    },
    do: {
      en: "give the new issuer an id and a key of its own",
      vi: "đặt cho bên gửi mới một id và một khóa riêng",
    },
    retry: false,
  },
  "KERB-TWIN-MISFIT": {
    title: {
      en: "What the IOC wants does not fit the files of the box any more: the files run alone",
      vi: "Nội dung IOC muốn không còn khớp với tệp của thiết bị: chỉ chạy theo tệp",
    },
    likely: {
      en: "a device, a point or a role was taken out of the files, or twin was narrowed",
      vi: "một thiết bị, điểm hoặc vai trò đã bị gỡ khỏi tệp, hoặc twin bị thu hẹp",
    },
    do: {
      en: "tell the IOC: kerb twin show names what does not fit; it is taken up again when it fits",
      vi: "báo cho IOC: kerb twin show nêu điều không khớp; khi khớp lại sẽ được áp dụng",
    },
    retry: false,
  },
  "KERB-TWIN-SUPERSEDED": {
    title: { en: "A twin document gave way to a newer one", vi: "Tài liệu twin nhường cho bản mới hơn" },
    likely: {
      en: "the newer came before this one was begun",
      vi: "bản mới đến trước khi bản này được bắt đầu",
    },
    do: { en: "nothing: follow the newer one", vi: "không cần làm gì: theo dõi bản mới hơn" },
    retry: false,
  },
  "KERB-TWIN-KEEP": {
    title: {
      en: "A twin document cannot be kept, so it is not taken",
      vi: "Không lưu được tài liệu twin nên không nhận",
    },
    likely: {
      en: "the disk of the state folder is full or read-only",
      vi: "đĩa chứa thư mục state đầy hoặc chỉ đọc",
    },
    do: {
      en: "see kerb health at the box, then send it again under a higher ver",
      vi: "xem kerb health tại thiết bị, rồi gửi lại với ver cao hơn",
    },
    retry: true,
  },
  "KERB-TWIN-FAILED": {
    title: { en: "A twin document could not be tried", vi: "Không thể thử tài liệu twin" },
    likely: {
      en: "the configuration could not be loaded on the box",
      vi: "không nạp được cấu hình trên thiết bị",
    },
    do: {
      en: "see the log of the gateway, then send it again under a higher ver",
      vi: "xem nhật ký của gateway, rồi gửi lại với ver cao hơn",
    },
    retry: true,
  },
  "KERB-TWIN-HARM": {
    title: {
      en: "A twin document did harm and was taken back",
      vi: "Tài liệu twin gây hại và đã bị thu hồi",
    },
    likely: {
      en: "a device could not bear it: too quick a poll, for example",
      vi: "một thiết bị không chịu được: ví dụ chu kỳ đọc quá nhanh",
    },
    do: {
      en: "mend what the reason names, then send it under a higher ver",
      vi: "sửa điều mà lý do nêu ra, rồi gửi với ver cao hơn",
    },
    retry: false,
  },
  "KERB-TWIN-CRASH": {
    title: {
      en: "The gateway ended each time while a twin document was tried",
      vi: "Gateway dừng mỗi lần thử tài liệu twin",
    },
    likely: {
      en: "the box cannot bear it, or lost its power three times",
      vi: "thiết bị không chịu được, hoặc mất điện ba lần",
    },
    do: {
      en: "send something else, or the same again under a higher ver",
      vi: "gửi nội dung khác, hoặc gửi lại với ver cao hơn",
    },
    retry: false,
  },
  "KERB-TWIN-LOCAL": {
    title: {
      en: "Somebody at the gateway went back to another configuration",
      vi: "Có người tại gateway đã quay lại cấu hình khác",
    },
    likely: { en: "they have run kerb config rollback", vi: "họ đã chạy kerb config rollback" },
    do: {
      en: "ask the people on site, then send what is wanted under a higher ver",
      vi: "hỏi người tại chỗ, rồi gửi nội dung mong muốn với ver cao hơn",
    },
    retry: false,
  },
} as const satisfies Record<string, ErrorText>;

export type TwinCode = keyof typeof twinErrors;
