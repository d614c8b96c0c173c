"""Made exports of six survey tools: every column has the role that it was made with (the benchmark runs 60 of them)."""

import pytest

from tests.made_exports import VENDORS, check_export, make_export


@pytest.mark.parametrize("vendor", VENDORS)
def test_columns_of_an_export_have_their_roles(vendor: str) -> None:
    for seed in (1, 2):
        found = check_export(make_export(vendor, seed))
        assert [(c.name, c.role) for c, role, _ in found if role != c.role] == []
        assert [c.name for c, _, in_order in found if not in_order] == []
