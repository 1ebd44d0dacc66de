/**
 * Mistakes of configuration files in Vietnamese. The checker, the drivers' schemas and the profile library say them in
 * English, at many places; here the sentences, and the phrases in them, are put into Vietnamese where they are shown.
 */

type Rule = [pattern: RegExp, vietnamese: string];

/** What follows a sentence. */
const tails: Rule[] = [
  [/ - did you mean (.+)\?$/, " - có phải ý bạn là $1?"],
  [/ - known here: (.+)$/, " - ở đây có: $1"],
  [/ - put it in quotes$/, " - hãy đặt trong dấu nháy"],
  [/ \(found (.+)\)$/, " (đang là $1)"],
  [/, found (.+)$/, ", đang là $1"],
];

/** What is expected: "a whole number from 0 to 255". */
const phrases: Rule[] = [
  [
    /\ba local time such as (".*?"), or (".*?"), (".*?") \(at most (\S+) before or after\)/g,
    "giờ địa phương như $1, hoặc $2, $3 (sớm hay muộn tối đa $4)",
  ],
  [/\bthe name of a time zone such as (\S+)/g, "tên múi giờ như $1"],
  [/\ban address such as (\S+)/g, "địa chỉ như $1"],
  [/\bnothing behind the port of the address/g, "sau cổng trong địa chỉ không có gì"],
  [/(\d+) to (\d+) small letters, digits or "-"/g, '$1 đến $2 chữ thường, chữ số hoặc "-"'],
  [/\btext such as (".*?")/g, "chữ như $1"],
  [/\btext of (\d+) to (\d+) characters/g, "chữ dài $1 đến $2 ký tự"],
  [/\btext of at least (\d+) characters/g, "chữ dài ít nhất $1 ký tự"],
  [/\btext of at most (\d+) characters/g, "chữ dài tối đa $1 ký tự"],
  [/\ba whole number\b/g, "số nguyên"],
  [/\ba number\b/g, "số"],
  [/\btrue or false\b/g, "true hoặc false"],
  [/\ba list of (\d+) values\b/g, "danh sách $1 giá trị"],
  [/\ba list\b/g, "danh sách"],
  [/\bkeys and values\b/g, "các khóa và giá trị"],
  [/\banother value\b/g, "giá trị khác"],
  [/ from (\S+) to (\S+)/g, " từ $1 đến $2"],
  [/ of at least (\S+)/g, " ít nhất $1"],
  [/ of at most (\S+)/g, " tối đa $1"],
  [/ greater than (\S+)/g, " lớn hơn $1"],
  [/ less than (\S+)/g, " nhỏ hơn $1"],
  [/ entries\b/g, " mục"],
  [/^text\b/g, "chữ"],
  [/ or /g, " hoặc "],
  [/ and /g, " và "],
];

const sentences: Rule[] = [
  [/^unknown key (.+)$/, "không có khóa $1"],
  [
    /^missing key "profile", or "points" that say everything about the device$/,
    'thiếu khóa "profile", hoặc "points" nói hết về thiết bị',
  ],
  [/^missing key (.+)$/, "thiếu khóa $1"],
  [/^unknown profile (.+)$/, "không có hồ sơ $1"],
  [/^unknown point (.+)$/, "không có điểm đo $1"],
  [/^unknown reference (.+)$/, "không có loại tham chiếu $1"],
  [/^unknown (\S+) (.+)$/, "$1 không có giá trị $2"],
  [/^the file is empty: expected (.+)$/, "tệp trống: cần $1"],
  [/^(".*") has no value: expected (.+)$/, "$1 chưa có giá trị: cần $2"],
  [/^this key is not allowed$/, "không được có khóa này"],
  [/^the key (.+) is not allowed$/, "không được có khóa $1"],
  [/^the key (.+) is written twice: first on line (\d+)$/, "khóa $1 được viết hai lần: lần đầu ở dòng $2"],
  [/^the id (.+) is used twice: first at (.+)$/, "mã $1 được dùng hai lần: lần đầu tại $2"],
  [/^there is no file (.+)$/, "không có tệp $1"],
  [/^there is no role (.+)$/, "không có vai trò $1"],
  [/^there is no device (.+)$/, "không có thiết bị $1"],
  [/^there are two issuers (.+)$/, "có hai issuer $1"],
  [/^this device has no point (.+)$/, "thiết bị này không có điểm đo $1"],
  [/^the profile (.+) has no point (.+)$/, "hồ sơ $1 không có điểm đo $2"],
  [/^the profile (.+) has no record (.+)$/, "hồ sơ $1 không có bản ghi $2"],
  [/^the profile does not offer (.+) for writing$/, "hồ sơ không cho ghi $1"],
  [/^the profile lets (".*") be from (\S+) to (\S+)$/, "hồ sơ cho phép $1 từ $2 đến $3"],
  [/^(".*") is no number and has no limits$/, "$1 không phải số nên không có giới hạn"],
  [/^(".*") is not in write\.allow$/, "$1 không có trong write.allow"],
  [
    /^(".*") is not open for writing: enter it in write\.allow$/,
    "$1 chưa được mở ghi: hãy thêm vào write.allow",
  ],
  [
    /^(".*") is a safety point: it is armed by hand each time$/,
    "$1 là điểm an toàn: mỗi lần phải có người xác nhận",
  ],
  [
    /^(".*") is written by two persons only \(write\.confirm\)$/,
    "$1 chỉ được ghi khi có hai người (write.confirm)",
  ],
  [
    /^(".*") is held by leases only: its device falls back by itself$/,
    "$1 chỉ giữ được bằng lệnh tạm: thiết bị tự trở về",
  ],
  [
    /^a signal controller has no schedules here: it keeps its plans by itself$/,
    "tủ đèn tín hiệu không có lịch ở đây: nó tự chạy kế hoạch của mình",
  ],
  [
    /^(".*") is there twice for one day: leave one of the two out$/,
    "$1 có hai lần trong một ngày: hãy bỏ một trong hai",
  ],
  [
    /^(".*") is not in its order: write the times as they follow, over midnight once$/,
    "$1 sai thứ tự: hãy viết các giờ lần lượt, qua nửa đêm một lần",
  ],
  [
    /^(".*") needs a place: enter "location" in "gateway", or at the device$/,
    '$1 cần biết vị trí: hãy ghi "location" trong "gateway", hoặc ở thiết bị',
  ],
  [/^(\S+) = (.+): from (\S+) to (\S+)$/, "$1 = $2: phải từ $3 đến $4"],
  [/^(\S+) = (.+): only multiples of (\S+) from (\S+)$/, "$1 = $2: chỉ nhận bội số của $3 tính từ $4"],
  [/^(\S+) = (.+): expected (.+)$/, "$1 = $2: cần $3"],
  [
    /^this profile is for the driver (.+), the device has (.+)$/,
    "hồ sơ này dành cho driver $1, còn thiết bị ghi $2",
  ],
  [/^there is no such file$/, "không có tệp này"],
  [/^this user may not read it$/, "người dùng này không được phép đọc"],
  [/^its links go round in a circle$/, "các liên kết của nó tạo thành vòng"],
  [/^it is a folder$/, "đó là thư mục"],
  [/^it is no text$/, "đó không phải văn bản"],
  [/^it is not a regular file$/, "đó không phải tệp thường"],
  [/^it is larger than (\d+) KiB$/, "nó lớn hơn $1 KiB"],
  [/^it is saved as UTF-16: save it as UTF-8$/, "nó được lưu ở dạng UTF-16: hãy lưu ở dạng UTF-8"],
  [
    /^it is not UTF-8 \(line (\d+)\): save it as UTF-8$/,
    "nó không phải UTF-8 (dòng $1): hãy lưu ở dạng UTF-8",
  ],
  [/^it cannot be read \((.+)\)$/, "không đọc được nó ($1)"],
  [/^the environment variable (.+) is not set$/, "chưa đặt biến môi trường $1"],
  [/^the secret (.+) \((.+)\) cannot be used: (.+)$/, "không dùng được bí mật $1 ($2): $3"],
  [
    /^mqtt:\/\/ to another machine sends everything in the clear: use mqtts:\/\/, or write (.+)$/,
    "mqtt:// tới máy khác gửi mọi thứ không mã hóa: hãy dùng mqtts://, hoặc ghi $1",
  ],
  [
    /^user and password do not belong into the address: write the keys username and password$/,
    "không ghi tài khoản và mật khẩu trong địa chỉ: dùng các khóa username và password",
  ],
  [/^cert and key go together$/, "cert và key phải đi cùng nhau"],
  [/^max lies below min$/, "max nhỏ hơn min"],
  [/^danger lies below alert$/, "danger nhỏ hơn alert"],
  [
    /^this does not lie in Vietnam \((.+)\): compare it with a map$/,
    "tọa độ này không nằm ở Việt Nam ($1): hãy đối chiếu với bản đồ",
  ],
];

/** Sentences that end with another one. */
const outer: Rule[] = [
  [/^the file cannot be used: /, "không dùng được tệp: "],
  [/^the secret (.+?) \((.+?)\) cannot be used: /, "không dùng được bí mật $1 ($2): "],
];

function first(rules: readonly Rule[], text: string): string | undefined {
  const rule = rules.find(([pattern]) => pattern.test(text));
  return rule === undefined ? undefined : text.replace(rule[0], rule[1]);
}

const phrased = (text: string): string =>
  phrases.reduce((said, [pattern, vietnamese]) => said.replaceAll(pattern, vietnamese), text);

/** A sentence of the checker in Vietnamese; what nobody has put into Vietnamese stays as it is. */
export function sentenceInVietnamese(message: string): string {
  for (const [pattern, vietnamese] of tails) {
    const found = pattern.exec(message);
    if (found === null) continue;
    return sentenceInVietnamese(message.slice(0, found.index)) + found[0].replace(pattern, vietnamese);
  }
  for (const [pattern, vietnamese] of outer) {
    const found = pattern.exec(message);
    if (found === null) continue;
    return found[0].replace(pattern, vietnamese) + sentenceInVietnamese(message.slice(found[0].length));
  }
  const [, expected] = /^expected (.+)$/s.exec(message) ?? [];
  if (expected !== undefined) return `cần ${phrased(expected)}`;
  const said = first(sentences, message);
  const [, head, wanted] = /^(.*: cần )(.+)$/s.exec(said ?? "") ?? [];
  return wanted === undefined ? (said ?? message) : `${head}${phrased(wanted)}`;
}
