"""What tests with programs of Debian's share."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser, whose pages come one after another."""
    with chromium() as made:
        yield made
