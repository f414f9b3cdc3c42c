"""Installations with real processes, and workers with a scheduler that is a test."""

from tests.acceptance.conftest import home, house, new_house, url
from tests.runtime.conftest import new_house as new_worker_house

__all__ = ["home", "house", "new_house", "new_worker_house", "url"]
