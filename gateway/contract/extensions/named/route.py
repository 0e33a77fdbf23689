"""What the routes by instance name have in common."""

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.contract.operation import Result
from gateway.contract.zapi.partner import PartnerOperation
from gateway.errors import InvalidRequest

_NOT_FOUND, _CONFLICT, _BAD_GATEWAY = 404, 409, 502
EXAMPLE_NAME = "Front desk"
EXAMPLE_ID = "3C67AB641C8AA0412F6A2242B4E23AC7"


class NamedOperation(PartnerOperation[Result]):
    """A route that answers `success`, and is served where the operator switched it on."""

    absolute = True
    by_name = True
    refuses_unknown = False  # programs written for another gateway send fields of their own
    audited = False  # the operation of the instance that it leads to leaves the line
    instance_fields: ClassVar[tuple[str, ...]] = ("instanceName", "instanceId")

    def given_instance(self) -> tuple[str, str] | None:
        """Returns the field that names the instance, and its value; None where none does.

        Raises:
            InvalidRequest: two fields name different instances.
        """
        fields = self.model_dump(by_alias=True, include=self._fields_of_instance())
        given = [name for name in self.instance_fields if fields.get(name)]
        if len({fields[name] for name in given}) > 1:
            raise InvalidRequest(f"{given[1]}: must not be given together with {given[0]}")
        return (given[0], fields[given[0]]) if given else None

    @classmethod
    def _fields_of_instance(cls) -> set[str]:
        return {
            name for name, info in cls.model_fields.items() if info.alias in cls.instance_fields
        }


class InstanceByName(NamedOperation[Result]):
    """A route about one instance."""

    failures = (*PartnerOperation.failures, _NOT_FOUND, _CONFLICT, _BAD_GATEWAY)


class InstanceInFields(InstanceByName[Result]):
    """A route whose body names the instance."""

    instance_name: Annotated[
        str | None, Field(description="the instance, by its name or its id")
    ] = None
    instance_id: Annotated[
        str | None, Field(description="the same, for programs that have the id")
    ] = None
