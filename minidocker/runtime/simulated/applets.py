"""The one table of what the simulated runtime can run: a shell and its commands.

Anything else that is found in an image is refused by name. The table prints itself:
`python -c "from minidocker.runtime.simulated.applets import COMMANDS; print(*sorted(COMMANDS))"`
"""

from __future__ import annotations

from minidocker.runtime.simulated import accounts, archives, editors, filetools, finder, nettools, systools, texttools
from minidocker.runtime.simulated.builtin import sh
from minidocker.runtime.simulated.kernel import SHELLS, Command

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
