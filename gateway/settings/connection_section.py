"""How the connections of instances are checked."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gateway.settings.section import SettingsSection


class ConnectionSection(SettingsSection):
    """Health of connections, and when missing receipts are an alarm."""

    title = "Connections"

    health_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="GATEWAY_HEALTH_SECONDS",
        description="Seconds between two checks of a connection",
    )
    receipt_alarm_of: int = Field(
        10,
        ge=1,
        le=100,
        validation_alias="GATEWAY_RECEIPT_ALARM_OF",
        description="Number of the last accepted messages that are looked at for receipts",
    )
    receipt_alarm_missing: int = Field(
        10,
        ge=0,
        le=100,
        validation_alias="GATEWAY_RECEIPT_ALARM_MISSING",
        description="How many of those without any receipt are an alarm; 0 switches it off",
    )
    receipt_alarm_seconds: int = Field(
        3_600,
        ge=60,
        le=86_400,
        validation_alias="GATEWAY_RECEIPT_ALARM_SECONDS",
        description="Seconds that a message has for its receipt before it counts as one without",
    )

    @field_validator("receipt_alarm_missing")
    @classmethod
    def _is_not_above(cls, missing: int, known: ValidationInfo) -> int:
        if missing > known.data.get("receipt_alarm_of", missing):
            raise PydanticCustomError("span", "must not be more than GATEWAY_RECEIPT_ALARM_OF")
        return missing
