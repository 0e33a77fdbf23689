"""Requests as clients of the field send them, each with what must become of it, by kind.

Kinds are those of `tests/README.md`. A body that is text or bytes is sent as it is.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fixtures import media

PHONE = "5511999990001"
PICTURE = base64.b64encode(media.picture()).decode()
GROUP = "120363019502650977"


@dataclass(frozen=True, slots=True)
class Input:
    """A request, and what must become of it.

    Attributes:
        kind: such as K05.
        name: what is special about it.
        body: JSON as a value, or the body as it is; None sends none.
        path: below the instance; `absolute` ones below the server.
        headers: replace the usual ones; an empty Content-Type leaves it out.
        status: of the answer.
        to: the chat to which the message goes.
        arrived: fields of the message that arrives.
        failed: what the error of a message says that cannot be sent.
        sentence: what the answer says.
    """

    kind: str
    name: str
    body: object = None
    path: str = "/send-text"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    absolute: bool = False
    status: int = 200
    to: str = ""
    arrived: Mapping[str, Any] = field(default_factory=dict)
    failed: str = ""
    sentence: str = ""

    def content(self) -> bytes | None:
        """Returns the bytes of the body."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def _text(message: str = "a", **fields: object) -> dict[str, object]:
    return {"phone": PHONE, "message": message, **fields}


_OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}


def _framing() -> Iterator[Input]:
    """K01: an upgrade offer; K11: blanks around tokens; K12: slashes; K18, K19."""
    yield Input("K01", "h2c", _text(), headers=_OFFER, to=PHONE)
    closing = {**_OFFER, "Connection": "close, Upgrade, HTTP2-Settings"}
    yield Input("K01", "h2c, and close", _text(), headers=closing, to=PHONE)
    yield Input("K01", "h2c in lower case", _text(), headers=_lower(_OFFER), to=PHONE)
    yield Input("K01", "TLS", _text(), headers={**_OFFER, "Upgrade": "TLS/1.2"}, to=PHONE)
    yield Input("K01", "GET", path="/status", method="GET", headers=_OFFER)
    yield Input("K01", "address with a host", _text(), "http://gateway{}/send-text", to=PHONE)
    for blank in (" ", "  ", "\t"):
        headers = {"Client-Token": blank + "{client_token}" + blank}
        yield Input("K11", f"Client-Token {blank!r}", None, "/status", "GET", headers)
    for blank in ("%20", "%0A", "%0D%0A"):
        yield Input("K11", f"token{blank}", _text(), f"{{}}{blank}/send-text", to=PHONE)
    bearer = {"Authorization": "Bearer\t {partner_token} ", "Client-Token": ""}
    yield Input(
        "K11", "Bearer", None, "/instances?page=1", "GET", bearer, absolute=True, status=201
    )
    for path in (
        "/{}/send-text",
        "{}//send-text",
        "{}/send-text/",
        "{}/send-text%20",
        "//{}//send-text//",
    ):
        yield Input("K12", path, _text(), path, to=PHONE)
    yield Input("K12", "empty name", None, "/queue//", "DELETE", status=400)
    page = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    yield Input("K18", "preflight", None, method="OPTIONS", headers=page)
    other = {**page, "Origin": "https://evil.example"}
    yield Input("K18", "preflight of another", None, method="OPTIONS", headers=other, status=400)
    for coding in ("gzip", "GZIP", "identity, gzip", "br", "zstd"):
        packed, headers = gzip.compress(json.dumps(_text()).encode()), {"Content-Encoding": coding}
        name = coding.lower().split()[-1]
        yield Input(
            "K19", coding, packed, headers=headers, status=415, sentence=f"Content-Encoding {name}"
        )
    for coding in ("identity", "utf-8"):
        yield Input("K19", coding, _text(), headers={"Content-Encoding": coding}, to=PHONE)
    packed = gzip.compress(json.dumps(_text()).encode())
    yield Input("K19", "gzip unsaid", packed, status=400, sentence="is compressed")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value.lower() for name, value in headers.items()}


_PHONES = (
    *("+55 11 99999-0001", "+55\u00a011\u00a099999\u20110001", "\u202a+55 11 99999-0001\u202c"),
    *("\ufeff5511999990001", "5511\u200b999990001", "55\t11\t999990001", "55.11.99999.0001"),
    *("5511999990001:12@s.whatsapp.net", "5511999990001@C.US", "5511999990001.0:3@s.whatsapp.net"),
    *("tel:+5511999990001", "whatsapp:+5511999990001", "sms:5511999990001?body=oi"),
    *("https://wa.me/5511999990001?text=oi", "https://api.whatsapp.com/send?phone=5511999990001"),
    *("https://web.whatsapp.com/send?text=a&phone=%2B5511999990001", "%2B5511999990001"),
    *("'5511999990001", '"5511999990001"', "@5511999990001", "\uff15\uff151199999\uff10001"),
    *("5511999990001.0", "5511999990001,0", "5.511999990001E12", 5511999990001, 5511999990001.0),
)
_CHATS = {
    GROUP: f"{GROUP}-group",
    f"{GROUP}@G.US": f"{GROUP}-group",
    "5511999990001-1623281429-group": "5511999990001-1623281429",
    "81896604192873:3@lid": "81896604192873@lid",
    "1609459200@broadcast": "1609459200-broadcast",
    "120363166555745933@Newsletter": "120363166555745933@newsletter",
}
_NO_PHONES = (
    *("5.512E+12", "5511999990001;5511999990002", "5511999990001,5511999990002", "abc", ""),
    *("05511999990001", "+0 55 11 99999-0001", "000005511999990001", "0", "00"),
)


def _phones() -> Iterator[Input]:
    """K05: spellings; K06: no such number; K17: one bad number; K26: the known number."""
    for phone in _PHONES:
        yield Input("K05", repr(phone), {"phone": phone, "message": "a"}, to=PHONE)
    for chat, known in _CHATS.items():
        yield Input("K05", chat, {"phone": chat, "message": "a"}, to=known)
    path = "/phone-exists/%EF%BB%BF%2B55%2011%2099999-0001"
    yield Input("K05", "in a path", None, path, "GET", sentence=f'"phone":"{PHONE}"')
    for phone in ("005511999990001", "+00 55 11 99999-0001", "tel:005511999990001"):
        yield Input("K06", phone, {"phone": phone, "message": "a"}, to=PHONE)
    for phone in _NO_PHONES:
        body = {"phone": phone, "message": "a"}
        yield Input("K06", repr(phone), body, status=400, sentence="Invalid phone")
    for phone in ("abc", "05511999990001", "5" * 40):
        batch, found = {"phones": [PHONE, phone]}, f'{{"exists":false,"inputPhone":"{phone}"'
        yield Input("K17", f"batch {phone[:20]}", batch, "/phone-exists-batch", sentence=found)
        add = {"groupId": f"{GROUP}-group", "phones": [PHONE, phone]}
        named, path = "phones.1: must be a phone", "/add-participant"
        yield Input("K17", f"group {phone[:20]}", add, path, status=400, sentence=named)
    mentioned = _text(mentioned=[PHONE, "bad"])
    yield Input("K17", "mentioned", mentioned, status=400, sentence="mentioned.1: must be")
    yield Input("K26", "ninth digit", {"phone": "5531988880001", "message": "9"}, to="553188880001")
    absent = {"phone": "5511999990000", "message": "a"}
    yield Input("K26", "not on WhatsApp", absent, failed="not on WhatsApp")


def _empty() -> Iterator[Input]:
    """K07: empty texts; K08: no body."""
    names = ("delayMessage", "delayTyping", "privateAnswer", "priority", "messageId", "mentioned")
    for name in (*names, "scheduledFor", "expiresAt", "expiresIn", "groupMentioned"):
        yield Input("K07", name, _text(**{name: ""}), to=PHONE)
    yield Input("K07", "blanks", _text(delayMessage=" \u00a0"), to=PHONE)
    picture = {"phone": PHONE, "image": PICTURE, "viewOnce": "", "caption": ""}
    yield Input("K07", "viewOnce", picture, "/send-image", to=PHONE)
    card = _text("x https://a.example", linkUrl="https://a.example", linkType="", image="")
    yield Input("K07", "linkType", {**card, "title": "t", "linkDescription": "d"}, "/send-link")
    button = {"type": "REPLY", "label": "x", "url": "", "phone": ""}
    yield Input("K07", "button", _text(buttonActions=[button]), "/send-button-actions", to=PHONE)
    for path in ("/contacts?page=&pageSize=", "/chats?page=&pageSize=", "/queue?status=&phone="):
        yield Input("K07", path, None, path, "GET")
    emptied = "olderThan: must not be empty"
    yield Input(
        "K07", "a filter", None, "/queue?olderThan=", "DELETE", status=400, sentence=emptied
    )
    routes = (("POST", "/queue/resume"), ("DELETE", "/queue?olderThan=999999"), ("POST", "/queue"))
    for method, path in (*routes, ("POST", "/restart"), ("DELETE", "/queue/failed")):
        for body in ("[]", "null", '""', "{}", " ", "\ufeff[]"):
            yield Input("K08", f"{method} {path} {body!r}", body, path, method)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    yield Input("K08", "[] as a form", "[]", "/queue/resume", headers=form)
    yield Input("K08", "a send", "[]", status=400, sentence="must be a JSON object")


def _texts() -> Iterator[Input]:
    """K09: half an emoji; K10: a byte order mark; K16: line breaks."""
    halves = {r"ol\u00e1 \ud83d": "ol\xe1 \ufffd", r"\ude00\ud83d": "\ufffd\ufffd"}
    halves |= {r"\ud83d\ud83d\ude00": "\ufffd\U0001f600", r"a\\ud83d": r"a\ud83d"}
    for written, read in halves.items():
        body = f'{{"phone":"{PHONE}","message":"{written}"}}'
        yield Input("K09", written, body, to=PHONE, arrived={"message": read})
    as_bytes = b'{"phone":"%s","message":"a\xed\xa0\xbd"}' % PHONE.encode()
    yield Input("K09", "as bytes", as_bytes, to=PHONE, arrived={"message": "a\ufffd"})
    latin = b'{"phone":"%s","message":"ol\xe1"}' % PHONE.encode()
    yield Input("K09", "Latin-1", latin, status=400, sentence="is not UTF-8")
    whole = json.dumps(_text("bom"))
    for before in ("\ufeff", "\ufeff \r\n", "\r\n\ufeff", "\ufeff\ufeff"):
        yield Input("K10", repr(before), before + whole, to=PHONE, arrived={"message": "bom"})
    utf_16 = whole.encode("utf-16")
    yield Input("K10", "UTF-16", utf_16, status=400, sentence="is not UTF-8")
    texts = {"a%0D%0Ab": "a\nb", "a%0ab": "a\nb", "a%0Db": "a\nb", "100%": "100%"}
    texts |= {"https://e.com/?q=a%0Ab%0D%0Ac d%0Ae": "https://e.com/?q=a%0Ab%0D%0Ac d\ne"}
    texts |= {"https://e.com%0A%0ABye": "https://e.com\n\nBye"}
    for written, read in texts.items():
        yield Input("K16", written, _text(written), to=PHONE, arrived={"message": read})


def _urls() -> Iterator[Input]:
    """K13: spellings of base64; K14: URLs as they are pasted; K20: extensions; K28."""
    longer = base64.b64encode(media.picture() + b"\xfb\xef\xbe\xff").decode()
    files = (
        *(longer.rstrip("="), longer.translate(str.maketrans("+/", "-_")), f" \n\t{PICTURE}"),
        *(f"image/png;base64,{PICTURE}", f"base64,{PICTURE}", f"data:image/png,{PICTURE}"),
        *(f"data:image/png,base64,{PICTURE}", f"\ufeffdata:;base64,{PICTURE}"),
    )
    for file in files:
        body = {"phone": PHONE, "image": file}
        yield Input("K13", repr(file[:30]), body, "/send-image", to=PHONE)
    url = "{files}/a.png"
    pasted = (
        f"  {url}",
        f"\n{url}\r\n",
        f"\u200b{url}\ufeff",
        f"<{url}>",
        f'"{url}"',
        f"{url}?n=\xe3 b",
    )
    for text in pasted:
        yield Input("K14", repr(text), {"phone": PHONE, "image": text}, "/send-image", to=PHONE)
        hook = {"value": text}
        yield Input("K14", f"webhook {text!r}", hook, "/update-webhook-connected", "PUT")
    for text in ("http://exa mple.com/", "http://127.0.0.1 :80/", "ftp://a.example"):
        hook = {"value": text}
        yield Input("K14", f"webhook {text}", hook, "/update-webhook-connected", "PUT", status=400)
    button = {"type": "URL", "label": "x", "url": " https://a.example/ \xe3\n"}
    yield Input("K14", "button", _text(buttonActions=[button]), "/send-button-actions", to=PHONE)
    for extension in ("tar.gz", ".pdf", "PDF", "c%2B%2B", "pdf%20"):
        body = {"phone": PHONE, "document": url}
        yield Input("K20", extension, body, f"/send-document/{extension}", to=PHONE)
    body, named = {"phone": PHONE, "document": url}, "extension: must be a file extension such as"
    yield Input("K20", "no extension", body, "/send-document/a;b", status=400, sentence=named)
    csv = "data:text/csv;name=vendas.csv;base64,bm9tZTt2YWxvcgpBOzEK"
    shown = {"files.0.fileName": "vendas.csv", "files.0.mimeType": "text/csv"}
    body = {"phone": PHONE, "document": csv}
    yield Input("K28", "data: with a name", body, "/send-document", to=PHONE, arrived=shown)


def _files() -> Iterator[Input]:
    """K02, K03, K04, K15, K24, K27: files of a server; K25 has a campaign of its own."""
    shown = {"files.0.mimeType": "image/png", "files.0.size": len(media.picture())}
    names = ("gzip", "deflate", "aws-chunked", "none", "empty", "two-lines", "203", "206", "cookie")
    for name in names:
        body = {"phone": PHONE, "image": f"{{files}}/{name}/a.png"}
        kind = "K02" if name == "cookie" else "K03"
        yield Input(kind, name, body, "/send-image", to=PHONE, arrived=shown)
    for name, mime_type in (("a.heic", "image/jpeg"), ("short.jpg", "image/jpeg")):
        body = {"phone": PHONE, "image": f"{{files}}/{name}"}
        arrived = {"files.0.mimeType": mime_type}
        yield Input("K04", name, body, "/send-image", to=PHONE, arrived=arrived)
    for kind, name in (("K15", "a.ts"), ("K27", "a.mov"), ("K27", "a.webm")):
        body = {"phone": PHONE, "video": f"{{files}}/{name}"}
        arrived = {"files.0.mimeType": "video/mp4"}
        yield Input(kind, name, body, "/send-video", to=PHONE, arrived=arrived)
    strange = {"phone": PHONE, "image": "{files}/a%00b.png"}
    yield Input("K14", "NUL in a name", strange, "/send-image", to=PHONE)
    unknown = {"phone": PHONE, "image": "https://no.such.name.invalid/a.png"}
    yield Input("K24", "unknown name", unknown, "/send-image", failed="its name is unknown")


def inputs() -> tuple[Input, ...]:
    """Returns the inputs of every kind."""
    makers = (_framing, _phones, _empty, _texts, _urls, _files)
    return tuple(each for make in makers for each in make())
