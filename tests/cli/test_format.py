"""Sizes, times and tables, against the words of docker 28.2.2."""

from __future__ import annotations

import time

import pytest

from minidocker.cli.flags import Exit
from minidocker.cli.format import (
    Listing,
    ago,
    columns,
    ellipsis,
    filters_of,
    human_size,
    local_time,
    rfc3339,
    seconds_of,
)
from minidocker.times import human

THINGS = Listing(
    "*formatter.ThingContext",
    "{{.ID}}\t{{.Names}}",
    {"ID": "THING ID", "Names": "NAMES", "Labels": "LABELS", "Size": "SIZE"},
)
ROWS = [
    {"ID": "1266481e7871", "Names": "web", "Labels": "k=<v>", "Size": lambda: "0B", "Label": lambda key: f"the {key}"},
    {"ID": "2", "Names": "a-longer-name", "Labels": "", "Size": "1B", "Label": lambda _: ""},
]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (999, "999B"), (1000, "1kB"), (1984154, "1.984MB"), (123456789, "123.5MB"), (10**12, "1TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_listings_show_three_digits() -> None:
    assert [human_size(size, 3) for size in (1984154, 204_000_000, 1_234_567_890)] == ["1.98MB", "204MB", "1.23GB"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3600 - 1, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47.4 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human(seconds) == text


def test_times() -> None:
    assert seconds_of("2026-11-23T06:40:31.325670095Z") == pytest.approx(1795416031.32567)
    assert ago(time.time() - 61) == "About a minute ago"
    assert (ago("0001-01-01T00:00:00Z"), ago(0)) == ("N/A", "N/A")


def test_times_are_shown_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its time zone")
    for zone, go, internet in (
        ("UTC", "2026-11-23 06:40:31 +0000 UTC", "2026-11-23T06:40:31Z"),
        ("CET-1", "2026-11-23 07:40:31 +0100 CET", "2026-11-23T07:40:31+01:00"),
    ):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert (local_time("2026-11-23T06:40:31Z"), rfc3339("2026-11-23T06:40:31Z")) == (go, internet)
    monkeypatch.undo()
    time.tzset()


def test_the_default_table() -> None:
    assert THINGS.text(ROWS) == "THING ID       NAMES\n1266481e7871   web\n2              a-longer-name"


def test_an_empty_table_has_its_header() -> None:
    assert THINGS.text([]) == "THING ID   NAMES"
    assert THINGS.text([], "{{.ID}}") == ""


def test_columns_are_at_least_ten_wide() -> None:
    assert columns(["A\tB", "x\ty"]) == "A         B\nx         y"


@pytest.mark.parametrize(
    ("format", "says"),
    [
        ("table {{.Names}}\\t{{.ID}}", "NAMES           THING ID\nweb             1266481e7871\na-longer-name   2"),
        ("{{.Names}}\\t{{.Size}}", "web\t0B\na-longer-name\t1B"),
        ("  {{.Names}} ", "web\na-longer-name"),
        ("table {{upper .Names}}", "NAMES\nWEB\nA-LONGER-NAME"),
        ('table {{.Label "x"}}\\t{{json .ID}}', 'x         THING ID\nthe x     "1266481e7871"\n          "2"'),
        (
            "json",
            '{"ID":"1266481e7871","Labels":"k=\\u003cv\\u003e","Names":"web"}\n'
            '{"ID":"2","Labels":"","Names":"a-longer-name","Size":"1B"}',
        ),
        ("{{json .Names}}", '"web"\n"a-longer-name"'),
    ],
)
def test_formats(format: str, says: str) -> None:
    assert THINGS.text(ROWS, format) == says


def test_quiet_shows_ids() -> None:
    assert THINGS.text(ROWS, quiet=True) == "1266481e7871\n2"
    assert THINGS.text(ROWS, "{{.Names}}", quiet=True) == "web\na-longer-name"


@pytest.mark.parametrize(
    ("format", "says"),
    [
        (
            "{{.Foo}}",
            'failed to execute template: template: :1:2: executing "" at <.Foo>: '
            "can't evaluate field Foo in type *formatter.ThingContext",
        ),
        ("{{.Foo", "failed to parse template: template: :1: unclosed action"),
        ("{{foo}}", 'failed to parse template: template: :1: function "foo" not defined'),
    ],
)
def test_a_bad_format_is_refused(format: str, says: str) -> None:
    with pytest.raises(Exit) as caught:
        THINGS.text(ROWS, format)
    assert (caught.value.code, caught.value.text) == (1, says)


def test_ellipsis() -> None:
    assert ellipsis("exactly-twenty-chars", 20) == "exactly-twenty-chars"
    assert ellipsis("exactly-twenty-chars!", 20) == "exactly-twenty-char…"


def test_filters_collect_their_values() -> None:
    assert filters_of(["label=a=b", "Label=c", "status=exited"]) == {"label": ["a=b", "c"], "status": ["exited"]}
