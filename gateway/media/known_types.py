"""The types that names and servers say; the tables of the machine are not read."""

import mimetypes
from collections.abc import Mapping
from typing import Final

_OOXML: Final = "application/vnd.openxmlformats-officedocument."
_ODF: Final = "application/vnd.oasis.opendocument."
_WORD, _SHEET = _OOXML + "wordprocessingml.", _OOXML + "spreadsheetml."
_SLIDES: Final = _OOXML + "presentationml."
# Beside those that Python knows; the first extension of a type is the one that it gets.
_TYPES: Final[Mapping[str, str]] = {
    ".jpg": "image/jpeg",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".psd": "image/vnd.adobe.photoshop",
    ".dwg": "image/vnd.dwg",
    ".dxf": "image/vnd.dxf",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".amr": "audio/amr",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".wma": "audio/x-ms-wma",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".ogv": "video/ogg",
    ".3gp": "video/3gpp",
    ".wmv": "video/x-ms-wmv",
    ".asf": "video/x-ms-asf",
    ".flv": "video/x-flv",
    ".avi": "video/x-msvideo",
    ".mpeg": "video/mpeg",
    ".mts": "video/mp2t",
    ".m2ts": "video/mp2t",
    ".txt": "text/plain",
    ".log": "text/plain",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".md": "text/markdown",
    ".vcf": "text/vcard",
    ".ics": "text/calendar",
    ".html": "text/html",
    ".xml": "application/xml",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".sql": "application/sql",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".gpx": "application/gpx+xml",
    ".ofx": "application/x-ofx",
    ".rtf": "application/rtf",
    ".pdf": "application/pdf",
    ".eps": "application/postscript",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pps": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
    ".vsd": "application/vnd.visio",
    ".mpp": "application/vnd.ms-project",
    ".pub": "application/vnd.ms-publisher",
    ".msi": "application/x-msi",
    ".docx": _WORD + "document",
    ".dotx": _WORD + "template",
    ".docm": "application/vnd.ms-word.document.macroEnabled.12",
    ".xlsx": _SHEET + "sheet",
    ".xltx": _SHEET + "template",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".xlsb": "application/vnd.ms-excel.sheet.binary.macroEnabled.12",
    ".pptx": _SLIDES + "presentation",
    ".ppsx": _SLIDES + "slideshow",
    ".potx": _SLIDES + "template",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
    ".odt": _ODF + "text",
    ".ods": _ODF + "spreadsheet",
    ".odp": _ODF + "presentation",
    ".epub": "application/epub+zip",
    ".apk": "application/vnd.android.package-archive",
    ".jar": "application/java-archive",
    ".kmz": "application/vnd.google-earth.kmz",
    ".zip": "application/zip",
    ".rar": "application/vnd.rar",
    ".7z": "application/x-7z-compressed",
    ".tar": "application/x-tar",
    ".gz": "application/gzip",
    ".tgz": "application/gzip",
    ".bz2": "application/x-bzip2",
    ".xz": "application/x-xz",
    ".p12": "application/x-pkcs12",
    ".pfx": "application/x-pkcs12",
    ".cer": "application/pkix-cert",
    ".crt": "application/pkix-cert",
    ".der": "application/pkix-cert",
    ".pem": "application/x-pem-file",
    ".p7s": "application/pkcs7-signature",
    ".p7m": "application/pkcs7-mime",
    ".p7b": "application/x-pkcs7-certificates",
    ".exe": "application/vnd.microsoft.portable-executable",
    ".bin": "application/octet-stream",
}
_AMBIGUOUS: Final = frozenset({".ts"})  # a film, a program, or a translation
_COMPRESSED: Final = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz"}

ZIP_TYPE: Final = _TYPES[".zip"]
OLE_TYPES: Final = frozenset(
    _TYPES[e] for e in (".doc", ".xls", ".ppt", ".msg", ".vsd", ".mpp", ".pub", ".msi")
)
ZIP_VARIANTS: Final[Mapping[str, frozenset[str]]] = {
    _TYPES[".docx"]: frozenset({_TYPES[".dotx"], _TYPES[".docm"]}),
    _TYPES[".xlsx"]: frozenset({_TYPES[".xltx"], _TYPES[".xlsm"], _TYPES[".xlsb"]}),
    _TYPES[".pptx"]: frozenset({_TYPES[".ppsx"], _TYPES[".potx"], _TYPES[".pptm"]}),
}
"""What the name may call a document, by the type that is in its bytes."""
ZIP_TYPES: Final = (
    frozenset(_TYPES[e] for e in (".odt", ".ods", ".odp", ".epub", ".apk", ".jar", ".kmz", ".zip"))
    | ZIP_VARIANTS.keys()
    | frozenset().union(*ZIP_VARIANTS.values())
)
_SHOWN: Final = (
    OLE_TYPES
    | ZIP_TYPES
    | {_TYPES[e] for e in (".pdf", ".rar", ".7z", ".gz", ".bz2", ".xz", ".rtf", ".exe")}
)
_ALSO_WITHOUT_MARK: Final = frozenset({"image/vnd.dxf", "image/vnd.dwg", "video/mp2t"})

_table = mimetypes.MimeTypes()
for _extension in _AMBIGUOUS:
    _table.types_map[True].pop(_extension, None)
for _extension, _type in _TYPES.items():
    _table.add_type(_type, _extension)
_BY_TYPE: Final = {_type: _extension for _extension, _type in reversed([*_TYPES.items()])}


def named_type(file_name: str | None) -> str | None:
    """Returns the type that a file name says."""
    mime_type, compressed = _table.guess_type((file_name or "").replace("/", "_"))
    if compressed:
        return _TYPES.get(_COMPRESSED.get(compressed, ""))
    return mime_type


def extension_of(mime_type: str) -> str:
    """Returns the usual suffix of a type, such as `.pdf`; empty if it has none."""
    mime_type = mime_type.partition(";")[0].strip()
    return _BY_TYPE.get(mime_type) or _table.guess_extension(mime_type) or ""


def shows_in_bytes(mime_type: str) -> bool:
    """Returns whether each file of this type has a mark; one without it has another type."""
    if mime_type in _ALSO_WITHOUT_MARK:
        return False
    return mime_type in _SHOWN or mime_type.startswith(("image/", "audio/", "video/"))
