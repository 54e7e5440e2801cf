"""What a run shows besides its numbers: the baselines beside it, curves, accidents of history."""

import logging

from core.registry import RegistryUnavailableError
from model.challenger import Challenger
from model.run import Run

log = logging.getLogger(__name__)


def attach_report(run: Run, challenger: Challenger) -> None:
    """Attach everything that decides nothing; without it the training still counts."""
    try:
        run.document("evaluation.json", challenger.metrics())
    except RegistryUnavailableError as error:
        log.warning("report not attached run=%s reason=%s", run.run_id, error)
