"""What tests share; asserts in here say as much as those of tests.

Of this package's own file pytest need not rewrite the asserts: PYTEST_DONT_REWRITE.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{found.name}" for found in pkgutil.iter_modules(__path__)))
