"""What a run shows besides its own numbers: baselines, plots, real transactions.

Nothing here decides anything: the report is attached after the gate.
"""

import logging

from core.registry.rest import RegistryUnavailableError
from model.challenger import Challenger
from model.mlflow_runs import Run
from model.real_transactions import verdicts
from model.report.baselines import evaluate_baselines

log = logging.getLogger(__name__)


def attach_report(run: Run, challenger: Challenger, at: float) -> bool:
    """Attach the report to a run, at a Unix time; False, and a log line, where that fails.

    Whatever fails, the training counts: its version may be in service already.
    """
    try:
        # Not at the top: matplotlib takes a second to import.
        from model.report.plots import plot_recall, plot_scores

        metrics = {
            f"baseline_{name}_{metric}": value
            for name, evaluation in evaluate_baselines(challenger.data).items()
            for metric, value in evaluation.metrics().items()
        }
        run.log_metrics(metrics, at)
        run.log_file("scores.png", lambda path: plot_scores(path, challenger))
        run.log_file("recall.png", lambda path: plot_recall(path, challenger))
        model = challenger.model
        run.log_json("real_transactions.json", verdicts(model.scores, model.threshold))
    except RegistryUnavailableError as error:
        log.warning("event=report_not_attached run=%s reason=%s", run.run_id, error)
        return False
    except Exception:
        log.exception("event=report_not_attached run=%s", run.run_id)
        return False
    return True
