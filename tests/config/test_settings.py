from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.config import Config
from s3img.config.load import SettingsSource, load, without_password
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_load_without_anything_gives_defaults(tmp_path: Path) -> None:
    assert load(environ={}, folder=tmp_path) == Config()


def test_precedence_is_options_environment_host_file_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.s3img]\nregion="p"\nsizes="p"\nworkers=1\nbucket="s3://ppp"\npublic_url="http://p"'
    )
    (tmp_path / "s3img.toml").write_text('sizes="f"\nworkers=2\nbucket="s3://fff"\npublic_url="http://f"')
    host = SettingsSource({"workers": 3, "bucket": "s3://hhh", "public_url": "http://h"}, str)
    environ = {"S3IMG_BUCKET": "s3://eee", "S3IMG_PUBLIC_URL": "http://e"}
    config = load(options={"public_url": "http://o"}, host=host, environ=environ, folder=tmp_path)
    assert (config.region, config.sizes, config.workers) == ("p", "f", 3)
    assert (config.bucket, config.public_url) == ("s3://eee", "http://o")


def test_environment_gives_lists_numbers_and_tables(tmp_path: Path) -> None:
    environ = {
        "S3IMG_WIDTHS": "400, 800",
        "S3IMG_WORKERS": "8",
        "S3IMG_QUALITY": '{"webp": 70}',
        "S3IMG_ANONYMOUS": "true",
    }
    config = load(environ=environ, folder=tmp_path)
    assert (config.widths, config.workers, config.quality.webp, config.anonymous) == ((400, 800), 8, 70, True)


def test_all_problems_are_reported_in_their_own_words(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('bukcet = "s3://x"\nwidths = ["a"]\n')
    environ = {"S3IMG_WORKERS": "many", "S3IMG_ENDPOINT_URL": "minio.local:9000"}
    with pytest.raises(ConfigError) as caught:
        load(options={"missing": "shout"}, environ=environ, folder=tmp_path)
    text = "\n".join(caught.value.problems)
    assert "s3img.toml bukcet: unknown setting, did you mean bucket?" in text
    for words in (
        "s3img.toml widths",
        "S3IMG_WORKERS",
        "S3IMG_ENDPOINT_URL: 'minio.local:9000' is not an absolute URL",
        "--missing",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MISSING", "skip", "'skip' is not a choice: write one of error, warn, keep"),
        ("FORMATS", "avif,gif", "entry 2: 'gif' is not a choice: write one of avif, webp, jpeg, png"),
    ],
)
def test_what_may_be_written_is_listed(tmp_path: Path, name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={f"S3IMG_{name}": value}, folder=tmp_path)
    assert caught.value.problems == (f"S3IMG_{name}: {words}",)


@pytest.mark.parametrize("name", ["access_key", "secret_key", "aws_secret_access_key", "session_token", "accessKey"])
def test_credentials_in_a_file_are_refused_without_repeating_them(tmp_path: Path, name: str) -> None:
    (tmp_path / "s3img.toml").write_text(f'{name} = "hunter2hunter2"')
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID") as caught:
        load(environ={}, folder=tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["threads", "processes", "dask"])
def test_file_names_an_executor_of_this_machine(tmp_path: Path, name: str) -> None:
    (tmp_path / "s3img.toml").write_text(f'executor = "{name}"')
    assert load(environ={}, folder=tmp_path).executor == name


@pytest.mark.parametrize("name", ["dask=tcp://somewhere:8786", "my.module:run"])
def test_file_does_not_run_code_by_naming_an_executor(tmp_path: Path, name: str) -> None:
    (tmp_path / "s3img.toml").write_text(f'executor = "{name}"')
    with pytest.raises(ConfigError, match=r"s3img\.toml executor: .*set S3IMG_EXECUTOR, or use --executor"):
        load(environ={}, folder=tmp_path)
    assert load(environ={"S3IMG_EXECUTOR": name}, folder=tmp_path / "none").executor == name
    assert load(options={"executor": name}, environ={}, folder=tmp_path / "none").executor == name


@pytest.mark.parametrize("text", ["bucket = ", "\xff"])
def test_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "s3img.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"s3img\.toml: not valid TOML"):
        load(environ={}, folder=tmp_path)


def test_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothere\.toml: can't be read"):
        load(environ={"S3IMG_CONFIG": str(tmp_path / "nothere.toml")}, folder=tmp_path)


def test_cache_dir_counts_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('cache_dir = ".cache"')
    assert load(environ={}, path=tmp_path / "s3img.toml").cache_dir == str(tmp_path / ".cache")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bucket": "my-bucket"}, "s3://"),
        ({"bucket": "file://relative/x"}, "three slashes"),
        ({"bucket": "s3://bbb/a/../c"}, "segment"),
        ({"endpoint_url": "https://host/bucket"}, "has a path"),
        ({"quality": {"webp": 0}}, "1 to 100"),
        ({"widths": []}, "px"),
        ({"workers": 0}, "1 to 256"),
        ({"executor": "fibers"}, "dask"),
        ({"deadline": -1}, "name seconds"),
        ({"deadline": float("nan")}, "name seconds"),
        ({"external_id": "x"}, "role_arn"),
        ({"anonymous": True, "aws_profile": "x"}, "aws_profile"),
        ({"bucket": "s3://bbb", "endpoint_url": "https://acc.r2.cloudflarestorage.com"}, "public_url is needed"),
        ({"key_template": "{{year}}"}, "from run to run"),
        ({"limits": {"seconds": 0}}, "above 0"),
        ({"presets": {"thumb": "w-"}}, "presets"),
    ],
)
def test_value_that_cannot_work_is_refused(tmp_path: Path, values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(host=SettingsSource(values, str), environ={}, folder=tmp_path)


@pytest.mark.parametrize("text", ['[tool]\ns3img = "x"', "[[tool.s3img]]"])
def test_project_file_whose_settings_are_no_table_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"pyproject.toml \[tool.s3img\]: write a table of settings"):
        load(environ={}, folder=tmp_path)


@pytest.mark.parametrize(
    ("values", "base_url"),
    [
        ({"bucket": "s3://b-1/docs"}, "https://b-1.s3.amazonaws.com/docs"),
        ({"bucket": "s3://b-1", "region": "eu-west-1"}, "https://b-1.s3.eu-west-1.amazonaws.com"),
        ({"bucket": "s3://b.dots"}, "https://s3.amazonaws.com/b.dots"),
        ({"bucket": "s3://b-1/d", "endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/b-1/d"),
        ({"bucket": "s3://b-1/d", "public_url": "https://i.example.com/d/"}, "https://i.example.com/d"),
        ({"bucket": "file:///srv/my%20images"}, "file:///srv/my%20images"),
        ({}, ""),
    ],
)
def test_base_url_is_the_usual_public_address(values: dict[str, str], base_url: str) -> None:
    assert Config(**values).base_url == base_url  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fonts", "problem"),
    [
        ({"Latto": "a.ttf"}, "fonts.Latto: is not a font of ImageKit: did you mean Lato"),
        ({"Comic": "a.ttf"}, "fonts.Comic: is not a font of ImageKit"),
        ({"Lato": "a.png"}, "fonts.Lato: 'a.png': write the key of a TTF"),
        ({"Lato-Bold": "/a.ttf"}, "fonts.Lato-Bold: '/a.ttf'"),
    ],
)
def test_fonts_are_files_for_names_of_imagekit(fonts: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(fonts=fonts)
    assert problem in str(caught.value)
    assert Config(fonts={"Lato": "f/a.ttf", "PT_Serif-BoldItalic": "f/b.WOFF2"}).fonts["Lato"] == "f/a.ttf"


@pytest.mark.parametrize(
    "name", ["endpoint_url", "public_url", "site_url", "upload_origins", "origins", "service", "service_url"]
)
@pytest.mark.parametrize("url", ["https://user:pass/word@host", "user:password@host", "https://user:pass@word@host"])
def test_no_problem_repeats_a_password(name: str, url: str) -> None:
    values: dict[str, object] = {
        "upload_origins": (url,),
        "origins": {"x": {"bucket": "s3://pics", "provider": "r2", "endpoint_url": url}},
        "service": {"cors_origins": [url]},
    }
    with pytest.raises(ConfigError) as caught:
        Config(**{name: values.get(name, url)})  # type: ignore[arg-type] # checked when it is made
    assert "word" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://user:pass/word@host/a", "https://user:pass@word@host/a"])
def test_all_of_a_password_is_hidden(url: str) -> None:
    assert without_password(url) == "https://(hidden)@host/a"


@pytest.mark.parametrize(
    "url",
    [
        *("https://host:8000/@user/a.jpg", "https://host/@user/a.jpg", "https://host/a?b:c@d"),
        *(f"//{':' * 20_000}", f"//{'a:' * 20_000}/{'x' * 20_000}"),  # which takes as long as it is
    ],
    ids=range(5),
)
def test_an_address_without_a_password_is_shown_whole(url: str) -> None:
    assert without_password(url) == url


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "setting", ["limits.seconds", "service.seconds", "service.lease", "imgproxy.autoquality_max_resolution"]
)
def test_a_number_without_end_is_a_problem(tmp_path: Path, setting: str, number: str) -> None:
    (tmp_path / "s3img.toml").write_text(f"{setting} = {number}\n")
    with pytest.raises(ConfigError, match=rf"s3img\.toml {setting}: .*name "):
        load(environ={}, folder=tmp_path)


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('region = "here"\n', encoding="utf-8-sig")
    assert load(environ={}, folder=tmp_path).region == "here"


def test_an_origins_address_that_is_none_is_a_problem_with_a_provider_too() -> None:
    origins = {"x": {"bucket": "s3://pics", "provider": "r2", "endpoint_url": "http://["}}
    with pytest.raises(ConfigError, match=r"origins\.x\.endpoint_url: 'http://\[' is not an absolute URL"):
        Config(origins=origins)  # type: ignore[arg-type] # made into a table


@pytest.mark.parametrize("folder", ["~no-such-user/cache", "a\\u0000b"])
def test_a_cache_folder_that_leads_nowhere_is_a_problem(tmp_path: Path, folder: str) -> None:
    (tmp_path / "s3img.toml").write_text(f'cache_dir = "{folder}"\n')
    with pytest.raises(ConfigError, match=r"s3img\.toml cache_dir: .* leads nowhere"):
        load(environ={}, folder=tmp_path)


def test_variables_of_single_commands_are_no_settings(tmp_path: Path) -> None:
    assert load(environ={"S3IMG_PICGO_TOKEN": "secret"}, folder=tmp_path) == Config()


@pytest.mark.parametrize("name", ["endpoint_url", "public_url", "site_url", "service_url"])
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://img.example.com/#/", "has a #: write %23 for it"),
        ("https://img.example.com/a b", "has a blank: write %20 for it"),
        ("https://img.example.com ", "has a blank: write %20 for it, or remove it"),
    ],
)
def test_an_address_with_a_blank_or_a_fragment_is_a_problem(name: str, url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .* {words}"):
        Config(**{name: url})  # type: ignore[arg-type] # one of the settings that are texts


def test_blanks_around_a_variable_do_not_count(tmp_path: Path) -> None:
    environ = {"S3IMG_ENDPOINT_URL": "https://s3.example.com\n", "S3IMG_WORKERS": " 8 "}
    config = load(environ=environ, folder=tmp_path)
    assert (config.endpoint_url, config.workers) == ("https://s3.example.com", 8)


def test_a_settings_file_may_have_braces_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "s3img.{live}.toml").write_text('region = "here"\nworkers = 0\n')
    with pytest.raises(ConfigError, match=r"^s3img\.\{live\}\.toml workers: 0: name 1 to 256$"):
        load(path=tmp_path / "s3img.{live}.toml", environ={})
