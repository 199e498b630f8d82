"""Nothing here is a test: `make bench` runs it, and no speed is ever asserted."""

collect_ignore_glob = ["*.py"]
