"""An RSMP peer of its own, written from the specification (core 3.2.2) with the standard library alone.

    rsmp_peer.py site PORT SITE COMPONENT VERSIONS SXL        calls, and answers like a small traffic-light site
    rsmp_peer.py supervisor SITE COMPONENT VERSIONS SXL       listens on a free port, and tries what a site must do

Each message that passes is printed as a line of JSON: {"in": …} or {"out": …}; findings as {"note": …}.
"""

import json, socket, sys, time, uuid


def now():
    t = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%03dZ" % (t % 1 * 1000)


def show(**line):
    print(json.dumps(line), flush=True)


class Peer:
    def __init__(self, sock):
        self.sock, self.text = sock, b""
        sock.settimeout(10)

    def send(self, type, **body):
        message = {"mType": "rSMsg", "type": type, **({} if "Ack" in type else {"mId": str(uuid.uuid4())}), **body}
        show(out=message)
        self.sock.sendall(json.dumps(message).encode() + b"\x0c")
        return message.get("mId")

    def receive(self):
        while b"\x0c" not in self.text:
            data = self.sock.recv(65536)
            if not data:
                sys.exit(0)
            self.text += data
        packet, self.text = self.text.split(b"\x0c", 1)
        message = json.loads(packet)
        show(**{"in": message})
        return message

    def until(self, *types, of=None):
        """The next message of these types; what comes meanwhile is acknowledged."""
        while True:
            message = self.receive()
            if message["type"] not in ("MessageAck", "MessageNotAck"):
                self.send("MessageAck", oMId=message["mId"])
            if message["type"] in types and (of is None or message.get("oMId") == of):
                return message

    def strictly(self, type):
        """The next message must be of this type: the order is prescribed."""
        message = self.receive()
        if message["type"] != type:
            show(note="expected %s, got %s" % (type, message["type"]))
            sys.exit(1)
        return message

    def ask(self, type, answer, **body):
        """Acknowledgement, then answer, of a request; the reason of a refusal."""
        verdict = self.until("MessageAck", "MessageNotAck", of=self.send(type, **body))
        return verdict.get("rea") if verdict["type"] == "MessageNotAck" else self.until(answer)


def version(site, versions, sxl):
    return dict(RSMP=[{"vers": v} for v in versions.split(",")], siteId=[{"sId": site}], SXL=sxl)


def as_site(port, site, component, versions, sxl):
    peer = Peer(socket.create_connection(("127.0.0.1", int(port))))
    own = peer.send("Version", **version(site, versions, sxl))
    if peer.strictly("MessageAck")["oMId"] != own:
        sys.exit(1)
    theirs = peer.strictly("Version")
    if theirs["siteId"] != [{"sId": site}] or theirs["SXL"] != sxl:
        sys.exit(1)
    peer.send("MessageAck", oMId=theirs["mId"])
    watchdog = peer.send("Watchdog", wTs=now())
    if peer.strictly("MessageAck")["oMId"] != watchdog:
        sys.exit(1)
    peer.send("MessageAck", oMId=peer.strictly("Watchdog")["mId"])
    agreed = max((v for v in versions.split(",") if {"vers": v} in theirs["RSMP"]), key=lambda v: v.split("."))
    show(note="ready", version=agreed)
    where = dict(ntsOId=component, xNId="", cId=component)
    se = [False] * 5 + [True, False, False]
    if agreed == "3.1.2":
        se = [str(bit).lower() for bit in se]
    peer.send("AggregatedStatus", **where, aSTS=now(), fP="", fS="", se=se)
    state = dict(ack="notAcknowledged", aS="Active", sS="notSuspended", aTs=now(), cat="D", pri="3", rvs=[])
    peer.send("Alarm", **where, aCId="A0010", xACId="door", xNACId="", aSp="Issue", **state)
    peer.send("StatusUpdate", **where, sTs="2026-01-01T00:00:00.000Z", sS=[dict(sCI="S0014", n="status", s="9", q="old")])
    values = {"S0014": "3", "S0095": "Foreign, F-1, 7.7", "S0001": "1BB1B1BB", "S0205": "1,2,3,-1,5,6,7,8"}
    while True:
        message = peer.receive()
        kind = message["type"]
        if kind in ("MessageAck", "MessageNotAck"):
            continue
        peer.send("MessageAck", oMId=message["mId"])
        if kind in ("StatusRequest", "StatusSubscribe"):
            known = message["cId"] == component
            sS = []
            for item in message["sS"]:
                s = values.get(item["sCI"]) if known else None
                q = "undefined" if not known else "recent" if s is not None else "unknown"
                sS.append(dict(sCI=item["sCI"], n=item["n"], s=s, q=q))
            answer = "StatusResponse" if kind == "StatusRequest" else "StatusUpdate"
            peer.send(answer, **where, sTs=now(), sS=sS)
        elif kind == "CommandRequest":
            rvs = [dict(cCI=a["cCI"], n=a["n"], v=a["v"], age="recent") for a in message["arg"]]
            peer.send("CommandResponse", **where, cTS=now(), rvs=rvs)
        elif kind == "AggregatedStatusRequest":
            peer.send("AggregatedStatus", **where, aSTS=now(), fP="", fS="", se=se)
        elif kind == "Alarm" and message["aSp"] == "Acknowledge":
            state.update(ack="Acknowledged", aTs=now())
            peer.send("Alarm", **where, aCId="A0010", xACId="", xNACId="", aSp="Acknowledge", **state)


def as_supervisor(site, component, versions, sxl):
    server = socket.create_server(("127.0.0.1", 0))
    show(note="port", port=server.getsockname()[1])
    server.settimeout(20)
    peer = Peer(server.accept()[0])
    theirs = peer.strictly("Version")
    peer.send("MessageAck", oMId=theirs["mId"])
    own = peer.send("Version", **version(site, versions, theirs["SXL"]))
    if peer.strictly("MessageAck")["oMId"] != own:
        sys.exit(1)
    peer.send("MessageAck", oMId=peer.strictly("Watchdog")["mId"])
    watchdog = peer.send("Watchdog", wTs=now())
    if peer.strictly("MessageAck")["oMId"] != watchdog:
        sys.exit(1)
    message = peer.strictly("AggregatedStatus")
    peer.send("MessageAck", oMId=message["mId"])
    where = dict(ntsOId=component, xNId="", cId=component)
    item = lambda code, name, **more: dict(sCI=code, n=name, **more)
    names = [("S0001", "signalgroupstatus"), ("S0014", "status"), ("S0095", "status"), ("S0096", "hour")]
    show(note="read", answer=peer.ask("StatusRequest", "StatusResponse", **where, sS=[item(*n) for n in names]))
    show(note="no component", answer=peer.ask("StatusRequest", "StatusResponse", **{**where, "cId": "NONE"}, sS=[item("S0001", "stage")]))
    show(note="no status", answer=peer.ask("StatusRequest", "StatusResponse", **where, sS=[item("S0999", "x")]))
    show(note="no name", answer=peer.ask("StatusRequest", "StatusResponse", **where, sS=[item("S0001", "x")]))
    soc = {} if versions < "3.1.5" else {"sOc": True}
    subscription = [item("S0001", "signalgroupstatus", uRt="0", **soc), item("S0001", "cyclecounter", uRt="1", **({"sOc": False} if soc else {}))]
    show(note="subscribed", answer=peer.ask("StatusSubscribe", "StatusUpdate", **where, sS=subscription))
    show(note="update", answer=peer.until("StatusUpdate"))
    verdict = peer.send("StatusUnsubscribe", **where, sS=[item("S0001", "signalgroupstatus"), item("S0001", "cyclecounter")])
    show(note="unsubscribed", answer=peer.until("MessageAck", "MessageNotAck", of=verdict)["type"])
    arg = lambda name, v: dict(cCI="M0002", n=name, cO="setPlan", v=v)
    plan = [arg("status", "True"), arg("securityCode", "2222"), arg("timeplan", "2")]
    show(note="plan", answer=peer.ask("CommandRequest", "CommandResponse", **where, arg=plan))
    show(note="plan is", answer=peer.ask("StatusRequest", "StatusResponse", **where, sS=[item("S0014", "status")]))
    show(note="incomplete", answer=peer.ask("CommandRequest", "CommandResponse", **where, arg=plan[:2]))
    start = [dict(cCI="M0010", n="status", cO="setStart", v="True"), dict(cCI="M0010", n="securityCode", cO="setStart", v="2222")]
    show(note="phase", answer=peer.ask("CommandRequest", "CommandResponse", **where, arg=start))
    alarm = dict(**where, aCId="A0010", xACId="", xNACId="")
    for step in ("Acknowledge", "Suspend", "Resume") + (() if versions < "3.1.5" else ("Request",)):
        show(note=step, answer=peer.ask("Alarm", "Alarm", **alarm, aSp=step))
    show(note="no alarm", answer=peer.ask("Alarm", "Alarm", **{**alarm, "aCId": "A0999"}, aSp="Acknowledge"))
    if versions >= "3.1.5":
        show(note="aggregated", answer=peer.ask("AggregatedStatusRequest", "AggregatedStatus", **where))
    show(note="unknown type", answer=peer.until("MessageAck", "MessageNotAck", of=peer.send("Watchdddog"))["type"])
    show(note="again", answer=peer.until("MessageAck", "MessageNotAck", of=peer.send("Version", **version(site, versions, sxl)))["type"])
    show(note="done")


if sys.argv[1] == "site":
    as_site(*sys.argv[2:7])
else:
    as_supervisor(*sys.argv[2:6])
