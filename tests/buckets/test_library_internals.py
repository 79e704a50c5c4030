"""What product code uses of libraries beyond their documented names: an upgrade that changes it fails here.

Elsewhere: the context of redirects in ``test_a_redirect_without_a_region_ends``, that of checksums in
``test_a_list_of_keys_goes_with_the_checksum_that_the_service_knows``, and a role's provider of credentials in
``test_s3_credentials.py``.
"""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask, current_app
from stub_store import Answer, stub_store
from werkzeug.middleware.proxy_fix import ProxyFix

from s3img.buckets import AccessKey, S3Options
from s3img.buckets.s3 import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stub_store import StubStore

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "_get_current_object": "Flask documents it for signals: test_current_app_gives_the_app_itself",
    "_replace": "part of named tuples",
    "_exit": "os documents it, for forked children",
}


def own_private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a module defines: functions, attributes of objects and of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # __slots__
            yield node.value


@pytest.mark.slow
def test_no_private_attribute_of_a_library_is_used() -> None:
    files = [path for folder in ("s3img", "flask_ext", "mkdocs_plugin") for path in (ROOT / folder).rglob("*.py")]
    trees = {path: ast.parse(path.read_text("utf-8")) for path in files}
    own = {name for tree in trees.values() for name in own_private_names(tree)}
    found = {
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.attr}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own
        and node.attr not in ALLOWED
    }
    assert found == set()


def test_current_app_gives_the_app_itself() -> None:
    app = Flask("internals")
    with app.app_context():
        assert current_app._get_current_object() is app  # type: ignore[attr-defined]


def test_proxy_fix_leaves_the_mark_that_the_middleware_looks_for() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PREFIX": "/shop", "wsgi.url_scheme": "http"}
    seen = []
    app = ProxyFix(lambda inner, _: [seen.append({**inner})], x_prefix=1)  # type: ignore[arg-type, func-returns-value]
    app(environ, lambda *_: None)  # type: ignore[arg-type, return-value]
    assert ("werkzeug.proxy_fix.orig" in seen[0], seen[0]["SCRIPT_NAME"]) == (True, "/shop")


@pytest.fixture
def store() -> Iterator[StubStore]:
    with stub_store() as running:
        yield running


def open_client(store: StubStore) -> client.S3Client:
    options = S3Options(
        endpoint_url=store.endpoint_url, region="us-east-1", access_key=AccessKey("stub", "secret"), attempts=1
    )
    return client.open_client(client.open_session(options), options, "pics")


def test_a_small_body_is_sent_at_once(store: StubStore) -> None:
    from io import BytesIO

    open_client(store).put_object(Bucket="pics", Key="a", Body=BytesIO(b"x"))
    assert ("expect" in store.requests[0].headers, store.requests[0].body) == (False, b"x")


def test_objects_of_a_page_are_read_before_botocore_looks_at_it(store: StubStore) -> None:
    entry = b"<Contents><Key>a</Key><Size>1</Size><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
    store.answers = [
        Answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated>" + entry + b"</ListBucketResult>")
    ]
    opened, seen = open_client(store), []
    # botocore's own first look is registered in this place.
    opened.meta.events.register_first(
        "before-parse.s3.*", lambda response_dict, **_: seen.append(response_dict["body"])
    )
    listed = opened.list_objects_v2(Bucket="pics")
    assert listed["Contents"][0]["LastModified"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert seen == [b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"]


def test_a_success_that_is_not_a_listing_is_refused_before_it_is_parsed(store: StubStore) -> None:
    store.answers = [Answer(200, b"<html></html>")]
    with pytest.raises(Exception, match="root is not ListBucketResult"):
        open_client(store).list_objects_v2(Bucket="pics")
