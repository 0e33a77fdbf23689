"""Builds what signs users in, and what the commands on users call."""

import os
from functools import partial

from gateway.administration.audit import Audit, Caller
from gateway.administration.profile import Profiles
from gateway.administration.sign_in import SignIn
from gateway.administration.user_admin import UserAdmin
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.instances.tokens import TokenVault
from gateway.users.passwords import Passwords
from gateway.users.second_factor import SecondFactor
from gateway.users.sessions import UserSessions
from gateway.users.sign_in_delays import SignInDelays
from gateway.users.sign_in_links import SignInLinks
from gateway.users.store import Users


def build_sign_in(database: Database, vault: TokenVault, clock: Clock, audit: Audit) -> SignIn:
    """Returns what opens and ends sessions."""
    return SignIn(
        Users(database),
        UserSessions(database, os.urandom),
        SignInLinks(database, os.urandom),
        SignInDelays(database, clock),
        Passwords(),
        SecondFactor(vault, clock),
        audit,
    )


def build_user_admin(
    database: Database, vault: TokenVault, clock: Clock, audit: Audit, caller: Caller
) -> UserAdmin:
    """Returns what makes and changes users, as *caller* in the audit log."""
    return UserAdmin(
        Users(database),
        Passwords(),
        SecondFactor(vault, clock),
        vault,
        os.urandom,
        audit,
        caller,
    )


def build_profiles(
    database: Database, vault: TokenVault, clock: Clock, audit: Audit, sign_in: SignIn
) -> Profiles:
    """Returns what users change about themselves in the panel."""
    return Profiles(sign_in, partial(build_user_admin, database, vault, clock, audit))
