"""Names queries by the variable that they are assigned to, such as `product.FIND`.

So logs, traces and `pg_stat_activity` show a name that can be searched for in the source.
"""

from __future__ import annotations

import itertools
import sys
from functools import cached_property
from typing import Any

_numbers = itertools.count(1)


class Named:
    """An object that is named after its module and the module's variable that it is assigned to.

    An object that is not assigned to such a variable has a unique number instead, unless it sets
    `name` itself.
    """

    def __init__(self) -> None:
        self._module_globals = _defining_module()

    @cached_property
    def name(self) -> str:
        """The name, available after the module has assigned the object to its variable."""
        module = self._module_globals["__name__"].rpartition(".")[2]
        for variable, value in self._module_globals.items():
            if value is self:
                return f"{module}.{variable}"
        return f"{module}.{next(_numbers)}"


def _defining_module() -> dict[str, Any]:
    """Return the globals of the creating module: the first caller outside `database`."""
    frame = sys._getframe(1)
    while frame.f_globals["__name__"].startswith("database.") and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals
