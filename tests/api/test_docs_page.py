import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient
from tests.support.api_application import FixedFollower, application

from core.detector.champion import Champion
from core.settings import ApiSettings

ROUTES = {
    ("post", "/predict"),
    ("post", "/predict/batch"),
    ("post", "/predict/counterfactuals"),
    ("post", "/predict/raw"),
    ("get", "/anomalies/recent"),
    ("post", "/marks"),
    ("get", "/marks"),
    ("get", "/marks/precision"),
    ("post", "/mutes"),
    ("get", "/mutes"),
    ("delete", "/mutes/{id}"),
    ("get", "/watch-list"),
    ("post", "/watch-list"),
    ("post", "/watch-list/import"),
    ("delete", "/watch-list/{entry}"),
    ("get", "/watch-list/history"),
    ("get", "/watch-list/seen"),
    ("get", "/watch-list.csv"),
    ("get", "/anomalies"),
    ("get", "/anomalies/stream"),
    ("get", "/transactions"),
    ("get", "/transactions/{hash}"),
    ("get", "/addresses/{address}"),
    ("get", "/model"),
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/metrics"),
    ("get", "/report"),
    ("get", "/cases"),
    ("get", "/cases/{number}"),
    ("post", "/cases/{number}/events"),
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    content: dict[str, Any] = client.get("/openapi.json").json()
    return content


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES
    for _, _, operation in operations(document):
        assert operation["summary"] and operation["description"] and operation["tags"]


def test_every_error_answer_is_a_problem(document: dict[str, Any]) -> None:
    for method, _, operation in operations(document):
        errors = {s: r for s, r in operation["responses"].items() if s not in ("200", "201")}
        assert "500" in errors
        if method == "post":
            assert {"400", "413", "415", "422", "503"} <= set(errors)
        for response in errors.values():
            (schema,) = (each["schema"] for each in response["content"].values())
            assert set(response["content"]) == {"application/problem+json"}
            assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_field_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field} has no description"


@pytest.mark.parametrize(
    ("field", "unit"),
    [("size", "bytes"), ("weight", "weight units"), ("fee", "satoshi"), ("input_value", "satoshi")],
)
def test_units_are_documented(document: dict[str, Any], field: str, unit: str) -> None:
    properties = document["components"]["schemas"]["SubmittedTransaction"]["properties"]
    assert unit in properties[field]["description"]


def test_the_documented_example_works(client: TestClient, document: dict[str, Any]) -> None:
    (example,) = document["components"]["schemas"]["SubmittedTransaction"]["examples"]
    assert client.post("/predict", json=example).status_code == 200


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    files = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(files) == 3
    for file in files:
        assert client.get(urljoin("/docs", file)).status_code == 200
    assert "'unsafe-eval'" not in page.headers["content-security-policy"]


@pytest.fixture
def published(champion: Champion) -> TestClient:
    settings = ApiSettings(
        _env_file=None, api_root_path="/risk/api", api_key=SecretStr("0123456789abcdef")
    )
    return TestClient(application(FixedFollower(champion), settings))


@pytest.mark.parametrize("prefix", ["", "/risk/api"], ids=["stripped", "passed on"])
def test_below_a_proxys_path_the_page_and_the_probes_are_right_and_open(
    published: TestClient, prefix: str
) -> None:
    for path in ("/health", "/ready", "/metrics"):
        assert published.get(prefix + path).status_code == 200
    page = published.get(f"{prefix}/docs")
    files = re.findall(r"""(?:src=|href=|url: )["']([^"']*)["']""", page.text)
    assert len(files) == 4
    for file in files:
        assert published.get(urljoin(f"{prefix}/docs", file)).status_code == 200, file
    document = published.get(f"{prefix}/openapi.json").json()
    assert document["servers"] == [{"url": "/risk/api"}]
    assert published.get(f"{prefix}/model").status_code == 401
    assert published.get("/risk/apihealth").status_code == 401


def test_a_root_path_that_is_none_is_no_setting() -> None:
    for path in ("api", "/api/", "/", "http://host/api"):
        with pytest.raises(ValidationError, match="api_root_path"):
            ApiSettings(_env_file=None, api_root_path=path)
