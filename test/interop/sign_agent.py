# A dynamic message sign after the object definitions of NTCIP 1203 v03 (dmsMessageTable, signControl, fontTable,
# multiCfg), as a variation module of Debian's snmpsim: pysnmp speaks SNMP, this file holds the objects. Written
# from the published definitions alone; it shares nothing with kerb's simulator.
#
# It is stricter than most signs: no beacons, a row is a moment late in all it does, a text that is not valid is
# told both by the state of its row and by genErr where `strict` is given.
import time

from pysnmp.proto import rfc1902
from pysnmp.smi import error

DMS = (1, 3, 6, 1, 4, 1, 1206, 4, 2, 3)
LATE = 0.1
NOT_USED, MODIFYING, VALIDATING, VALID, ERROR, MODIFY_REQ, VALIDATE_REQ, NOT_USED_REQ = range(1, 9)
PERMANENT, CHANGEABLE, VOLATILE, CURRENT, SCHEDULE, BLANK = range(2, 8)
FONT = "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789-!"
TAGS = ("cb cf fl fo g hc jl jp ms mv nl np pt sc f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 tr cr pb").split()
SUPPORTED = ("jl", "jp", "nl", "np", "pt", "fo", "hc")
MAX_PAGES, MAX_LENGTH = 2, 60


def crc16(octets):
    """ISO/IEC 3309: x^16 + x^12 + x^5 + 1, each octet from its lowest bit, preset and inverted."""
    remainder = 0xFFFF
    for octet in octets:
        for bit in range(8):
            top = (remainder >> 15) ^ ((octet >> bit) & 1)
            remainder = (remainder << 1) & 0xFFFF
            if top:
                remainder ^= 0x1021
    remainder ^= 0xFFFF
    # The highest coefficient goes over the line first, and there the lowest bit of an octet goes first.
    sent = int("{:016b}".format(remainder)[::-1], 2)
    return (sent & 0xFF) << 8 | sent >> 8


class Row:
    def __init__(self, memory, number):
        self.memory, self.number = memory, number
        self.multi, self.owner, self.pixels, self.priority = b"", b"", 0, number if memory == BLANK else 1
        self.status, self.then, self.at = (VALID if memory == BLANK else NOT_USED), None, 0

    def state(self):
        if self.then is not None and time.time() >= self.at:
            self.status, self.then = self.then, None
        return self.status

    def later(self, now, then):
        self.status, self.then, self.at = now, then, time.time() + LATE

    def crc(self):
        return 0 if self.memory == BLANK else crc16(self.multi + bytes((0, self.pixels)))


class Sign:
    def __init__(self, strict):
        self.strict = strict
        self.rows = {}
        for memory, count in ((CHANGEABLE, 3), (VOLATILE, 2), (BLANK, 255)):
            for number in range(1, count + 1):
                self.rows[memory, number] = Row(memory, number)
        self.validate_error, self.activate_error, self.syntax, self.position = 2, 2, 2, 0
        self.failed, self.activation, self.mode = bytes(12), bytes(12), 4
        self.shown, self.source, self.until, self.requester = self.rows[BLANK, 1], None, None, bytes(4)

    # What is wrong with a text: dmsMultiSyntaxError and the offset.
    def fault(self, multi):
        if len(multi) > MAX_LENGTH:
            return 5, MAX_LENGTH
        pages, at = 1, 0
        text = multi.decode("latin-1")
        while at < len(text):
            if text[at : at + 2] in ("[[", "]]"):
                at += 2
            elif text[at] == "[":
                end = text.find("]", at)
                name = text[at + 1 : end].lstrip("/").lower()
                tag = next((one for one in SUPPORTED if name.startswith(one)), None)
                if end < 0 or tag is None:
                    return 3, at
                if tag in ("jl", "jp") and name[2:] not in ("", "2", "3", "4"):
                    return 4, at
                if tag == "fo" and name[2:] not in ("", "1"):
                    return 6, at
                pages += tag == "np"
                if pages > MAX_PAGES:
                    return 12, at
                at = end + 1
            elif text[at] not in FONT:
                return 7, at
            else:
                at += 1
        return None

    def command(self, row, wanted):
        state = row.state()
        if row.memory == BLANK or wanted not in (MODIFY_REQ, VALIDATE_REQ, NOT_USED_REQ):
            raise error.MibOperationError
        if wanted == MODIFY_REQ and state in (NOT_USED, MODIFYING, VALID, ERROR):
            row.later(state, MODIFYING)
        elif wanted == NOT_USED_REQ and state != VALIDATING:
            row.__init__(row.memory, row.number)
        elif wanted == VALIDATE_REQ and state == MODIFYING:
            found = self.fault(row.multi)
            self.validate_error = 2 if found is None else 5
            self.syntax, self.position = found or (2, 0)
            if found is not None and self.strict:
                row.status = ERROR
                raise error.MibOperationError
            row.later(VALIDATING, VALID if found is None else ERROR)
        else:
            raise error.MibOperationError

    def activate(self, code):
        problem = self.problem(code)
        self.activate_error = problem
        if problem != 2:
            self.failed = code
            raise error.MibOperationError
        row = self.rows[code[3], code[4] << 8 | code[5]]
        copy = Row(CURRENT, 1)
        copy.multi, copy.owner, copy.pixels, copy.priority = row.multi, row.owner, row.pixels, row.priority
        minutes = code[0] << 8 | code[1]
        self.shown, self.source, self.activation, self.requester = copy, code[3:8], code, code[8:]
        self.until = None if minutes == 65535 else time.time() + 60 * minutes

    def problem(self, code):
        if len(code) != 12:
            return 1
        if self.mode == 2:
            return 9
        if code[3] not in (CHANGEABLE, VOLATILE, BLANK):
            return 5
        row = self.rows.get((code[3], code[4] << 8 | code[5]))
        if row is None:
            return 6
        if row.state() != VALID:
            return 4
        if row.crc() != (code[6] << 8 | code[7]):
            return 7
        return 3 if code[2] < self.shown.priority else 2

    def minutes(self):
        return 65535 if self.until is None else max(0, -int(-(self.until - time.time()) // 60))

    def table(self, column, memory, number):
        row = self.shown if memory == CURRENT and number == 1 else self.rows.get((memory, number))
        if row is None:
            return None
        return {
            1: lambda: memory,
            2: lambda: number,
            3: lambda: row.multi,
            4: lambda: row.owner,
            5: lambda: row.crc(),
            7: lambda: row.pixels,
            8: lambda: row.priority,
            9: lambda: VALID if row is self.shown else row.state(),
        }.get(column, lambda: None)()

    def get(self, name):
        if name[:3] == (5, 8, 1) and len(name) == 6:
            return self.table(*name[3:])
        if name[:4] == (3, 4, 1, 2) and len(name) == 6:
            return 5 if name[4] == 1 and chr(name[5]) in FONT else None
        source = self.source or bytes((BLANK, 0, 1, 0, 0))
        tags = sum(1 << TAGS.index(tag) for tag in SUPPORTED)
        return {
            (3, 2, 1, 2, 1): 1,
            (4, 5, 0): 1,
            (4, 14, 0): tags.to_bytes(4, "little"),
            (4, 15, 0): MAX_PAGES,
            (4, 16, 0): MAX_LENGTH,
            (5, 9, 0): self.validate_error,
            (6, 1, 0): self.mode,
            (6, 3, 0): self.activation,
            (6, 4, 0): self.minutes(),
            (6, 5, 0): source,
            (6, 6, 0): self.requester,
            (6, 17, 0): self.activate_error,
            (6, 18, 0): self.syntax,
            (6, 19, 0): self.position,
            (6, 24, 0): self.failed,
        }.get(name)

    def set(self, name, value):
        if name[:3] == (5, 8, 1) and len(name) == 6:
            row = self.rows.get(name[4:])
            if row is None or name[3] not in (3, 4, 7, 8, 9):
                raise error.NoSuchInstanceError
            if name[3] == 9:
                return self.command(row, int(value))
            if row.memory == BLANK or row.state() != MODIFYING:
                raise error.MibOperationError
            field = {3: "multi", 4: "owner", 7: "pixels", 8: "priority"}[name[3]]
            if isinstance(getattr(row, field), bytes) != isinstance(value, rfc1902.OctetString):
                raise error.MibOperationError
            return setattr(row, field, bytes(value) if isinstance(value, rfc1902.OctetString) else int(value))
        if name == (6, 3, 0):
            return self.activate(bytes(value))
        if name == (6, 1, 0):
            self.mode = int(value)
            return None
        raise error.NoSuchInstanceError


# What snmpsim calls. pysnmp tells genErr for the error that has no name of its own.


def init(**context):
    moduleContext["signs"] = {}


def variate(oid, tag, value, **context):
    signs = moduleContext["signs"]
    sign = signs.setdefault(context["dataFile"], None) or Sign(value == "strict")
    signs[context["dataFile"]] = sign
    asked = context["origOid"]
    name = tuple(asked)[len(DMS) :]
    if context["nextFlag"]:
        return asked, tag, context["errorStatus"]
    if context["setFlag"]:
        try:
            sign.set(name, context["origValue"])
        except error.SmiError as problem:
            raise type(problem)(name=asked, idx=context["varsTotal"] - context["varsRemaining"] - 1)
        return asked, tag, context["origValue"]
    found = sign.get(name)
    if found is None:
        return asked, tag, context["errorStatus"]
    return asked, tag, rfc1902.Integer(found) if isinstance(found, int) else rfc1902.OctetString(found)


def shutdown(**context):
    pass
