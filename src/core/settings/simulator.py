"""Settings of the simulator."""

from pydantic import Field

from core.settings.base import Settings


class SimulatorSettings(Settings):
    """The simulator."""

    simulator_port: int = Field(8070, description="Port of the simulator")
