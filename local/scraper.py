"""Prometheus on this machine, with the same jobs and rules as in Docker.

    python -m local.scraper

`prometheus.yml` names the services as Docker does (`api:5000`); here they are ports of localhost.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from core.settings import ROOT, DataSettings, PrometheusSettings
from local.ports import targets

RETENTION = "15d"


def local_config(config: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    """The configuration with every target on localhost; jobs without a port here are left out.

    Rule files become absolute, because the result is written elsewhere.
    """
    jobs = []
    for job in config["scrape_configs"]:
        if job["job_name"] in ports:
            target = f"localhost:{ports[job['job_name']]}"
            how = {key: value for key, value in job.items() if not key.endswith("_sd_configs")}
            jobs.append(how | {"static_configs": [{"targets": [target]}]})
    rules = [str(ROOT / path) for path in config.get("rule_files", [])]
    return {**config, "scrape_configs": jobs, "rule_files": rules}


def main() -> None:
    """Write the configuration into the data folder, then become Prometheus."""
    data = DataSettings()
    folder = data.data_dir / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    path: Path = folder / "prometheus.yml"
    here = targets()
    if data.data_origin == "live":
        del here["simulator"]
    path.write_text(yaml.safe_dump(local_config(config, here)))
    os.execvp(
        "prometheus",
        [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address=127.0.0.1:{PrometheusSettings().prometheus_port}",
        ],
    )


if __name__ == "__main__":
    main()
