"""API keys: made and shown once, listed, revoked."""

from http import HTTPStatus

import orjson
from flask import Response

from backend.domain import Json, Replay, Role
from backend.http.auth import caller_secret, requires
from backend.http.body import Blueprint
from backend.http.context import services
from backend.http.headers import claim
from backend.http.json import json_bytes, json_response
from backend.http.openapi import IDEMPOTENCY_KEY
from backend.http.pages import PageQuerySchema, page
from backend.http.schemas.keys import KeyPageSchema, KeyRequestSchema, KeySchema, NewKeySchema
from backend.service.manage_keys import NewKey, derive_secret

blueprint = Blueprint("keys", __name__, url_prefix="/api/v1/keys", description="Who may call.")


@blueprint.post("")
@blueprint.doc(parameters=[IDEMPOTENCY_KEY])
@requires(Role.ADMIN)
@blueprint.body(KeyRequestSchema())
@blueprint.response(HTTPStatus.CREATED, NewKeySchema)
def create_key(body: Json) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    secret = caller_secret()
    try:
        made = services().manage_keys.create(
            body["name"], body["role"], secret, claim(_render_without_secret)
        )
    except Replay as replay:
        kept = orjson.loads(replay.body)
        kept["key"] = derive_secret(secret, kept.pop("salt"))
        raise Replay(replay.status, json_bytes(kept)) from None
    return json_response({**KeySchema().dump(made.key), "key": made.secret}, HTTPStatus.CREATED)


@blueprint.get("")
@requires(Role.ADMIN)
@blueprint.arguments(PageQuerySchema(), location="query")
@blueprint.response(HTTPStatus.OK, KeyPageSchema)
def list_keys(query: Json) -> Json:
    """List valid keys, without their secrets."""
    found = services().manage_keys.page(cursor=query["cursor"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda key: key.key_id)


@blueprint.delete("/<key:key_id>")
@requires(Role.ADMIN)
@blueprint.response(HTTPStatus.NO_CONTENT)
def revoke_key(key_id: str) -> None:
    """Revoke a key; once this is answered it is accepted nowhere."""
    services().manage_keys.revoke(key_id)


def _render_without_secret(made: NewKey) -> tuple[int, bytes]:
    """What is kept for a replay: the salt that makes the secret again, for the same caller only."""
    return HTTPStatus.CREATED, json_bytes({**KeySchema().dump(made.key), "salt": made.salt})
