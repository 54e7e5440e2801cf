"""The catalogue: every metric of every service, one class a service, the registry injected.

Names follow Prometheus practice: base units, `_total` for counters, bounded labels (never a hash
or an address). Dashboards and alert rules are checked against it by a test.
"""

from monitoring.api_metrics import ApiMetrics
from monitoring.common import new_registry, serve
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.producer_metrics import ProducerMetrics
from monitoring.simulator_metrics import SimulatorMetrics
from monitoring.stream_metrics import StreamMetrics
from monitoring.trainer_metrics import TrainerMetrics

__all__ = [
    "ApiMetrics",
    "DashboardMetrics",
    "ProducerMetrics",
    "SimulatorMetrics",
    "StreamMetrics",
    "TrainerMetrics",
    "new_registry",
    "serve",
]
