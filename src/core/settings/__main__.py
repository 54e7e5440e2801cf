"""Print `.env.example`, from the settings classes: `python -m core.settings > .env.example`."""

import sys

from core.settings.example import render

sys.stdout.write(render())
