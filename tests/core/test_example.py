"""`.env.example` says what the settings say."""

import re

from core.settings import ROOT, classes, render


def test_the_file_is_what_the_classes_say() -> None:
    assert (ROOT / ".env.example").read_text() == render(), (
        "run: python -m core.settings > .env.example"
    )


def test_every_setting_stands_once_with_its_meaning() -> None:
    names = re.findall(r"^#([A-Z0-9_]+)=", render(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == {name.upper() for c in classes() for name in c.model_fields}
    undescribed = [n for c in classes() for n, f in c.model_fields.items() if not f.description]
    assert not undescribed
