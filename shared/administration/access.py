"""What a caller may do: readers look, administrators change. Whoever lets callers in asks here, in one place."""

from shared.administration.failures import Forbidden
from shared.domain.audit import Caller
from shared.domain.choices import Role

_INCLUDES = {Role.READER: {Role.READER, Role.ADMIN}, Role.ADMIN: {Role.ADMIN}}
"""Which roles have the rights of a role: an administrator may read."""


def require(caller: Caller, role: Role) -> None:
    """Raises Forbidden where the caller has not the rights of `role`."""
    if not caller.roles & _INCLUDES[role]:
        raise Forbidden(f"this needs the role {role.value}")
