from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_s3img import S3Img, register

from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img.testing import Store


def test_all_problems_come_at_once_in_the_words_of_app_config(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_app(
            widths=[0],
            bukcet="x",
            rewrite="perhaps",
            service="img",
            uploads={"max_byte": 1},
            upload_template="{{yaer}}",
        )
    text = "\n".join(caught.value.problems)
    for words in (
        "S3IMG_WIDTHS",
        "S3IMG_BUKCET: unknown setting, did you mean bucket?",
        "S3IMG_REWRITE",
        "S3IMG_SERVICE: 'img' is not a path",
        "S3IMG_UPLOADS['max_byte']: is unknown: did you mean 'max_bytes'?",
        "S3IMG_UPLOAD_TEMPLATE: {{yaer}}",
    ):
        assert words in text


def test_settings_in_the_form_of_django_are_refused() -> None:
    app = Flask(__name__)
    app.config["S3IMG"] = {"bucket": "s3://my-images"}
    with pytest.raises(ConfigError, match="such as S3IMG_BUCKET"):
        S3Img(app)


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token"])
def test_credentials_are_refused_and_not_repeated(make_app: Callable[..., Flask], name: str) -> None:
    with pytest.raises(ConfigError, match=f"S3IMG_{name.upper()}: credentials") as caught:
        make_app(**{name: "AKIAVERYSECRET"})
    assert "AKIAVERYSECRET" not in str(caught.value)


def test_a_second_init_app_is_refused(make_app: Callable[..., Flask]) -> None:
    app = make_app(sync=False)
    with pytest.raises(ConfigError, match="has s3img already"):
        S3Img(app)


def test_one_extension_serves_several_apps(make_app: Callable[..., Flask], store: Store) -> None:
    extension = S3Img()
    first = make_app(extension=extension)
    second = make_app(extension=extension, sync=False, public_url="https://other.test")
    with first.test_request_context():
        assert extension.url("cat.jpg").startswith(store.public_url)
    with second.test_request_context():
        assert extension.url("cat.jpg").startswith("https://other.test/")


def test_register_overrides_app_config(tmp_path: Path) -> None:
    app = Flask("shop", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config["S3IMG_PUBLIC_URL"] = "https://config.test"
    register(app, bucket=tmp_path.as_uri(), public_url="https://override.test")
    assert app.extensions["s3img"].config.public_url == "https://override.test"


def test_environment_wins_over_app_config(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3IMG_PUBLIC_URL", "https://env.test")
    assert make_app(sync=False).extensions["s3img"].config.public_url == "https://env.test"


def test_config_file_is_shared_with_the_command_line(make_app: Callable[..., Flask], project: Path) -> None:
    (project / "conf").mkdir()
    (project / "conf/s3img.toml").write_text('sizes = "50vw"\nkey_template = "x/{{dir}}/{{stem}}.{{hash:8}}.{{ext}}"\n')
    state = make_app(sync=False, config="conf/s3img.toml").extensions["s3img"]
    assert state.config.sizes == "50vw"
    assert state.options.lock == project / "conf/s3img.lock"


def test_signing_key_is_derived_from_the_secret_key(make_app: Callable[..., Flask]) -> None:
    state = make_app(sync=False).extensions["s3img"]
    assert [name[:4] for name in state.config.signing_keys] == ["app-"]
    assert "not a secret" not in repr(state.config)
    assert next(iter(state.config.signing_keys.values())) not in repr(state.config)


def test_an_app_without_the_extension_is_told(tmp_path: Path) -> None:
    extension = S3Img()
    with Flask("bare", root_path=str(tmp_path)).app_context(), pytest.raises(ConfigError, match="init_app"):
        _: Any = extension.images


def test_a_refused_app_is_as_it_was(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = Flask("shop", root_path=str(tmp_path))
    with pytest.raises(ConfigError, match="S3IMG_WIDTHS"):
        S3Img(app, widths=[0])
    S3Img(app, widths=[100])
    assert app.extensions["s3img"].config.widths == (100,)
