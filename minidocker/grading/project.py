"""The capstone's project: a small program, all that it takes to build it, and all that lies about in its folder.

A project can be varied: another token, other orders, other words in the source. The names of its files stay, so that
one Dockerfile fits all of them, and what it prints does not, so that nobody can know it before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000

DOCKERFILE = """\
FROM minidocker/base
COPY . /app
WORKDIR /app
RUN sh tools/toolchain.sh
RUN . ./.env && export TOKEN && sh tools/packages.sh
RUN sh tools/compile.sh
RUN chown -R www-data:www-data /app
RUN rm -rf /opt/toolchain /var/cache/packages .env .git logs
USER www-data
CMD sh /app/report
"""

COMPILER = 'grep -v "^#" "$1"\n'
TOOLCHAIN = """\
# Installs the compiler: 80 MB in /opt/toolchain.
mkdir -p /opt/toolchain
head -c 80000000 /dev/zero > /opt/toolchain/libraries
echo 'grep -v "^#" "$1"' > /opt/toolchain/compile
"""
PACKAGES = """\
# Fetches what is listed in packages.txt, and needs $TOKEN for that. What it downloads stays in /var/cache/packages,
# what it installs is in /app/vendor; and it notes in /root/.packagerc who you are.
test -n "$TOKEN" || { echo "packages.sh: TOKEN is not set: who are you?" >&2; exit 1; }
echo "token=$TOKEN" > /root/.packagerc
mkdir -p /var/cache/packages /app/vendor
head -c 25000000 /dev/zero > /var/cache/packages/downloads
head -c 1000000 /dev/zero > /app/vendor/fonts
sed 's/.*/echo "with &"/' /app/packages.txt > /app/vendor/setup
"""
COMPILE = """\
# Compiles /app/src/*.sh to /app/report.
for part in /app/src/head.sh /app/src/report.sh; do sh /opt/toolchain/compile "$part"; done > /app/report
"""
HEAD = "# What stands above it.\necho '{title}'\nsh /app/vendor/setup\n"
REPORT = """\
# The report: what was ordered, line by line.
while read -r what count; do echo "$count $what"; done < /app/data/orders.txt
echo "{words}, made by user $(id -u)"
"""
KEPT = ("LICENSE", "data/orders.txt")  # of the project's files, those that the image has to have, in /app


@dataclass(frozen=True)
class Project:
    """What varies: the secret, what the program prints, and which file is edited between the two builds, to what."""

    token: str = "tok-5f0c1d7e2b9a4863"
    title: str = "orders"
    words: str = "first edition"
    orders: str = "apples 3\npears 4\n"
    packages: str = "left-pad 1.3\n"
    edited: str = "src/report.sh"
    edit: str = "second edition"
    smaller: int = 1  # by this all that is large is divided

    def files(self, edited: bool = False) -> dict[str, str]:
        """The files that a person wrote."""
        words = self.edit if edited and self.edited == "src/report.sh" else self.words
        title = self.edit if edited and self.edited == "src/head.sh" else self.title
        return {
            "Dockerfile": DOCKERFILE,
            "LICENSE": f"Do with {self.title} what you like.\n",
            "README.md": f"# {self.title}\n\nBuild it, run it.\n",
            ".env": f"TOKEN={self.token}\n",
            "data/orders.txt": self.orders,
            "packages.txt": self.packages,
            "src/head.sh": HEAD.format(title=title),
            "src/report.sh": REPORT.format(words=words),
            "tools/compile.sh": COMPILE,
            "tools/packages.sh": self._sized(PACKAGES),
            "tools/toolchain.sh": self._sized(TOOLCHAIN),
        }

    def _sized(self, script: str) -> str:
        return re.sub(r"(?<=head -c )\d+", lambda found: str(int(found[0]) // self.smaller), script)

    def works(self) -> tuple[str, str]:
        """What tells that the compiler was installed, and the packages: a file of these words. No edit touches them."""
        return COMPILER, "".join(f'echo "with {line}"\n' for line in self.packages.splitlines())

    def write(self, folder: Path, dockerignore: str, edited: bool = False) -> None:
        """Put it into a folder. What git and the program leave there has changed as well, where it is `edited`."""
        ignored = {".dockerignore": dockerignore} if dockerignore else {}
        for name, words in {**self.files(edited), **ignored}.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(words)
            path.chmod(0o644)
            path.parent.chmod(0o755)
        for name, size in (".git/pack", 30 * MB), ("logs/debug.log", 15 * MB):
            path = folder / name
            path.parent.mkdir(mode=0o755, exist_ok=True)
            with path.open("wb") as file:  # holes, which take no room and no time
                file.write(b"again\n" if edited else b"once\n")
                file.truncate(size // self.smaller)

    def prints(self, edited: bool = False) -> str:
        """What the program has to print."""
        title = self.edit if edited and self.edited == "src/head.sh" else self.title
        words = self.edit if edited and self.edited == "src/report.sh" else self.words
        packages = [f"with {line}" for line in self.packages.splitlines()]
        orders = [" ".join(reversed(line.split())) for line in self.orders.splitlines()]
        return "\n".join([title, *packages, *orders, f"{words}, made by user 33", ""])
