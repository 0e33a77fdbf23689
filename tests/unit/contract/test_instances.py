"""What the instance routes read and show."""

import pytest

from gateway.contract.zapi.instances import Device, DeviceModel, ReadMe, ReadQrCode, ReadQrImage


@pytest.mark.parametrize("accept", ["image/png", "IMAGE/PNG;q=0.9, application/json;q=0.5"])
def test_accept_header_with_png_asks_for_the_file(accept: str) -> None:
    assert ReadQrImage(accept=accept).wants_the_file()


@pytest.mark.parametrize("accept", ["application/json, text/plain, */*", "image/*", ""])
def test_everybody_else_wants_json(accept: str) -> None:
    assert not ReadQrImage(accept=accept).wants_the_file()


@pytest.mark.parametrize(
    "accept",
    [
        "image/*",
        "image/png",
        "IMAGE/PNG; q=0.5, */*;q=0.1",
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        "application/json;q=0.5, image/*",
    ],
)
def test_qr_code_for_who_prefers_pictures_is_a_picture(accept: str) -> None:
    assert ReadQrCode(accept=accept).wants_the_file()


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json, text/plain, */*",
        "application/json, image/*",
        "image/*;q=0",
        "image/*;q=much",
        "image/jpeg",
        "text/html,image/avif,image/webp,*/*;q=0.8",
    ],
)
def test_qr_code_for_all_others_is_json(accept: str) -> None:
    assert not ReadQrCode(accept=accept).wants_the_file()


def test_header_fills_only_its_declared_field() -> None:
    assert ReadQrImage.headers() == {"accept": "Accept"}
    assert ReadMe.headers() == {}


def test_device_model_keeps_its_own_spelling() -> None:
    device = Device(
        phone="5511999999999",
        img_url=None,
        about=None,
        name=None,
        device=DeviceModel(session_name="Gateway", device_model="Sandbox"),
        original_device="android",
        session_id=1,
        is_business=False,
    )

    assert device.model_dump(by_alias=True)["device"] == {
        "sessionName": "Gateway",
        "device_model": "Sandbox",
    }
