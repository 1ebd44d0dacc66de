/**
 * The help of options, arguments and inner verbs in Vietnamese, by the English text that commander has. What each
 * verb does is in verbs.ts, in both languages.
 */
export const vietnameseHelp: Readonly<Record<string, string>> = {
  "display help for command": "in ra trợ giúp này",
  "language (default: from LANG)": "ngôn ngữ (mặc định: theo LANG)",
  "one JSON object a line": "mỗi dòng một đối tượng JSON",
  "site file (default: KERB_SITE, /etc/kerb/gateway.yaml, config/sites/district.yaml)":
    "tệp cấu hình (mặc định: KERB_SITE, /etc/kerb/gateway.yaml, config/sites/district.yaml)",
  "another site than the worked one; its devices are simulated on this machine":
    "tệp cấu hình khác với tệp mẫu; các thiết bị của nó được giả lập trên máy này",
  "site file, such as config/sites/district.yaml": "tệp cấu hình, chẳng hạn config/sites/district.yaml",
  "its id in the site file": "mã của nó trong tệp cấu hình",
  "points; all of them if none is named": "các điểm đo; không nêu thì đọc tất cả",
  "read every second until Ctrl-C": "đọc mỗi giây một lần đến khi nhấn Ctrl-C",
  "show the bytes, and every way to read them as a number": "hiện các byte và mọi cách hiểu chúng thành số",
  "how long a device that tells its values by itself is listened to (10s)":
    "nghe trong bao lâu với thiết bị tự gửi giá trị (10s)",
  "whoever answers is the right unit from here on: it may be written to":
    "từ nay thiết bị đang trả lời là thiết bị đúng: được phép ghi vào nó",
  "begin there: an address as a profile has it, such as i=2253":
    "bắt đầu từ đó: địa chỉ viết như trong hồ sơ, chẳng hạn i=2253",
  "entries at most (1000)": "tối đa bao nhiêu mục (1000)",
  "levels at most (16)": "tối đa bao nhiêu cấp (16)",
  "how long the device is asked (60s)": "hỏi thiết bị trong bao lâu (60s)",
  "how long the device is asked (2m)": "hỏi thiết bị trong bao lâu (2m)",
  "first send again what brokers refused for good, under new numbers":
    "trước hết gửi lại, với số mới, những gì broker đã từ chối hẳn",
  "only this device's events": "chỉ sự kiện của thiết bị này",
  "only events of this kind": "chỉ sự kiện loại này",
  "POINT=VALUE, such as lamp_group_1=off": "ĐIỂM=GIÁ_TRỊ, chẳng hạn lamp_group_1=off",
  "it goes back by itself after this, such as 30s": "tự trở lại giá trị cũ sau thời gian này, chẳng hạn 30s",
  "why; it goes on the record": "lý do; được lưu sổ",
  "do not ask": "không hỏi lại",
  "only arm it, and show the token": "chỉ mở khóa và cho xem mã",
  "carry out what was armed, also by somebody else": "thực hiện lệnh đã mở khóa, kể cả do người khác mở",
  "its id": "mã của nó",
  "the device's id at this gateway": "mã của thiết bị tại gateway đó",
  "POINT=VALUE; a text that looks like a number in quotes: plan='\"3\"'":
    "ĐIỂM=GIÁ_TRỊ; chữ trông giống số thì để trong dấu nháy: plan='\"3\"'",
  "mqtts://host:8883, or mqtt:// without TLS": "mqtts://host:8883, hoặc mqtt:// khi không có TLS",
  "first part of the topics": "phần đầu của các topic",
  "PEM: the issuer's private key (kerb command keygen FILE)":
    "PEM: khóa riêng của bên ra lệnh (kerb command keygen FILE)",
  "who orders: an issuer of the site file, or somebody@issuer":
    "ai ra lệnh: một issuer trong tệp cấu hình, hoặc ai-đó@issuer",
  "as what": "với vai trò gì",
  "how long it may be executed (30s, at most 60s)": "lệnh có hiệu lực trong bao lâu (30s, tối đa 60s)",
  "arm, then commit": "mở khóa rồi xác nhận",
  "carry out what was armed": "thực hiện lệnh đã mở khóa",
  "give up what was armed": "hủy lệnh đã mở khóa",
  "MQTT version": "phiên bản MQTT",
  "PEM: authority of the broker's certificate": "PEM: nơi cấp chứng thư của broker",
  "PEM: the certificate of this client": "PEM: chứng thư của phía này",
  "PEM: its key": "PEM: khóa của chứng thư",
  "login at the broker": "tên đăng nhập tại broker",
  "better in the environment": "nên đặt trong biến môi trường",
  "a new key to sign commands with; prints what the site file needs":
    "tạo khóa mới để ký lệnh; in ra đoạn cần đưa vào tệp cấu hình",
  "where the private key goes": "ghi khóa riêng vào đâu",
  "whether each record is what was written, and none is missing":
    "từng bản ghi có đúng như đã ghi và không thiếu bản nào không",
  "the gateway's state folder, instead of a site file":
    "thư mục trạng thái của gateway, thay cho tệp cấu hình",
  "the newest records": "các bản ghi mới nhất",
  "how many (50)": "bao nhiêu bản ghi (50)",
  "snapshot.ref of an event": "snapshot.ref của một sự kiện",
  "where the picture goes": "ghi ảnh vào đâu",
  "name of this receiver, unique at the broker": "tên của bộ nhận này, không trùng ở broker",
  "SQLite file": "tệp SQLite",
  "where the HTTP API listens": "địa chỉ lắng nghe của HTTP API",
  "how often custody is acknowledged": "bao lâu xác nhận đã nhận một lần",
  "PEM: this receiver's certificate": "PEM: chứng thư của bộ nhận này",
  "PEM: Ed25519 private key that signs the certificates": "PEM: khóa riêng Ed25519 để ký giấy chứng nhận",
  "its id; all gateways that the receiver knows if none is named":
    "mã của nó; không nêu thì mọi gateway mà bộ nhận biết",
  "HTTP API of the receiver": "HTTP API của bộ nhận",
  "ISO 8601, or ms since 1970 (default: a day ago)":
    "ISO 8601, hoặc ms từ năm 1970 (mặc định: một ngày trước)",
  "the same (default: what is over)": "viết như trên (mặc định: đến hết phần đã qua)",
  "hold the stored events against their seals once more": "đối chiếu lại các sự kiện đã lưu với niêm phong",
  "check the signatures of certificates in these files instead":
    "thay vào đó, kiểm tra chữ ký của giấy chứng nhận trong các tệp này",
  "PEM: the receiver's public key for --verify (default: asked at --url)":
    "PEM: khóa công khai của bộ nhận cho --verify (mặc định: hỏi tại --url)",
  'vendor/model, or "broker" for an MQTT broker': 'hãng/model, hoặc "broker" để có một broker MQTT',
  "one pretend device for each of the site's devices, at its address":
    "mỗi thiết bị trong tệp cấu hình có một thiết bị giả lập, tại đúng địa chỉ của nó",
  "with --site: only these of its devices": "dùng với --site: chỉ các thiết bị này",
  "TCP port (default: 1502; a broker: 18830; 0: any free one)":
    "cổng TCP (mặc định: 1502; broker: 18830; 0: cổng trống bất kỳ)",
  "unit on the line": "số unit trên đường truyền",
  "a serial port instead of TCP": "cổng nối tiếp thay cho TCP",
  "the firmware that it reports": "phiên bản phần mềm mà nó khai",
  "same seed, same walk of values": "cùng seed thì các giá trị biến đổi như nhau",
  "what is wrong with it": "thiết bị bị lỗi gì",
  "answer as a recorded device did, instead of a profile": "trả lời như thiết bị đã ghi, thay cho hồ sơ",
  "list the profiles": "liệt kê các hồ sơ",
  "how long at most (60s)": "tối đa bao lâu (60s)",
  "where the cassette goes (default: DEVICE.cassette.yaml)":
    "ghi bản ghi vào đâu (mặc định: DEVICE.cassette.yaml)",
  "further texts that must not be in it": "các đoạn chữ khác không được có trong đó",
  "nor the device's serial number": "và cả số sê-ri của thiết bị",
  "gaps, overlaps, missing evidence, values that cannot be":
    "chỗ hở, chỗ chồng nhau, thiếu căn cứ, giá trị không thể có",
  "files, or vendor/model; all that ship with kerb if none is named":
    "các tệp, hoặc hãng/model; không nêu thì mọi hồ sơ đi kèm kerb",
  "draft one from a device that kerb does not know: each guess is marked as one":
    "lập nháp từ thiết bị mà kerb chưa biết: chỗ nào phỏng đoán đều được ghi rõ",
  "vendor/model (default: what the device calls itself)": "hãng/model (mặc định: tên thiết bị tự khai)",
  "where the draft goes (default: firmware-profiles/VENDOR/MODEL.yaml)":
    "ghi bản nháp vào đâu (mặc định: firmware-profiles/VENDOR/MODEL.yaml)",
  "what it is, such as energy-meter: MODELS.md lists them (other)":
    "là loại gì, chẳng hạn energy-meter: xem danh sách trong MODELS.md (other)",
  "only there, such as holding 0-199, i=85, 1.3.6.1.4.1 or /api/status":
    "chỉ hỏi ở đó, chẳng hạn holding 0-199, i=85, 1.3.6.1.4.1 hoặc /api/status",
  "points at most (500)": "tối đa bao nhiêu điểm đo (500)",
  "write over a file that is there": "ghi đè tệp đã có",
  "play cassettes, or all of the library, and compare the readings":
    "phát lại các bản ghi, hoặc cả thư viện, rồi so sánh các giá trị đọc được",
  "files that kerb record made": "các tệp do kerb record tạo",
  "another folder of profiles than kerb's own": "thư mục hồ sơ khác với thư mục của kerb",
  "vendor/model: show its points": "hãng/model: hiện các điểm đo của nó",
  "bash, zsh or fish": "bash, zsh hoặc fish",
  "such as status, or profile new": "chẳng hạn status, hoặc profile new",
  "KERB-DEV-SILENT, dev-silent, or a group: KERB-DEV": "KERB-DEV-SILENT, dev-silent, hoặc một nhóm: KERB-DEV",
};
