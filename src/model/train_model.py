"""The trainer: keeps a good champion in MLflow, or does one job and exits.

python train_model.py [--once | --dry-run | --from-run ID | --recalibrate | --prune |
                       --rollback VERSION]
"""

import argparse
import signal
import sys
from types import FrameType

from core.lake import OriginMismatchError
from core.logs import configure
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import ModelRefusedError
from core.settings import BindSettings, DataSettings, MlflowSettings, TrainerSettings
from model.service import Service
from model.training_process import TrainerConfig
from monitoring.prometheus_metrics import new_registry, serve
from monitoring.trainer_metrics import TrainerMetrics


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the champion, now or at intervals.")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--once", action="store_true", help="train once")
    one.add_argument("--dry-run", action="store_true", help="train and evaluate, write nothing")
    one.add_argument("--recalibrate", action="store_true", help="set a new threshold")
    one.add_argument("--from-run", metavar="ID", help="repeat a run and compare its scores")
    one.add_argument("--rollback", metavar="VERSION", help="give the alias to this version")
    one.add_argument("--prune", action="store_true", help="remove old versions from MLflow")
    return parser.parse_args()


def main() -> None:
    """Wire the trainer and start it; exits with 0 on SIGTERM."""
    chosen = {name: value for name, value in vars(_arguments()).items() if value}
    configure("trainer")
    signal.signal(signal.SIGTERM, _stop)
    data, registry = DataSettings(), new_registry("trainer")
    config = TrainerConfig(
        data.lake, data.data_origin, MlflowSettings().tracking_uri, data.casework
    )
    service = Service(config, TrainerSettings(), TrainerMetrics(registry))
    try:
        if chosen:
            # Not at import: it brings MLflow and scikit-learn, which only a training needs.
            from model.commands import COMMANDS

            ((name, value),) = chosen.items()
            sys.exit(COMMANDS[name](service, str(value)))
        serve(registry, BindSettings().bind_address, TrainerSettings().trainer_metrics_port)
        service.run()
    except (ModelRefusedError, OriginMismatchError, RegistryUnavailableError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
