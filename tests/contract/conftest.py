"""Asserts outside test modules tell as much as those inside."""

import pytest

pytest.register_assert_rewrite("tests.contract.rig")
