"""The two themes: one home of every colour, for the style sheet and the figures alike.

Blue against orange with a step in lightness reads the same with any colour vision (Okabe and Ito,
"Color Universal Design", 2008); text keeps a contrast of 4.5 and more (WCAG 2.2, 1.4.3).
"""

from typing import Literal

Theme = Literal["dark", "light"]

PALETTES: dict[Theme, dict[str, str]] = {
    "dark": {
        "ground": "#0e131d",
        "panel": "#161d2b",
        "raised": "#1e2738",
        "line": "#2a3548",
        "text": "#e8ecf4",
        "muted": "#9aa7bd",
        "accent": "#6ea8fe",
        "accent-soft": "#24395f",
        "bar": "#4a6fa8",
        "anomaly": "#ffa24d",
        "anomaly-soft": "#46321d",
        "good": "#4cc9b0",
        "bad": "#ff8f8f",
        "score-low": "#3c557f",
        "score-mid": "#8fb4f2",
        "score-high": "#ffa24d",
    },
    "light": {
        "ground": "#f3f5f9",
        "panel": "#ffffff",
        "raised": "#f1f4f9",
        "line": "#dbe2ec",
        "text": "#172033",
        "muted": "#566379",
        "accent": "#2459d3",
        "accent-soft": "#dfe8fb",
        "bar": "#7d9fd6",
        "anomaly": "#c2500a",
        "anomaly-soft": "#fdebdc",
        "good": "#0c7a68",
        "bad": "#b42323",
        "score-low": "#b9c9e4",
        "score-mid": "#5b83cc",
        "score-high": "#c2500a",
    },
}


def style_sheet() -> str:
    """The colours as CSS variables, by the `data-theme` of the page."""
    blocks = (
        f':root[data-theme="{theme}"]{{color-scheme:{theme};'
        + "".join(f"--{name}:{colour};" for name, colour in colours.items())
        + "}"
        for theme, colours in PALETTES.items()
    )
    return "".join(blocks)
