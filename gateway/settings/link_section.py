"""The settings of the links with which customers link a phone."""

from pydantic import Field

from gateway.settings.section import SettingsSection


class LinkSection(SettingsSection):
    """Links with which a customer links a phone; `POST .../link` makes them."""

    title = "Links for customers"

    minutes: int = Field(
        30,
        ge=1,
        le=1_440,
        validation_alias="GATEWAY_LINK_MINUTES",
        description="Minutes that a link lives, unless its creator says otherwise",
    )
    max_codes: int = Field(
        90,
        ge=1,
        validation_alias="GATEWAY_LINK_MAX_CODES",
        description="QR and pairing codes that a link shows at most; WhatsApp renews a QR code "
        "about every 20 seconds",
    )
