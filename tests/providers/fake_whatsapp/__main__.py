"""Serves until it is killed: `python -m tests.providers.fake_whatsapp FOLDER`.

Writes `ready.json` into the folder: the address of the proxy, of the control, and the root key.
"""

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import sys
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.providers.fake_whatsapp.accounts import Universe
from tests.providers.fake_whatsapp.app import control_app, whatsapp_app
from tests.providers.fake_whatsapp.noise import public_of

_PEM = serialization.Encoding.PEM
# An upload on a connection that closes at that moment is not repeated by the library.
_KEEP_ALIVE_SECONDS = 3_600


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """Creates an authority, and a certificate for WhatsApp's hosts and for proxies beside them."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Fake authority", key, "Fake authority", key)
    own = ec.generate_private_key(ec.SECP256R1())
    hosts = (x509.DNSName(name) for name in ("web.whatsapp.com", "*.whatsapp.net"))
    names = [*hosts, x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    mine = _certificate("web.whatsapp.com", own, "Fake authority", key, names)
    (folder / "ca.pem").write_bytes(authority.public_bytes(_PEM))
    private = own.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(mine.public_bytes(_PEM) + private)
    return folder / "ca.pem", folder / "server.pem"


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName] | None = None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
    return builder.sign(signer, hashes.SHA256())


async def proxy(target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connects every CONNECT to this server."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class _Server(uvicorn.Server):
    async def started_on(self) -> int:
        task = asyncio.create_task(self.serve())
        while not self.started:
            await asyncio.sleep(0.01)
            if task.done():
                task.result()
        self.keep = task
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


async def main(folder: Path) -> None:
    universe = Universe()
    authority, certificate = write_certificates(folder)
    tls = uvicorn.Config(
        whatsapp_app(universe),
        port=0,
        ws="websockets-sansio",
        ws_max_size=1 << 26,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        log_level="warning",
        ssl_certfile=certificate,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    control = uvicorn.Config(control_app(universe), port=0, log_level="warning")
    secure, steering = _Server(tls), _Server(control)
    target, port = await secure.started_on(), await steering.started_on()
    entrance = await asyncio.start_server(
        lambda r, w: proxy(target, r, w), "127.0.0.1", 0, backlog=1024
    )
    facts = {
        "proxy": f"http://127.0.0.1:{entrance.sockets[0].getsockname()[1]}",
        "port": str(target),
        "control": f"http://127.0.0.1:{port}",
        "authority": str(authority.resolve()),
        "certificate": str(certificate.resolve()),
        "root": public_of(universe.certificates.root).hex(),
    }
    draft = folder / "ready.draft"
    draft.write_text(json.dumps(facts))
    draft.rename(folder / "ready.json")
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
