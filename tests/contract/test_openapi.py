"""The OpenAPI document is valid, names everything, and says what the service does."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import count
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from tests.conftest import ADMIN_KEY, Api

DOCUMENT = "/api/v1/openapi.json"
EXAMPLES = 25
EXPERIMENT = "/api/v1/experiments/{experiment_key}"
OPERATIONS = {
    ("post", "/api/v1/experiments"),
    ("get", "/api/v1/experiments"),
    ("get", EXPERIMENT),
    ("patch", EXPERIMENT),
    ("post", f"{EXPERIMENT}/start"),
    ("post", f"{EXPERIMENT}/pause"),
    ("post", f"{EXPERIMENT}/stop"),
    ("post", f"{EXPERIMENT}/arms"),
    ("patch", f"{EXPERIMENT}/arms/{{arm_key}}"),
    ("get", f"{EXPERIMENT}/audit"),
    ("post", f"{EXPERIMENT}/decisions"),
    ("post", "/api/v1/decisions:batch"),
    ("get", "/api/v1/decisions/{decision_id}"),
    ("get", "/api/v1/decisions/{decision_id}/explain"),
    ("post", "/api/v1/rewards"),
    ("delete", "/api/v1/rewards/{decision_id}"),
    ("get", f"{EXPERIMENT}/results"),
    ("get", f"{EXPERIMENT}/timeseries"),
    ("get", f"{EXPERIMENT}/propensities"),
    ("get", f"{EXPERIMENT}/decisions.ndjson"),
    ("post", f"{EXPERIMENT}/evaluations"),
    ("post", "/api/v1/simulations"),
    ("post", "/api/v1/keys"),
    ("get", "/api/v1/keys"),
    ("delete", "/api/v1/keys/{key_id}"),
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
experiment_keys = (f"known-{n}" for n in count())
Known = dict[str, Any]


@pytest.fixture(scope="module")
def document(admin: Api) -> dict[str, Any]:
    """The generated document, got without a key."""
    answer = Api(admin.client, None).get(DOCUMENT)
    assert answer.status_code == 200
    return answer.json


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation by method and path."""
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    """By the schema that the OpenAPI Initiative publishes for 3.1."""
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No ``$ref`` to a component that is missing."""

    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return found.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    for reference in references(document):
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_every_operation_of_the_contract_is_there_and_no_other(operations: Any) -> None:
    """An operation that is added belongs into this list and into the contract."""
    assert operations.keys() == OPERATIONS


def test_the_document_knows_every_route_of_the_api(module_app: Flask, operations: Any) -> None:
    """Apart from itself."""
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in module_app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.rule != DOCUMENT
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == operations.keys()


def test_every_operation_needs_a_key(document: dict[str, Any], operations: Any) -> None:
    """A bearer key, for all of them; errors that follow from it are documented too."""
    schemes = document["components"]["securitySchemes"]
    for name, operation in operations.items():
        (requirement,) = operation.get("security", document["security"])
        (scheme,) = requirement
        assert schemes[scheme] == {"type": "http", "scheme": "bearer"}, name
        assert "default" in operation["responses"], name


def test_what_the_document_says_about_keys_is_true(admin: Api, operations: Any) -> None:
    """Without a key every operation answers 401."""
    nobody = Api(admin.client, None)
    decision_id = "01900000-0000-7000-8000-000000000000"
    for method, path in operations:
        url = path.format(
            experiment_key="none", arm_key="none", decision_id=decision_id, key_id="key_none"
        )
        assert nobody(method.upper(), url).status_code == 401, (method, path)


def test_errors_are_documented_as_problems(document: dict[str, Any], operations: Any) -> None:
    """Every error answer has the media type and members of RFC 9457."""
    responses = document["components"]["responses"]
    for name, operation in operations.items():
        for status, response in operation["responses"].items():
            if status == "default" or int(status) >= 400:
                found = responses[response["$ref"].rsplit("/", 1)[1]]
                schema = found["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, name
    members = document["components"]["schemas"]["Problem"]["properties"]
    assert members.keys() == {"type", "title", "status", "detail", "request_id", "errors"}


def test_every_operation_says_what_it_does(operations: Any) -> None:
    """A summary each, and a success answer with a schema unless it has no body or is no JSON."""
    for (method, path), operation in operations.items():
        assert operation["summary"], (method, path)
        (success,) = (r for s, r in operation["responses"].items() if s.startswith("2"))
        if method != "delete" and not path.endswith(".ndjson"):
            assert success["content"]["application/json"]["schema"], (method, path)


class Sources(HTMLParser):
    """Where a page loads scripts, styles, images and frames from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_docs_page_needs_nothing_from_elsewhere(admin: Api) -> None:
    """Everything that it loads is here, and it shows our document."""
    nobody = Api(admin.client, None)
    page = nobody.get("/api/docs/")
    assert page.status_code == 200
    assert DOCUMENT in page.text
    sources = Sources()
    sources.feed(page.text)
    assert any(source.endswith(".js") for source in sources.found)
    for source in sources.found:
        assert not re.match(r"(?:[a-z]+:)?//", source), source
        path = source if source.startswith("/") else f"/api/docs/{source.removeprefix('./')}"
        with nobody.client.get(path) as answer:
            assert answer.status_code == 200, path
            if path.endswith(".css"):
                assert not re.search(rb"(?:@import|url\()\s*['\"]?https?:", answer.data), path
    assert nobody.get("/api/docs").status_code in (200, 301, 302, 307, 308)


@pytest.fixture(scope="module")
def described(module_app: Flask) -> Any:
    """The document as schemathesis reads it."""
    return schemathesis.openapi.from_wsgi(DOCUMENT, module_app)


@pytest.fixture
def known(admin: Api) -> Known:
    """A running experiment with a rewarded decision, and a key, for paths to name."""
    key = next(experiment_keys)
    admin.running(key)
    decision_id = admin.decide(key)["decision_id"]
    admin.reward(decision_id, 1)
    made = admin.post("/keys", {"name": "known", "role": "reader"})
    return {
        "experiment_key": key,
        "arm_key": "b",
        "decision_id": decision_id,
        "key_id": made.json["key_id"],
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "is_known"),
    [
        pytest.param(*operation, is_known, id=f"{' '.join(operation)} {'known' * is_known}")
        for operation in sorted(OPERATIONS)
        for is_known in (False, True)
        if not is_known or "{" in operation[1]
    ],
)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_service_does_what_the_document_says(
    described: Any, known: Known, method: str, path: str, is_known: bool, mode: GenerationMode
) -> None:
    """Requests made up from the document, valid and not, for things that are there and for such as are not.

    No answer is a 5xx, and its status, media type and body are among those documented for the operation.
    """
    names = re.findall(r"{(\w+)}", path)
    fixed = {name: known[name] for name in names} if is_known else None
    cases = described[path][method.upper()].as_strategy(mode, path_parameters=fixed)

    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {ADMIN_KEY}"}, checks=CHECKS)

    check()
