"""One small settings class per concern, with the defaults of one machine."""

from core.settings.api import ApiSettings
from core.settings.base import ROOT, Settings
from core.settings.dashboard import DashboardSettings
from core.settings.data import DataSettings
from core.settings.logs import LogSettings
from core.settings.network import BindSettings, KafkaSettings, MlflowSettings
from core.settings.operations import PrometheusSettings
from core.settings.producer import ProducerSettings, SourceSettings
from core.settings.simulator import SimulatorSettings
from core.settings.stream import StreamSettings
from core.settings.trainer import TrainerSettings

__all__ = [
    "ROOT",
    "ApiSettings",
    "BindSettings",
    "DashboardSettings",
    "DataSettings",
    "KafkaSettings",
    "LogSettings",
    "MlflowSettings",
    "ProducerSettings",
    "PrometheusSettings",
    "Settings",
    "SimulatorSettings",
    "SourceSettings",
    "StreamSettings",
    "TrainerSettings",
]
