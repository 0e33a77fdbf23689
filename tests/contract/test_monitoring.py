"""The dashboard and the alerts ask for metrics that exist."""

import json
import re
from pathlib import Path

from gateway.observability.metrics import Metrics
from gateway.sessions.connection import ConnectionState

MONITORING = Path(__file__).parents[2] / "gateway" / "observability" / "monitoring"
WORD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
VALUE = re.compile(r'"[^"]*"')  # of a label
NOT_METRICS = {"histogram_quantile", "error_class", "instance_id"}


def declared() -> set[str]:
    metrics = Metrics()
    metrics.watch_pool("database", dict)
    metrics.watch_pool("library_pool", dict)
    return {
        name
        for family in metrics.registry.collect()
        for end in ("", "_total", "_bucket")
        for name in (family.name + end,)
    }


def test_metric_in_the_dashboard_or_an_alert_is_declared() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = (MONITORING / "alerts.yaml").read_text()
    asked += re.findall(r"expr: (.+)", alerts)

    named = {word for expression in asked for word in WORD.findall(VALUE.sub("", expression))}
    wanted = named - NOT_METRICS

    assert len(wanted) > 10
    assert wanted <= declared()


def test_state_in_an_alert_exists() -> None:
    alerts = (MONITORING / "alerts.yaml").read_text()
    (listed,) = re.findall(r'state=~"([\w|]+)"', alerts)
    named = set(listed.split("|"))

    assert named <= {state.value for state in ConnectionState}
