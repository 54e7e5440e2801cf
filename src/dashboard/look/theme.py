"""The two themes: every colour and the font, as CSS for the page and as layout for the figures.

Blue against orange with a step in lightness reads the same with any colour vision (Okabe and Ito,
"Color Universal Design", 2008). Text has a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
"""

from typing import Any, Literal

Theme = Literal["dark", "light"]

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'

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
        "anomaly": "#b04708",
        "anomaly-soft": "#fdebdc",
        "good": "#0c7a68",
        "bad": "#b42323",
        "score-low": "#b9c9e4",
        "score-mid": "#5b83cc",
        "score-high": "#b04708",
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


def axis(theme: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """One axis of a figure, as Plotly's JSON: a quiet grid and a muted title."""
    colours = PALETTES[theme]
    return {
        "title": {"text": title, "font": {"size": 11, "color": colours["muted"]}, "standoff": 6},
        "gridcolor": colours["line"],
        "linecolor": colours["line"],
        "zeroline": False,
        "tickfont": {"size": 11, "color": colours["muted"]},
        "automargin": True,
        **more,
    }


def layout(theme: Theme, revision: str, **more: Any) -> dict[str, Any]:
    """The layout of a figure; a reader's zoom stays while `revision` is the same."""
    colours = PALETTES[theme]
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": colours["text"]},
        "margin": {"l": 8, "r": 8, "t": 6, "b": 4},
        "hoverlabel": {
            "bgcolor": colours["raised"],
            "bordercolor": colours["line"],
            "font": {"color": colours["text"], "family": FONT},
        },
        "legend": {
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 11, "color": colours["muted"]},
        },
        "uirevision": revision,
        "separators": ".,",
        **more,
    }
