"""The business profile of a simulated phone, and the categories of businesses."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success
from gateway.contract.zapi.business.profile import (
    BusinessProfile,
    Category,
    Hours,
    Interval,
    ListCategories,
    ReadBusinessProfile,
    SetCategories,
    SetCompanyAddress,
    SetCompanyDescription,
    SetCompanyEmail,
    SetCompanySites,
    SetHours,
)
from gateway.errors import InvalidRequest
from gateway.providers.sandbox.account import PhoneAccount, account_of, change_account
from gateway.providers.sandbox.session import SandboxSession

operations: Handlers[SandboxSession] = Handlers()

_CATEGORIES = (
    Category(display_name="Other", label="OTHER_COMPANIES", id="629412378414563"),
    Category(display_name="Restaurant", label="RESTAURANT", id="150108431712141"),
    Category(display_name="Bakery", id="1223524174334504"),
    Category(display_name="Education", label="EDUCATION", id="2250"),
    Category(display_name="Shopping and retail", label="SHOPPING_AND_RETAIL", id="200600219953504"),
)


@operations.handles(SetCompanyDescription)
async def set_description(session: SandboxSession, operation: SetCompanyDescription) -> Success:
    return await _set_profile(session, description=operation.value)


@operations.handles(SetCompanyAddress)
async def set_address(session: SandboxSession, operation: SetCompanyAddress) -> Success:
    return await _set_profile(session, address=operation.value)


@operations.handles(SetCompanyEmail)
async def set_email(session: SandboxSession, operation: SetCompanyEmail) -> Success:
    return await _set_profile(session, email=operation.value)


@operations.handles(SetCompanySites)
async def set_sites(session: SandboxSession, operation: SetCompanySites) -> Success:
    return await _set_profile(session, websites=operation.websites)


@operations.handles(SetHours)
async def set_hours(session: SandboxSession, operation: SetHours) -> Success:
    days = tuple(Interval(**day.model_dump()) for day in operation.days)
    hours = Hours(timezone=operation.timezone, days=days, mode=operation.mode)
    return await _set_profile(session, business_hours=hours)


@operations.handles(SetCategories)
async def set_categories(session: SandboxSession, operation: SetCategories) -> Success:
    known = {name: each for each in _CATEGORIES for name in (each.id, each.label) if name}
    if unknown := [name for name in operation.categories if name not in known]:
        raise InvalidRequest(f"categories: {unknown[0]} is not one of the available categories")
    return await _set_profile(
        session, categories=tuple(known[name] for name in operation.categories)
    )


async def _set_profile(session: SandboxSession, **fields: object) -> Success:
    def alter(account: PhoneAccount) -> Success:
        account.business = account.business.model_copy(update=fields)
        return Success()

    return await change_account(session, alter)


@operations.handles(ListCategories)
async def list_categories(
    _session: SandboxSession, operation: ListCategories
) -> tuple[Category, ...]:
    wanted = operation.query.lower()
    return tuple(each for each in _CATEGORIES if wanted in each.display_name.lower())


@operations.handles(ReadBusinessProfile)
async def read_profile(session: SandboxSession, operation: ReadBusinessProfile) -> BusinessProfile:
    owner = await business_of(session, operation.phone)
    return (await account_of(session, owner)).business if owner else BusinessProfile()


async def business_of(session: SandboxSession, phone: str) -> str | None:
    """Returns the instance of a number, or None."""
    if phone == await session.own_phone():
        return session.spec.instance_id
    return await session.context.entities.owner_of(phone)
