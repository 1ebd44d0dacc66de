/**
 * The help of options, arguments and inner verbs in Vietnamese, by the English text that commander has. What each
 * verb does is in verbs.ts, in both languages.
 */
export const vietnameseHelp: Readonly<Record<string, string>> = {
  "display help for command": "in ra trợ giúp này",
  "language (default: from LANG)": "ngôn ngữ (mặc định: theo LANG)",
  "one JSON object a line": "mỗi dòng một đối tượng JSON",
  "site file (default: KERB_SITE, /etc/kerb/gateway.yaml, or gateway.yaml here)":
    "tệp cấu hình (mặc định: KERB_SITE, /etc/kerb/gateway.yaml, hoặc gateway.yaml tại đây)",
  "change settings of a device, or its login: tested, saved, and told to the gateway":
    "đổi thiết lập hoặc đăng nhập của một thiết bị: thử, lưu, rồi báo cho gateway",
  "KEY=VALUE as in its file: unit=7, host=10.0.0.5, transport.port=502, timeout=5s":
    "KEY=VALUE như trong tệp của nó: unit=7, host=10.0.0.5, transport.port=502, timeout=5s",
  "where it goes (default: gateway.yaml here)": "ghi vào đâu (mặc định: gateway.yaml tại đây)",
  "what the box is called in topics and events, for good": "mã của hộp trong topic và sự kiện, không đổi nữa",
  "the cabinet as people call it": "tên tủ, như mọi người vẫn gọi",
  "mqtts://host:8883; without it events wait in the outbox":
    "mqtts://host:8883; không nêu thì sự kiện nằm chờ trong hộp gửi",
  "login at the broker; the password is asked for": "tên đăng nhập tại broker; mật khẩu sẽ được hỏi",
  "PEM: the certificate of this box": "PEM: chứng thư của hộp này",
  "an mqtt:// broker on another machine: everything goes in the clear":
    "broker mqtt:// ở máy khác: mọi thứ được gửi không mã hóa",
  "another site than the worked one; its devices are simulated on this machine":
    "tệp cấu hình khác với tệp mẫu; các thiết bị của nó được giả lập trên máy này",
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
  "the gateway's id": "mã của gateway",
  "sign what is wanted, publish it, follow it to its end": "ký nội dung mong muốn, gửi và theo dõi đến cùng",
  "what is wanted, as YAML or JSON; - reads it from the input":
    "nội dung mong muốn, dạng YAML hoặc JSON; - là đọc từ đầu vào",
  "who wants it: one of twin.issuers of the site file, or somebody@issuer":
    "ai mong muốn: một bên trong twin.issuers của tệp cấu hình, hoặc ai-đó@issuer",
  "its version (the time in ms)": "phiên bản (mặc định là thời gian tính bằng ms)",
  "how long its end is waited for (2m)": "chờ kết quả trong bao lâu (2m)",
  "what is wanted, what runs, what it changes; with --broker what stands there":
    "mong muốn gì, đang chạy gì, thay đổi gì; với --broker: nội dung tại broker",
  "how long the broker is listened to (1.5s)": "nghe broker trong bao lâu (1.5s)",
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
  "names by which the HTTP API is asked, such as behind a proxy; others are refused":
    "các tên dùng để gọi HTTP API, chẳng hạn sau một proxy; tên khác bị từ chối",
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
  "an .html (prints to A4; its .json is laid beside it), .json or .csv file; may be given again":
    "tệp .html (in vừa khổ A4; tệp .json được đặt bên cạnh), .json hoặc .csv; có thể nêu nhiều lần",
  "number of the contract": "số hợp đồng",
  "who hands over": "đơn vị thi công, bên bàn giao",
  "who accepts": "bên nghiệm thu",
  "whatever else is to stand in it": "những gì khác cần ghi vào báo cáo",
  "whether a report is what a box has signed, and which box":
    "báo cáo có đúng như hộp đã ký không, và hộp nào đã ký",
  "its .html or .json": "tệp .html hoặc .json của báo cáo",
  "the box that must have signed: its key, fingerprint, or a file with the key":
    "báo cáo phải do hộp nào ký: nêu khóa, dấu vân tay của hộp, hoặc tệp chứa khóa",
  "the public key of this box, and its fingerprint": "khóa công khai của hộp này và dấu vân tay của khóa",
  "vendor/model: show its points; or a word of a name plate: which are meant":
    "hãng/model: xem các điểm đo; hoặc một từ trên nhãn máy: model nào hợp",
  "bash, zsh or fish": "bash, zsh hoặc fish",
  "such as status, or profile new": "chẳng hạn status, hoặc profile new",
  "KERB-DEV-SILENT, dev-silent, or a group: KERB-DEV": "KERB-DEV-SILENT, dev-silent, hoặc một nhóm: KERB-DEV",
  'only these points, such as voltage.L1 or "voltage.*"':
    'chỉ các điểm đo này, chẳng hạn voltage.L1 hoặc "voltage.*"',
  "one look over a second, then the end": "chỉ xem một lần, trong một giây, rồi kết thúc",
  "how far back (24h)": "xem lại bao lâu về trước (24h)",
  "only this device's, and those of the whole box": "chỉ của thiết bị này, và của cả hộp",
  "the gateway's state folder, instead of a site file: a dead box's disk":
    "thư mục trạng thái của gateway, thay cho tệp cấu hình: đĩa của hộp đã hỏng",
  "the kept events of a box that does not run, one JSON object a line; changes nothing there":
    "các sự kiện còn giữ của hộp không chạy, mỗi dòng một đối tượng JSON; không sửa gì ở đó",
  "a box that is renamed on purpose: its state folder becomes that of the site file's gateway":
    "hộp được đổi tên có chủ ý: thư mục trạng thái của nó thành của gateway trong tệp cấu hình",
  "where they go, such as events.ndjson": "ghi vào đâu, chẳng hạn events.ndjson",
  "name, port, TLS, login, receiver, and an event to the IOC and back":
    "tên máy, cổng, TLS, đăng nhập, bộ nhận, rồi một sự kiện tới IOC và xác nhận trở về",
  "only this one": "chỉ kết nối này",
  "how long the IOC may take to confirm the event (90s)": "chờ IOC xác nhận sự kiện trong bao lâu (90s)",
  "where it goes (kerb-support-GATEWAY-TIME.tar.gz)": "ghi vào đâu (kerb-support-GATEWAY-TIME.tar.gz)",
  "only show what would be in it": "chỉ cho xem trong đó sẽ có gì",
  "where it goes, such as box.kerb-backup": "ghi vào đâu, chẳng hạn box.kerb-backup",
  "with all secrets and keys, under a passphrase": "kèm mọi bí mật và khóa, khóa bằng cụm mật khẩu",
  "with the events that the IOC does not have yet; the gateway must not run":
    "kèm các sự kiện mà IOC chưa nhận; gateway phải đang dừng",
  "the passphrase is the first line of stdin": "cụm mật khẩu là dòng đầu của stdin",
  "what kerb backup has written": "tệp do kerb backup ghi",
  "the site file to be (KERB_SITE, /etc/kerb/gateway.yaml)":
    "tệp cấu hình sẽ được đặt ở đâu (KERB_SITE, /etc/kerb/gateway.yaml)",
  "put a site file aside that is there": "cất sang bên tệp cấu hình đã có ở đó",
  "test a device step by step, show the lines, and save it":
    "thử thiết bị từng bước, cho xem các dòng sẽ ghi, rồi lưu",
  "a number of the last kerb discover, or an address: 10.0.0.4, 10.0.0.4:502, /dev/ttyS1":
    "số thứ tự của lần kerb discover gần nhất, hoặc địa chỉ: 10.0.0.4, 10.0.0.4:502, /dev/ttyS1",
  "what it is called in topics and events, for good": "mã của nó trong topic và sự kiện, dùng lâu dài",
  "as people call it": "tên gọi hằng ngày",
  "what it speaks": "giao thức mà nó dùng",
  "vendor/model (default: the one that fits what it says of itself)":
    "hãng/model (mặc định: hồ sơ hợp với điều nó tự khai)",
  "its address, or that of its device server or broker":
    "địa chỉ của nó, hoặc của bộ chuyển nối tiếp hay broker của nó",
  "if not the usual one": "nếu khác cổng thông dụng",
  "the serial port that it hangs on": "cổng nối tiếp mà nó nối vào",
  "its unit or station on the line": "số unit hoặc số trạm của nó trên đường truyền",
  "its login; the password is asked for": "tên đăng nhập; mật khẩu sẽ được hỏi",
  "the password is piped in": "mật khẩu được đưa qua ống",
  "another setting, such as timeout=2s or transport.baud=19200":
    "một thiết lập khác, chẳng hạn timeout=2s hoặc transport.baud=19200",
  "into this file (default: a file of its own in devices.d)":
    "ghi vào tệp này (mặc định: một tệp riêng trong devices.d)",
  "save it also when the test fails: it is not wired yet":
    "vẫn lưu khi thử không đạt: thiết bị chưa được đấu nối",
  "every device: state, address, profile, last good reading, what is wrong":
    "mọi thiết bị: trạng thái, địa chỉ, hồ sơ, lần đọc tốt cuối, lỗi gì",
  "only those": "chỉ những thiết bị ở trạng thái đó",
  "only those that speak it": "chỉ những thiết bị dùng giao thức đó",
  "all of one device: its lines, who it is, the pinned unit, points, what may be written":
    "mọi điều về một thiết bị: các dòng của nó, danh tính, thiết bị đã ghim, điểm đo, điểm được ghi",
  "another unit in its place: whoever answers is the right one from here on":
    "thiết bị đã được thay: từ nay thiết bị đang trả lời là thiết bị đúng",
  "another name for people; with --id another device for the IOC":
    "đổi tên gọi; dùng --id thì với IOC đó là thiết bị khác",
  "another id: for the IOC it is a new device": "đổi mã: với IOC đó là thiết bị mới",
  "read it again": "bật lại: thiết bị được đọc tiếp",
  "do not read it; its lines stay": "tắt: không đọc thiết bị nữa; các dòng của nó vẫn còn",
  "take its lines out; what it has told is still delivered":
    "gỡ các dòng của nó; những gì nó đã gửi vẫn được giao",
  "site file (default: as for --site of the other verbs)":
    "tệp cấu hình (mặc định: như --site của các lệnh khác)",
  "check a site file and everything that it names": "kiểm tra tệp cấu hình và mọi thứ được nêu trong đó",
  "what the files would change in the running gateway: exit code 6 if anything, 0 if nothing":
    "các tệp sẽ đổi gì ở gateway đang chạy: mã thoát 6 nếu có thay đổi, 0 nếu không",
  "take over the changed files: only what has changed restarts":
    "áp dụng các tệp đã sửa: chỉ phần có thay đổi mới khởi động lại",
  "goes back by itself unless: kerb config confirm, such as 2m":
    "tự quay lại bản trước sau thời gian này, trừ khi: kerb config confirm, chẳng hạn 2m",
  "how long what it does is watched (30s)": "theo dõi tác động của thay đổi trong bao lâu (30s)",
  "run an earlier generation; the files stay as they are": "chạy lại một bản cũ; các tệp giữ nguyên",
  "its number: kerb config history": "số của bản đó: kerb config history",
  "keep what was applied with --confirm": "giữ bản đã áp dụng với --confirm",
  "what has run, since when, by whom": "những bản đã chạy, từ lúc nào, do ai",
  "bring a site file to the version of this kerb": "chuyển tệp cấu hình sang phiên bản của kerb này",
  "the JSON Schema of a site file, for editors": "JSON Schema của tệp cấu hình, dùng cho trình soạn thảo",
  "of a file that `include` names": "của tệp được nêu trong `include`",
  "end with 78 on a wrong file, instead of running the last good generation":
    "tệp sai thì dừng với mã 78, không chạy bản tốt gần nhất",
  "networks such as 192.168.10.0/24, or addresses; none: this box's own, after a question":
    "các mạng, chẳng hạn 192.168.10.0/24, hoặc các địa chỉ; không nêu thì dò mạng của máy này, sau khi hỏi lại",
  "a serial line: first it is listened to, then units are asked one by one":
    "một cổng nối tiếp: trước hết lắng nghe, rồi hỏi lần lượt từng số unit",
  "units to ask, such as 1-32 (a line: 1-32, TCP: 1 and 255)":
    "các số unit cần hỏi, chẳng hạn 1-32 (cổng nối tiếp: 1-32, TCP: 1 và 255)",
  "only these, such as 9600 or 4800,19200": "chỉ các tốc độ này, chẳng hạn 9600 hoặc 4800,19200",
  "only this parity": "chỉ loại chẵn lẻ này",
  "a broker whose topics are listened to: mqtt://host:1883, mqtts://…":
    "nghe các topic của một broker: mqtt://host:1883, mqtts://…",
  "only what this driver speaks: kerb drivers lists them":
    "chỉ giao thức của driver này: kerb drivers liệt kê các driver",
  "ports beside the usual ones, such as 15020-15043":
    "các cổng khác ngoài các cổng thường dùng, chẳng hạn 15020-15043",
  "where sites call that call by themselves (RSMP: 12111)": "cổng mà các trạm tự gọi đến (RSMP: 12111)",
  "how long those are heard who speak by themselves (5s)": "nghe các thiết bị tự gửi tin trong bao lâu (5s)",
  "for each: why this profile": "nêu lý do chọn hồ sơ cho từng thiết bị",
  "show what was found the last time": "hiện kết quả của lần dò gần nhất",
  "look through this box's own networks without a question": "dò các mạng của máy này mà không hỏi lại",
};
