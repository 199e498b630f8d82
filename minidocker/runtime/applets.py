"""The one table of what the simulated runtime can run: a shell and its commands.

Anything else that is found in an image is refused by name. `python -c "from minidocker.runtime.applets import COMMANDS;
print(*sorted(COMMANDS))"` prints the table.
"""

from __future__ import annotations

from minidocker.runtime import accounts, archives, editors, filetools, finder, nettools, systools, texttools
from minidocker.runtime.builtin import sh
from minidocker.runtime.kernel import SHELLS, Command

COMMANDS: dict[str, Command] = {
    **dict.fromkeys(SHELLS, sh),
    **filetools.TABLE,
    **finder.TABLE,
    **accounts.TABLE,
    **archives.TABLE,
    **texttools.TABLE,
    **editors.TABLE,
    **systools.TABLE,
    **nettools.TABLE,
}
