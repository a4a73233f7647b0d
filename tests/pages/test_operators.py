"""The page of supported operators is what the registry says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_up_to_date():
    script = ROOT / "scripts" / "pages" / "operators.py"
    page = runpy.run_path(str(script))["page"]()
    written = (ROOT / "docs" / "operators.md").read_text()
    assert page == written, "write it again: python scripts/pages/operators.py"
