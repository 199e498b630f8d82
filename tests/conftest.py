"""What all the tests share: hypothesis without deadlines on a busy machine, a clean root, and a validator of stores."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("minidocker", deadline=None, max_examples=100)
hypothesis.settings.load_profile("minidocker")
