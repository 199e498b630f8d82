# ruff: noqa: E501
"""Small build contexts, each about one rule: `GOOD` ones that Docker builds, and `BAD` ones that it refuses.

A context is files (path -> text, or `{"link": target}`, `{"mode": …, "text": …}`, `{"dir": mode}`, `{"tar": {…}}`,
`{"hard": path}`), a Dockerfile, and arguments of `docker build`. What Docker made of them lies in `recorded.json`, written by
`python tests/build/record.py` beside a running dockerd.
"""

from __future__ import annotations

from typing import Any

APP: dict[str, Any] = {
    "app/main.py": "print('hello')\n",
    "app/run.sh": {"text": "#!/bin/sh\necho run\n", "mode": 0o755},
    "app/lib/util.py": "x = 1\n",
    "app/lib/deep/er.txt": "deeper\n",
    "a.txt": "a\n",
    "b.txt": "bb\n",
    "c.md": "ccc\n",
}


def case(dockerfile: str, files: dict[str, Any] | None = None, *args: str) -> dict[str, Any]:
    return {"dockerfile": dockerfile, "files": APP if files is None else files, "args": list(args)}


GOOD: dict[str, dict[str, Any]] = {
    # configuration
    "env": case(
        "FROM busybox\nENV A=1 B='two words' C=$A\nENV A=3\nENV OLD style value\nENV D=${A}x E=${Z:-dflt} F=${A:+set}\n"
    ),
    "env_run": case("FROM busybox\nENV A=1 P=$PATH\nRUN echo $A-$P > /out\n"),
    "label": case('FROM busybox\nLABEL a=1 b="x y"\nLABEL a=2 c.d=$HOME\n', None, "--label", "z=9", "--label", "a=7"),
    "cmd_forms": case('FROM busybox AS one\nCMD echo hi $HOME\nFROM one\nCMD ["echo", "a b"]\nEXPOSE 80\n'),
    "entrypoint_resets_cmd": case('FROM busybox AS one\nCMD ["x"]\nFROM one\nENTRYPOINT ["/bin/echo"]\n'),
    "entrypoint_keeps_own_cmd": case('FROM busybox\nCMD ["x"]\nENTRYPOINT ["/bin/echo"]\n'),
    "entrypoint_shell": case("FROM busybox\nENTRYPOINT echo hi\nCMD there\n"),
    "entrypoint_empty": case("FROM busybox\nENTRYPOINT []\nCMD []\n"),
    "expose": case("FROM busybox\nENV PORT=99\nEXPOSE 80 443/tcp 53/UDP $PORT\nEXPOSE 80 7000-7002\n"),
    "volume": case('FROM busybox\nRUN mkdir /data && echo 1 > /data/f\nVOLUME /data ["/x y"]\nVOLUME ["/v1", "/v2"]\n'),
    "volume_json": case('FROM busybox\nENV V=/vv\nVOLUME ["/v1", "/v 2"]\nVOLUME /a $V\n'),
    "user": case(
        "FROM busybox\nUSER app\nRUN id -u > /tmp/u; id -g >> /tmp/u; whoami >> /tmp/u; echo $HOME >> /tmp/u\nUSER 5:6\nRUN id -u > /tmp/v; id -g >> /tmp/v\n"
    ),
    "workdir": case("FROM busybox\nWORKDIR /a\nWORKDIR b/../c\nENV D=dd\nWORKDIR $D/e\nRUN pwd > p\n"),
    "workdir_exists": case("FROM busybox\nWORKDIR /etc\nWORKDIR /\n"),
    "workdir_user": case("FROM busybox\nUSER app\nWORKDIR /made/by\nRUN stat -c %u:%g /made/by > /tmp/o\n"),
    "workdir_symlink": case("FROM busybox\nWORKDIR /applink/sub\nRUN echo 1 > f\n"),
    "stopsignal": case("FROM busybox\nSTOPSIGNAL SIGINT\n"),
    "stopsignal_var": case("FROM busybox\nENV S=9\nSTOPSIGNAL $S\n"),
    "healthcheck": case(
        'FROM busybox\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD ["true", "x"]\n'
    ),
    "healthcheck_shell": case("FROM busybox\nHEALTHCHECK --interval=1m30s CMD wget -q http://localhost || exit 1\n"),
    "healthcheck_none": case("FROM busybox\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n"),
    "shell": case('FROM busybox\nSHELL ["/bin/ash", "-ec"]\nRUN echo $0 > /out\nCMD echo x\nENTRYPOINT echo y\n'),
    "maintainer": case("FROM busybox\nMAINTAINER Jo <jo@example.org>\n"),
    "onbuild_stored": case("FROM busybox\nONBUILD RUN echo built > /built\nONBUILD COPY a.txt /\nONBUILD ENV X=$Y\n"),
    "onbuild_triggered": case(
        "FROM busybox AS base\nONBUILD RUN echo built > /built\nONBUILD COPY a.txt /\nONBUILD ENV X=1\nFROM base\nRUN echo $X > /x\n"
    ),
    "scratch": case('FROM scratch\nCOPY a.txt /\nCMD ["/a.txt"]\n'),
    "scratch_env": case("FROM scratch\nENV A=1\nLABEL x=y\nCOPY a.txt b.txt /d/\n"),
    "scratch_workdir": case("FROM scratch\nWORKDIR /app\nCOPY a.txt .\n"),
    # build arguments
    "arg": case(
        "ARG V=busybox\nFROM $V\nARG A=1\nARG B\nARG C=${A}c\nRUN echo $A-$B-$C > /o\nENV A=env\nRUN echo $A-$B-$C > /p\n",
        None,
        "--build-arg",
        "B=bee",
    ),
    "arg_scope": case(
        "ARG G=glob\nFROM busybox\nRUN echo [$G] > /a\nARG G\nRUN echo [$G] > /b\nFROM busybox\nCOPY --from=0 /a /b /\nRUN echo [$G] > /c\n"
    ),
    "arg_override": case("FROM busybox\nENV A=env\nARG A=arg\nRUN echo $A > /o\n", None, "--build-arg", "A=cli"),
    "arg_predefined": case(
        "FROM busybox\nRUN echo $HTTP_PROXY-$no_proxy > /o\n",
        None,
        "--build-arg",
        "HTTP_PROXY=http://p",
        "--build-arg",
        "no_proxy=x",
    ),
    "arg_platform": case(
        "FROM busybox\nARG TARGETPLATFORM\nARG TARGETOS TARGETARCH\nARG BUILDPLATFORM\nRUN echo $TARGETPLATFORM $BUILDPLATFORM > /o\n"
    ),
    "arg_multi": case("FROM busybox\nARG A=1 B=2\nRUN echo $A$B > /o\n"),
    "arg_in_label": case("FROM busybox\nARG V=1.2\nLABEL version=$V\nENV V2=$V\nRUN true\n"),
    "arg_unused": case("FROM busybox\nRUN true\n", None, "--build-arg", "NOPE=1"),
    # COPY
    "copy_file": case("FROM busybox\nCOPY a.txt /x\nCOPY a.txt /d/\nCOPY a.txt b.txt /e/\nCOPY a.txt ./rel\n"),
    "copy_dir": case("FROM busybox\nCOPY app /srv\nCOPY app/ /srv2/\nCOPY app /srv3/\n"),
    "copy_all": case("FROM busybox\nWORKDIR /w\nCOPY . .\n"),
    "copy_wild": case("FROM busybox\nCOPY *.txt /t/\nCOPY app/*.p? /p/\nCOPY a[p]p /q\nCOPY app/* /r/\n"),
    "copy_wild_one": case("FROM busybox\nCOPY c.* /only\n"),
    "copy_workdir": case("FROM busybox\nWORKDIR /w\nCOPY a.txt .\nCOPY a.txt sub/\nCOPY b.txt sub/n\n"),
    "copy_json": case('FROM busybox\nCOPY ["a b.txt", "/x y/"]\n', {"a b.txt": "sp\n"}),
    "copy_chown": case(
        "FROM busybox\nCOPY --chown=app a.txt /1\nCOPY --chown=app:staff a.txt /2\nCOPY --chown=7:8 app /3/\nCOPY --chown=9 a.txt /4\nCOPY --chown=app:50 a.txt /new/5\nCOPY --chown=:50 a.txt /6\n"
    ),
    "copy_chmod": case("FROM busybox\nCOPY --chmod=600 a.txt /1\nCOPY --chmod=0755 app /2/\n"),
    "copy_modes": case(
        "FROM busybox\nCOPY . /d/\n",
        {
            "s": {"text": "s", "mode": 0o4755},
            "r": {"text": "", "mode": 0o400},
            "d/x": "1",
            "d": {"dir": 0o700},
            "w": {"text": "w", "mode": 0o666},
            "t": {"dir": 0o1777},
        },
    ),
    "copy_links": case(
        "FROM busybox\nCOPY . /d/\nCOPY l /onefile\nCOPY ld /viadir/\n",
        {
            "f": "real\n",
            "l": {"link": "f"},
            "dang": {"link": "nowhere"},
            "abs": {"link": "/etc/passwd"},
            "dir/x": "x\n",
            "ld": {"link": "dir"},
        },
    ),
    "copy_hard": case("FROM busybox\nCOPY . /d/\n", {"f": "real\n", "g": {"hard": "f"}}),
    "copy_through_link": case("FROM busybox\nCOPY ld/x /y\n", {"dir/x": "x\n", "ld": {"link": "dir"}}),
    "copy_link_wild": case(
        "FROM busybox\nCOPY l* /d/\n", {"f": "real\n", "l1": {"link": "f"}, "l2": {"link": "/etc/passwd"}}
    ),
    "copy_dest_link": case(
        "FROM busybox\nCOPY a.txt /applink/\nCOPY a.txt /applink/new\nCOPY app /tmplink/z\nCOPY app/lib /tmplink\n"
    ),
    "copy_over": case(
        "FROM busybox\nRUN mkdir -p /d/lib && echo old > /d/main.py && chmod 700 /d && echo keep > /d/keep\nCOPY app /d\n"
    ),
    "copy_dir_mode": case("FROM busybox\nRUN mkdir -m 700 /d && chown 5:5 /d\nCOPY a.txt /d/\n"),
    "copy_dir_over_dir": case(
        "FROM busybox\nRUN mkdir -m 700 -p /d/lib && chown 5:5 /d/lib && chmod 711 /d/lib\nCOPY app /d\n"
    ),
    "copy_same": case("FROM busybox\nCOPY a.txt /x\nCOPY a.txt /x\n"),
    "copy_dotdot": case("FROM busybox\nCOPY app/../a.txt /x\nCOPY /b.txt /y\n"),
    "copy_dest_dotdot": case("FROM busybox\nWORKDIR /w/v\nCOPY a.txt ../u\nCOPY b.txt ../../../z\n"),
    "copy_var": case("FROM busybox\nENV S=a.txt D=/dd\nCOPY $S ${D}/x\n"),
    "copy_home": case("FROM busybox\nUSER app\nCOPY a.txt /home/app/\n"),
    "copy_emptydir": case("FROM busybox\nCOPY . /x/\n", {"e": {"dir": 0o755}, "f": "1"}),
    "ignore": case(
        "FROM busybox\nCOPY . /x/\n",
        {
            ".dockerignore": "# c\n*.log\n!keep.log\n**/tmp\napp/*/\n",
            "x.log": "1",
            "keep.log": "2",
            "tmp/a": "3",
            "app/m": "4",
            "app/d/e": "5",
            "s/tmp/f": "6",
            "s/y.log": "7",
        },
    ),
    "ignore_dockerfile": case("FROM busybox\nCOPY . /x/\n", {".dockerignore": "Dockerfile\n.dockerignore\n", "f": "1"}),
    "ignore_all_but": case(
        "FROM busybox\nCOPY . /x/\n",
        {".dockerignore": "*\n!app\napp/no\n!app/no/yes\n", "f": "1", "app/a": "2", "app/no/b": "3", "app/no/yes": "4"},
    ),
    "dockerfile_named": case(
        "FROM busybox\nCOPY . /x/\n",
        {
            "sub/Other": "FROM busybox\nCOPY . /other/\n",
            "sub/Other.dockerignore": "f\n",
            "f": "1",
            "g": "2",
            ".dockerignore": "g\n",
        },
        "-f",
        "sub/Other",
    ),
    # ADD
    "add_tar": case("FROM busybox\nADD t0.tar /x\nCOPY t0.tar /y/\n", {"t0.tar": {"tar": {"in/a": "1", "b": "2"}}}),
    "add_tar_gz": case(
        "FROM busybox\nADD t.tgz u.tar.bz2 v.tar.xz /x/\n",
        {
            "t.tgz": {"tar": {"a": "1"}, "z": "gz"},
            "u.tar.bz2": {"tar": {"b": "2"}, "z": "bz2"},
            "v.tar.xz": {"tar": {"c": "3"}, "z": "xz"},
        },
    ),
    "add_not_tar": case("FROM busybox\nADD fake.tar /x\nADD a.gz /y/\n", {"fake.tar": "not a tar", "a.gz": "zz"}),
    "add_gz_no_tar": case("FROM busybox\nADD a.gz /y/\n", {"a.gz": {"gzip": "just text\n"}}),
    "add_plain": case("FROM busybox\nADD a.txt app /x/\nADD --chown=app b.txt /z\n"),
    "add_tar_chown": case("FROM busybox\nADD --chown=7:8 t1.tar /x/\n", {"t1.tar": {"tar": {"in/a": "1", "b": "2"}}}),
    # RUN
    "run_exec": case('FROM busybox\nENV A=1\nRUN ["/bin/sh", "-c", "echo $A > /o"]\nRUN ["touch", "/a b", "$A"]\n'),
    "run_multi": case(
        "FROM busybox\nRUN echo 1 > /a && \\\n    # a comment\n    echo 2 > /b \\\n\n    && echo 3 > /c\n"
    ),
    "run_delete": case(
        "FROM busybox\nRUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b && echo 3 > /e\nRUN rm /d/a /e\nRUN rm -r /d && mkdir /d && echo n > /d/n\n"
    ),
    "run_nothing": case("FROM busybox\nRUN true\nRUN :\n"),
    "run_kinds": case(
        "FROM busybox\nRUN ln -s /etc/passwd /l && echo 1 > /h1 && ln /h1 /h2 && mkfifo /f && mkdir -m 1777 /t && chmod 4755 /h1\n"
    ),
    "run_chmod": case("FROM busybox\nCOPY a.txt /a\nRUN chmod 600 /a && chown 3:4 /a\n"),
    "run_quotes": case('FROM busybox\nRUN echo "a \'b\' \\"c\\" \\$HOME" > /o\n'),
    "run_network_none": case("FROM busybox\nRUN ls /sys/class/net > /o\n", None, "--network", "none"),
    # mounts, on places that are there: BuildKit 0.8 left behind those that it made
    "mount_bind": case(
        "FROM busybox\nWORKDIR /c\nRUN --mount=target=. cat /c/a.txt > /got && ls /c > /seen\nRUN --mount=source=app,target=/c,rw rm -r /c/* && echo x > /c/x && ls /c > /left\n"
    ),
    "mount_from": case(
        "FROM busybox AS one\nRUN mkdir /o && echo made > /o/f && ln -s o /l\nFROM busybox\nRUN --mount=from=one,src=l,dst=/home/app --mount=from=busybox,source=/etc/passwd,target=/etc/group cat /home/app/f /etc/group > /got\n"
    ),
    "mount_tmpfs": case(
        "FROM busybox\nRUN --mount=type=tmpfs,target=/tmp echo x > /tmp/x && stat -c %a /tmp > /mode\nRUN ls /tmp > /after\n"
    ),
    "mount_cache": case(
        "FROM busybox\nRUN --mount=type=cache,target=/tmp,id=mc echo x > /tmp/x; stat -c '%a %u' /tmp > /one\nRUN --mount=type=cache,target=/home,id=mc,sharing=locked ls /home > /two\nRUN --mount=type=cache,target=/home,id=mc,uid=5,gid=6,mode=0710 ls /home > /three && stat -c '%a %u %g' /home >> /three\n"
    ),
    "mount_secret": case(
        "FROM busybox\nRUN touch /tmp/s /tmp/t\nRUN --mount=type=secret,id=home,target=/tmp/s,mode=0444,uid=5 --mount=type=secret,id=none,target=/tmp/t test -s /tmp/s && stat -c '%a %u %g' /tmp/s /tmp/t > /got\nRUN stat -c %s /tmp/s > /after\n",
        None,
        "--secret",
        "id=home,env=PATH",
    ),
    # stages
    "stages": case(
        "FROM busybox AS build\nRUN echo built > /out && mkdir /dir && echo 1 > /dir/x\nFROM busybox AS unused\nRUN false\nFROM scratch\nCOPY --from=build /out /bin/\nCOPY --from=0 /dir /d/\n"
    ),
    "stage_target": case(
        "FROM busybox AS one\nRUN echo 1 > /1\nFROM one AS two\nRUN echo 2 > /2\nFROM two\nRUN false\n",
        None,
        "--target",
        "two",
    ),
    "stage_from_stage": case(
        'FROM busybox AS a\nENV X=1\nUSER app\nWORKDIR /w\nCMD ["c"]\nFROM a\nRUN echo $X > /tmp/o\n'
    ),
    "copy_from_image": case(
        "FROM scratch\nCOPY --from=busybox /etc/group /etc/passwd /e/\nCOPY --from=busybox /home /h\n"
    ),
    "copy_from_links": case(
        "FROM busybox AS b\nRUN mkdir /s && echo 1 > /s/f && ln -s f /s/l && ln /s/f /s/h && ln -s /s /sl && chown -R 5:6 /s && chmod 640 /s/f\nFROM scratch\nCOPY --from=b /s /d\nCOPY --from=b /sl /e\nCOPY --from=b /sl/l /g\n"
    ),
    "copy_from_wild": case(
        "FROM busybox AS b\nRUN mkdir /s && touch /s/1.a /s/2.a /s/3.b\nFROM scratch\nCOPY --from=b /s/*.a /d/\n"
    ),
    "copy_from_chown": case(
        "FROM busybox AS b\nRUN mkdir /s && touch /s/1 && chown 5:6 /s/1\nFROM busybox\nCOPY --from=b --chown=app:app /s /d\n"
    ),
    "stage_case": case("FROM busybox AS Build\nRUN echo 1 > /o\nFROM scratch\nCOPY --from=build /o /\n"),
    # the file itself
    "directives": case("# escape=`\nFROM busybox\nRUN echo 1 `\n  > /o\n"),
    "lower_case": case('from busybox\nrun echo 1 > /o\ncmd ["x"]\nexpose 1\nenv a b\n'),
    "workdir_trailing": case("FROM busybox\nWORKDIR /a/b/\nCOPY a.txt c/\n"),
    "env_home": case("FROM busybox\nENV HOME=/hh\nRUN echo $HOME > /o\n"),
    "label_multi": case('FROM busybox\nLABEL a=1 \\\n  b=2 \\\n  c="three 3"\n'),
    "copy_to_root": case("FROM busybox\nCOPY app /\n"),
    "copy_file_to_dir_noslash": case("FROM busybox\nRUN mkdir /dd\nCOPY a.txt /dd\n"),
    "copy_chown_dirs": case("FROM busybox\nCOPY --chown=app:app app /deep/er/app/\n"),
    "user_after": case("FROM busybox\nUSER 1000\nUSER root\nRUN id -u > /o\n"),
    "heredoc_like": case("FROM busybox\nRUN cat > /o <<X\\n\\ny\\nX\n"),
    "wild_dot": case("FROM busybox\nCOPY .* /x/\n", {".a": "1", ".b/c": "2", "d": "3"}),
    "wild_nested": case("FROM busybox\nCOPY */x.txt /x/\n", {"p/x.txt": "1", "q/x.txt": "2"}),
    "add_wild_tar": case(
        "FROM busybox\nADD *.tar /x/\n", {"wa.tar": {"tar": {"a": "1"}}, "wb.tar": {"tar": {"b": "2"}}}
    ),
    "copy_under_file_link": case("FROM busybox\nRUN echo 1 > /t && ln -s /t /l\nCOPY a.txt /l\n"),
    "copy_dir_link_over": case("FROM busybox\nRUN mkdir /real && mkdir /d && ln -s /real /d/lib\nCOPY app /d\n"),
    "copy_file_over_link": case("FROM busybox\nRUN echo 1 > /t && mkdir /d && ln -s /t /d/a.txt\nCOPY a.txt /d/\n"),
    "copy_link_over_file": case(
        "FROM busybox\nRUN mkdir /d && echo 1 > /d/l\nCOPY . /d/\n", {"f": "real\n", "l": {"link": "f"}}
    ),
    "copy_chmod_dir": case(
        "FROM busybox\nCOPY --chmod=700 app /2/\nCOPY --chmod=711 a.txt /new/x\nCOPY --chmod=600 . /3/\n",
        APP | {"l": {"link": "a.txt"}},
    ),
    "copy_dir_own_mode": case(
        "FROM busybox\nCOPY d /n\nCOPY d /o/\nRUN mkdir -m 711 /e\nCOPY d /e\n", {"d": {"dir": 0o700}, "d/x": "1"}
    ),
    "copy_several_dot": case("FROM busybox\nWORKDIR /w\nCOPY a.txt b.txt .\nCOPY *.txt ./\nCOPY a.txt b.txt sub/.\n"),
    "copy_several_existing": case("FROM busybox\nRUN mkdir /dd\nCOPY a.txt b.txt /dd\n"),
    "copy_wild_existing": case("FROM busybox\nRUN mkdir /dd\nCOPY *.txt /dd\n"),
    "copy_wild_link": case(
        "FROM busybox\nCOPY l* /d/\nCOPY m? /e/\n",
        {"f": "real\n", "l1": {"link": "f"}, "l2": "x", "dir/y": "1", "m1": {"link": "dir"}, "m2": "z"},
    ),
    "copy_chown_num": case(
        "FROM busybox\nCOPY --chown=1000 a.txt /1\nCOPY --chown=5:staff a.txt /2\nCOPY --chown=1000:nogroup app /e/\n"
    ),
    "copy_chown_existing": case(
        "FROM busybox\nRUN mkdir -p /d/lib\nCOPY --chown=7:8 app /d\nCOPY --chown=9:9 a.txt /d/lib/\n"
    ),
    "copy_chown_links": case(
        "FROM busybox\nCOPY --chown=7:8 --chmod=640 . /d/\n", {"f": "real\n", "l": {"link": "f"}, "g": {"hard": "f"}}
    ),
    "workdir_user_group": case(
        "FROM busybox\nUSER app:staff\nWORKDIR /a\nUSER 1000\nWORKDIR /b\nUSER 77\nWORKDIR /c\nUSER 5:6\nWORKDIR /d/e\n"
    ),
    "copy_dest_dangling": case(
        "FROM busybox\nRUN ln -s /missing/dir /l && ln -s missing2 /m\nCOPY a.txt /l/\nCOPY b.txt /m\n"
    ),
    "copy_hard_two": case(
        "FROM busybox\nCOPY f g /d/\nCOPY d /e/\nCOPY f /one\n",
        {"f": "real\n", "g": {"hard": "f"}, "d/1": "x", "d/2": {"hard": "d/1"}},
    ),
    "copy_dir_and_file": case("FROM busybox\nCOPY app a.txt /x/\nCOPY app/lib app /y/\n"),
    "copy_slash_file": case("FROM busybox\nCOPY a.txt/ /x\n"),
    "copy_wild_prefix_link": case("FROM busybox\nCOPY ld/*.t /x/\n", {"d/a.t": "1", "d/b.t": "2", "ld": {"link": "d"}}),
    "copy_wild_one_of_two": case("FROM busybox\nCOPY a.txt nope* /x/\n"),
    "copy_brackets": case(
        "FROM busybox\nCOPY arr[[]0].txt /x/\nCOPY [^a].txt /y/\n", {"arr[0].txt": "1", "a.txt": "2", "b.txt": "3"}
    ),
    "copy_fifo_less": case("FROM busybox\nCOPY app/main.py app/lib/util.py /x/y/\n"),
    "copy_from_dev": case(
        "FROM busybox AS b\nRUN mkdir /s && mkfifo /s/f && mkdir -m 1770 /s/d && chown 4:5 /s/d /s\nFROM scratch\nCOPY --from=b /s /d\n"
    ),
    "copy_from_root": case("FROM scratch AS b\nCOPY app /srv\nFROM scratch\nCOPY --from=b / /\n"),
    "copy_from_workdir": case(
        "FROM busybox AS b\nWORKDIR /src\nCOPY a.txt .\nFROM scratch\nCOPY --from=b src/a.txt /\n"
    ),
    "add_tar_over": case(
        "FROM busybox\nRUN mkdir -p /x/in/a /x/b && echo k > /x/b/k && ln -s /etc /x/l\nADD t.tar /x\n",
        {"t.tar": {"tar": {"in/a": "1", "b": "2"}}},
    ),
    "add_tar_link_parent": case(
        "FROM busybox\nRUN mkdir -p /real /x && ln -s /real /x/in\nADD t.tar /x\n", {"t.tar": {"tar": {"in/a": "1"}}}
    ),
    "add_tar_file_dest": case("FROM busybox\nADD t4.tar /x/y.tar\n", {"t4.tar": {"tar": {"a": "1"}}}),
    "add_tar_user": case("FROM busybox\nUSER app\nWORKDIR /w\nADD t5.tar .\n", {"t5.tar": {"tar": {"a": "1"}}}),
    "add_empty_tar": case("FROM busybox\nADD t6.tar /x/\n", {"t6.tar": {"tar": {}}}),
    "env_same_twice": case("FROM busybox\nENV A=1 A=2 B=$A\nENV PATH=/x:$PATH\n"),
    "label_base": case(
        "FROM busybox AS b\nLABEL a=1 b=2\nEXPOSE 1\nVOLUME /v\nFROM b\nLABEL b=3\nEXPOSE 2/udp\nVOLUME /w\n"
    ),
    "onbuild_chain": case(
        "FROM busybox AS b\nONBUILD LABEL x=1\nONBUILD WORKDIR /ob\nFROM b AS c\nFROM c\nRUN pwd > /o\n"
    ),
    "arg_empty": case('FROM busybox\nARG A=\nARG B="q x"\nRUN echo [$A$B] > /o\n'),
    "arg_env_expand": case(
        "FROM busybox\nARG A=1\nENV B=${A:-2}\nARG B=3\nLABEL c=$B\nRUN true\n", None, "--build-arg", "B=9"
    ),
    "shell_exec_vars": case('FROM busybox\nENV X=1\nCMD ["echo", "$X"]\nENTRYPOINT ["a", "${X}"]\n'),
    "shell_stage": case('FROM busybox AS a\nSHELL ["/bin/ash", "-c"]\nFROM a\nCMD hi\n'),
    "from_platform": case("FROM --platform=linux/amd64 busybox\nRUN true\n"),
    "user_var": case("FROM busybox\nENV U=app\nUSER $U\nWORKDIR /home/app\nRUN id -un > o\n"),
    "maint_base": case("FROM busybox AS a\nMAINTAINER X\nFROM a\nRUN true\n"),
    "run_onbuild_text": case('FROM busybox\nONBUILD   run   echo  hi\nONBUILD COPY ["a", "b"]\n'),
    "spaces": case(
        'FROM busybox\n  RUN   echo   a   b  >  /o\n\tENV   A  =  b\nLABEL  x=1   y=2\nEXPOSE   1   2\nCMD   [ "a",   "b" ]\n'
    ),
    "arg_from_stage": case("FROM busybox AS a\nARG A=1\nRUN true\nFROM a\nRUN echo [$A] > /o\nLABEL x=$A\n"),
    "arg_twice": case("FROM busybox\nARG A=1\nARG A=2\nARG B=x\nRUN echo $A$B > /o\n"),
    "arg_platform_os": case(
        "FROM busybox\nARG TARGETVARIANT\nARG BUILDARCH\nRUN echo [$TARGETVARIANT$BUILDARCH] > /o\n"
    ),
    "meta_only": case('FROM busybox\nCMD ["a"]\n'),
    "arg_none": case("FROM busybox\nARG A\nRUN echo [$A] > /o\n"),
    "umask": case("FROM busybox\nRUN umask > /o && touch /f && mkdir /d && umask 077 && touch /g\n"),
    "run_env": case("FROM busybox\nARG A=1\nRUN env | sort > /o\nUSER app\nRUN env | sort > /tmp/o\n"),
    "run_env_all": case(
        'FROM busybox\nENV Z=1\nRUN ["/bin/busybox", "env"]\nRUN cat /proc/self/status | grep -i -e cap -e seccomp -e nonew | wc -l > /o; ls -la /dev | wc -l\n'
    ),
}

BAD: dict[str, dict[str, Any]] = {
    "no_source": case("FROM busybox\nCOPY nope /x\n"),
    "no_source_2": case("FROM busybox\nCOPY a.txt nope /x/\n"),
    "no_wild": case("FROM busybox\nCOPY *.zip /x/\n"),
    "no_add": case("FROM busybox\nADD nope.tar /x\n"),
    "several_no_slash": case("FROM busybox\nCOPY a.txt b.txt /x\n"),
    "wild_no_slash": case("FROM busybox\nCOPY *.txt /x\n"),
    "escape_dotdot": case("FROM busybox\nCOPY ../x /x\n"),
    "escape_abs": case("FROM busybox\nCOPY /etc/passwd /x\n"),
    "escape_link": case("FROM busybox\nCOPY l /x\n", {"l": {"link": "/etc/hostname"}}),
    "escape_link_dir": case("FROM busybox\nCOPY l/hostname /x\n", {"l": {"link": "/etc"}}),
    "dangling": case("FROM busybox\nCOPY l /x\n", {"l": {"link": "nowhere"}}),
    "loop": case("FROM busybox\nCOPY l /x\n", {"l": {"link": "l"}}),
    "ignored": case("FROM busybox\nCOPY a.txt /x\n", APP | {".dockerignore": "a.txt\n"}),
    "ignored_dir": case("FROM busybox\nCOPY app /x\n", APP | {".dockerignore": "app\n"}),
    "dir_over_file": case("FROM busybox\nRUN echo 1 > /x\nCOPY app /x\n"),
    "dir_over_file_slash": case("FROM busybox\nRUN echo 1 > /x\nCOPY a.txt /x/\n"),
    "file_over_dir_inside": case("FROM busybox\nRUN mkdir -p /d/main.py\nCOPY app /d\n"),
    "dir_over_file_inside": case("FROM busybox\nRUN mkdir /d && echo > /d/lib\nCOPY app /d\n"),
    "below_file": case("FROM busybox\nCOPY a.txt /etc/passwd/x\n"),
    "chown_unknown": case("FROM busybox\nCOPY --chown=nosuch a.txt /x\n"),
    "chown_unknown_group": case("FROM busybox\nCOPY --chown=app:nosuch a.txt /x\n"),
    "chown_scratch": case("FROM scratch\nCOPY --chown=app a.txt /x\n"),
    "chmod_bad": case("FROM busybox\nCOPY --chmod=u+x a.txt /x\n"),
    "chmod_word": case("FROM busybox\nCOPY --chmod=abc a.txt /x\n"),
    "flag_unknown": case("FROM busybox\nCOPY --nope=1 a.txt /x\n"),
    "flag_run": case("FROM busybox\nRUN --nope true\n"),
    "flag_from": case("FROM --nope busybox\n"),
    "flag_env": case("FROM busybox\nENV --x A=1\n"),
    "from_unknown": case("FROM nosuchimage:1\n"),
    "from_bad_ref": case("FROM BUSYBOX!\n"),
    "from_upper": case("FROM Busybox\n"),
    "from_empty_arg": case("ARG V\nFROM $V\n"),
    "from_none": case("# nothing\n"),
    "empty": case(""),
    "no_from": case("RUN true\n"),
    "from_args": case("FROM busybox AS\n"),
    "from_args2": case("FROM busybox foo\n"),
    "from_args3": case("FROM\n"),
    "stage_name_bad": case("FROM busybox AS 1x\nRUN true\n"),
    "stage_dup": case("FROM busybox AS a\nFROM busybox AS a\nRUN true\n"),
    "copy_from_unknown": case("FROM busybox\nCOPY --from=nosuch /x /y\n"),
    "copy_from_later": case(
        "FROM busybox\nCOPY --from=1 /etc/passwd /y\nFROM busybox\nRUN true\n", None, "--target", "0"
    ),
    "copy_from_self": case("FROM busybox AS a\nCOPY --from=a /etc/passwd /y\n"),
    "copy_from_index": case("FROM busybox\nCOPY --from=7 /etc/passwd /y\n"),
    "copy_from_missing": case("FROM busybox AS a\nRUN true\nFROM busybox\nCOPY --from=a /nope /y\n"),
    "target_unknown": case("FROM busybox AS a\n", None, "--target", "nope"),
    "run_false": case("FROM busybox\nRUN echo before; exit 3\n"),
    "run_false_exec": case('FROM busybox\nRUN ["false"]\n'),
    "run_notfound": case("FROM busybox\nRUN nosuchcommand\n"),
    "run_notfound_exec": case('FROM busybox\nRUN ["/nosuch"]\n'),
    "run_notexec": case('FROM busybox\nCOPY a.txt /a\nRUN ["/a"]\n'),
    "mount_read_only": case("FROM busybox\nRUN --mount=target=/home echo x > /home/x\n"),
    "mount_missing": case("FROM busybox\nRUN --mount=source=nope,target=/c true\n"),
    "mount_out": case("FROM busybox\nRUN --mount=source=../../etc,target=/c true\n"),
    "mount_on_file": case("FROM busybox\nRUN --mount=target=/etc/passwd true\n"),
    "mount_root": case("FROM busybox\nRUN --mount=type=tmpfs,target=/ true\n"),
    "mount_type": case("FROM busybox\nRUN --mount=type=tmp,target=/x true\n"),
    "mount_key": case("FROM busybox\nRUN --mount=typ=tmpfs,target=/x true\n"),
    "mount_csv": case('FROM busybox\nRUN --mount=type=cache,target=/a\\"b true\n'),
    "mount_self": case("FROM busybox AS q\nRUN --mount=target=/x,from=q true\n"),
    "mount_secret_required": case("FROM busybox\nRUN --mount=type=secret,id=no,required true\n"),
    "mount_ssh_required": case("FROM busybox\nRUN --mount=type=ssh,required true\n"),
    "run_signal": case("FROM busybox\nRUN kill -9 $$\n"),
    "run_empty": case("FROM busybox\nRUN\n"),
    "run_scratch": case("FROM scratch\nRUN true\n"),
    "run_bad_user": case("FROM busybox\nUSER nosuch\nRUN true\n"),
    "run_workdir_file": case("FROM busybox\nWORKDIR /etc/passwd\nRUN true\n"),
    "unknown_instruction": case("FROM busybox\nFOO bar\n"),
    "typo_instruction": case("FROM busybox\nRUNN bar\n"),
    "env_one": case("FROM busybox\nENV A\n"),
    "env_mixed": case("FROM busybox\nENV A=1 B\n"),
    "env_empty_name": case("FROM busybox\nENV =x\n"),
    "env_none": case("FROM busybox\nENV\n"),
    "label_one": case("FROM busybox\nLABEL a\n"),
    "label_none": case("FROM busybox\nLABEL\n"),
    "copy_one": case("FROM busybox\nCOPY a.txt\n"),
    "copy_none": case("FROM busybox\nCOPY\n"),
    "add_one": case("FROM busybox\nADD a.txt\n"),
    "cmd_ok_bad_json": case("FROM busybox\nSHELL /bin/sh -c\n"),
    "shell_empty": case("FROM busybox\nSHELL []\n"),
    "expose_none": case("FROM busybox\nEXPOSE\n"),
    "expose_bad": case("FROM busybox\nEXPOSE abc\n"),
    "expose_range": case("FROM busybox\nEXPOSE 90000\n"),
    "expose_proto": case("FROM busybox\nEXPOSE 80/foo\n"),
    "volume_none": case("FROM busybox\nVOLUME\n"),
    "volume_empty": case('FROM busybox\nVOLUME [""]\n'),
    "user_none": case("FROM busybox\nUSER\n"),
    "user_two": case("FROM busybox\nUSER a b\n"),
    "workdir_none": case("FROM busybox\nWORKDIR\n"),
    "workdir_empty": case("FROM busybox\nWORKDIR $NOPE\n"),
    "stopsignal_bad": case("FROM busybox\nSTOPSIGNAL SIGNOPE\n"),
    "stopsignal_two": case("FROM busybox\nSTOPSIGNAL a b\n"),
    "health_type": case("FROM busybox\nHEALTHCHECK RUN true\n"),
    "health_none_args": case("FROM busybox\nHEALTHCHECK NONE x\n"),
    "health_empty": case("FROM busybox\nHEALTHCHECK CMD\n"),
    "health_dur": case("FROM busybox\nHEALTHCHECK --interval=5 CMD true\n"),
    "health_small": case("FROM busybox\nHEALTHCHECK --interval=1us CMD true\n"),
    "health_retries": case("FROM busybox\nHEALTHCHECK --retries=x CMD true\n"),
    "health_retries_neg": case("FROM busybox\nHEALTHCHECK --retries=-1 CMD true\n"),
    "onbuild_onbuild": case("FROM busybox\nONBUILD ONBUILD RUN true\n"),
    "onbuild_from": case("FROM busybox\nONBUILD FROM busybox\n"),
    "onbuild_maint": case("FROM busybox\nONBUILD MAINTAINER x\n"),
    "onbuild_none": case("FROM busybox\nONBUILD\n"),
    "onbuild_unknown": case("FROM busybox\nONBUILD FOO x\n"),
    "onbuild_trigger_fails": case("FROM busybox AS b\nONBUILD RUN false\nFROM b\nRUN true\n"),
    "maint_none": case("FROM busybox\nMAINTAINER\n"),
    "arg_no_args": case("FROM busybox\nARG\n"),
    "arg_bad": case("FROM busybox\nARG =x\n"),
    "var_bad": case("FROM busybox\nENV A=${x\n"),
    "var_mod": case("FROM busybox\nENV A=${x:!y}\n"),
    "var_required": case("FROM busybox\nENV A=${x:?must be set}\n"),
    "quote_open": case('FROM busybox\nENV A="x\n'),
    "wild_bad": case("FROM busybox\nCOPY [a /x/\n"),
    "escape_directive": case("# escape=x\nFROM busybox\n"),
    "no_dockerfile": case("FROM busybox\n", None, "-f", "nope"),
    "dockerfile_dir": case("FROM busybox\n", None, "-f", "app"),
    "dockerfile_ignored": case("FROM busybox\nCOPY Dockerfile /x\n", APP | {".dockerignore": "Dockerfile\n"}),
    "ignore_bad": case("FROM busybox\nCOPY . /x/\n", APP | {".dockerignore": "[a\n"}),
    "buildarg_bad": case("FROM busybox\n", None, "--label", "=x"),
    "platform_bad": case("FROM --platform=nope/what/ever/no busybox\nRUN true\n"),
    "tag_bad": case("FROM busybox\n", None, "-t", "UP:x"),
}
