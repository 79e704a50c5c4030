"""What a provider's name fills in, what it contradicts, and where it may lead requests to."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.config import Config, providers
from s3img.config.providers import PROVIDERS, Provider
from s3img.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
ACCOUNT = "0123456789abcdef0123456789abcdef"
OWN = "https://s3.example.org:9000"

FILLED = {
    "aws": ({"region": "eu-west-3"}, "", "eu-west-3", "https://pics.s3.eu-west-3.amazonaws.com/docs"),
    "r2": ({"account": ACCOUNT}, f"https://{ACCOUNT}.r2.cloudflarestorage.com", "auto", ""),
    "b2": (
        {"region": "eu-central-003"},
        "https://s3.eu-central-003.backblazeb2.com",
        "eu-central-003",
        "https://pics.s3.eu-central-003.backblazeb2.com/docs",
    ),
    "spaces": (
        {"region": "nyc3"},
        "https://nyc3.digitaloceanspaces.com",
        "nyc3",
        "https://pics.nyc3.digitaloceanspaces.com/docs",
    ),
    "wasabi": (
        {"region": "eu-central-2"},
        "https://s3.eu-central-2.wasabisys.com",
        "eu-central-2",
        "https://s3.eu-central-2.wasabisys.com/pics/docs",
    ),
    "cos": (
        {"region": "ap-guangzhou"},
        "https://cos.ap-guangzhou.myqcloud.com",
        "ap-guangzhou",
        "https://pics.cos.ap-guangzhou.myqcloud.com/docs",
    ),
    "oss": (
        {"region": "cn-hangzhou"},
        "https://s3.oss-cn-hangzhou.aliyuncs.com",
        "cn-hangzhou",
        "https://pics.oss-cn-hangzhou.aliyuncs.com/docs",
    ),
    "gcs": ({}, "https://storage.googleapis.com", "auto", "https://storage.googleapis.com/pics/docs"),
    "hetzner": (
        {"region": "fsn1"},
        "https://fsn1.your-objectstorage.com",
        "fsn1",
        "https://pics.fsn1.your-objectstorage.com/docs",
    ),
    "scaleway": (
        {"region": "fr-par"},
        "https://s3.fr-par.scw.cloud",
        "fr-par",
        "https://pics.s3.fr-par.scw.cloud/docs",
    ),
    "tigris": ({}, "https://t3.storage.dev", "auto", "https://pics.t3.tigrisfiles.io/docs"),
    "bunny": ({"region": "de"}, "https://de-s3.storage.bunnycdn.com", "de", ""),
    "supabase": (
        {"account": "abcdefghijklmnopqrst"},
        "https://abcdefghijklmnopqrst.storage.supabase.co/storage/v1/s3",
        "us-east-1",
        "https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/pics/docs",
    ),
    "minio": ({"endpoint_url": OWN}, OWN, "us-east-1", f"{OWN}/pics/docs"),
    "garage": ({"endpoint_url": OWN}, OWN, "garage", ""),
    "seaweedfs": ({"endpoint_url": OWN}, OWN, "us-east-1", f"{OWN}/pics/docs"),
    "ceph": ({"endpoint_url": OWN}, OWN, "us-east-1", f"{OWN}/pics/docs"),
}


def problems(**settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Config(bucket="s3://pics/docs", **{"public_url": "https://img.example.com", **settings})
    return "\n".join(caught.value.problems)


def test_the_table_of_this_file_has_every_provider() -> None:
    assert set(FILLED) == {provider.name for provider in PROVIDERS}


@pytest.mark.parametrize("name", FILLED)
def test_a_provider_fills_in_endpoint_and_region(name: str) -> None:
    given_settings, endpoint, region, _ = FILLED[name]
    config = Config(provider=name, bucket="s3://pics/docs", public_url="https://img.example.com", **given_settings)
    assert (config.endpoint_url, config.region, config.addressing_style) == (endpoint, region, "auto")


@pytest.mark.parametrize("name", [name for name, row in FILLED.items() if row[3]])
def test_a_provider_has_a_usual_public_url(name: str) -> None:
    given_settings, _, _, public_url = FILLED[name]
    assert Config(provider=name, bucket="s3://pics/docs", **given_settings).base_url == public_url


@pytest.mark.parametrize("name", [name for name, row in FILLED.items() if not row[3]])
def test_a_provider_without_a_usual_public_url_asks_for_one(name: str) -> None:
    with pytest.raises(ConfigError, match="public_url is needed"):
        Config(provider=name, bucket="s3://pics/docs", **FILLED[name][0])


@pytest.mark.parametrize("name", [name for name, row in FILLED.items() if row[1] not in {"", OWN}])
def test_an_endpoint_alone_is_recognised(name: str) -> None:
    _, endpoint, region, public_url = FILLED[name]
    config = Config(bucket="s3://pics/docs", endpoint_url=endpoint, public_url="" if public_url else "https://i.test")
    assert (config.store.name, config.region) == (name, region)
    assert config.base_url == (public_url or "https://i.test")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"provider": "r2"}, "account"),
        ({"provider": "b2"}, "region"),
        ({"provider": "spaces"}, "region"),
        ({"provider": "cos"}, "region"),
        ({"provider": "oss"}, "region"),
        ({"provider": "hetzner"}, "region"),
        ({"provider": "bunny"}, "region"),
        ({"provider": "supabase"}, "account"),
        ({"provider": "scaleway"}, "region"),
        ({"provider": "minio"}, "endpoint_url"),
        ({"provider": "garage"}, "endpoint_url"),
        ({"provider": "seaweedfs"}, "endpoint_url"),
        ({"provider": "ceph"}, "endpoint_url"),
    ],
)
def test_a_missing_parameter_is_named(settings: dict[str, str], name: str) -> None:
    assert re.match(rf"{name}: is needed: .+", problems(**settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"provider": "wasaby", "account": ACCOUNT}, "provider: 'wasaby' is unknown: did you mean 'wasabi'?"),
        ({"provider": "xx"}, "known are aws, r2"),
        ({"account": ACCOUNT}, "account: has no effect without provider"),
        ({"provider": "b2", "region": "us-west-004", "account": ACCOUNT}, "account: Backblaze B2 has none"),
        (
            {"provider": "r2", "endpoint_url": "https://s3.us-west-004.backblazeb2.com"},
            "endpoint_url: is Backblaze B2's",
        ),
        (
            {"provider": "b2", "endpoint_url": "https://s3.us-west-004.backblazeb2.com", "region": "eu-central-003"},
            "region: is 'eu-central-003', but endpoint_url is that of 'us-west-004'",
        ),
        ({"provider": "oss", "region": "oss-cn-hangzhou"}, "write for example 'cn-hangzhou'"),
        ({"provider": "b2", "region": "evil.example/"}, "region: Backblaze B2 has it in its address"),
        ({"provider": "r2", "account": "a@evil.example"}, "account: Cloudflare R2 has it in its address"),
        ({"provider": "cos", "region": "ap-guangzhou", "addressing_style": "path"}, "addressing_style: Tencent COS"),
    ],
)
def test_a_contradiction_is_named(settings: dict[str, str], words: str) -> None:
    assert words in problems(**settings)


@pytest.mark.parametrize(
    ("settings", "endpoint", "region"),
    [
        ({"provider": "r2", "endpoint_url": "https://s3-proxy.example.org"}, "https://s3-proxy.example.org", "auto"),
        ({"provider": "r2", "account": ACCOUNT, "region": "us-east-1"}, "", "us-east-1"),
        ({"provider": "r2", "account": f"{ACCOUNT}.eu"}, f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com", "auto"),
        ({"provider": "garage", "endpoint_url": OWN, "region": "Home_1"}, OWN, "Home_1"),
        ({"endpoint_url": "https://nyc3.digitaloceanspaces.com", "region": "us-east-1"}, "", "us-east-1"),
        ({"endpoint_url": "https://s3.dualstack.eu-west-1.amazonaws.com"}, "", "eu-west-1"),
        ({"endpoint_url": "https://s3.amazonaws.com"}, "", ""),
        ({"provider": "aws"}, "", ""),
        ({"provider": "wasabi"}, "https://s3.us-east-1.wasabisys.com", "us-east-1"),
        ({"endpoint_url": OWN}, OWN, ""),
    ],
)
def test_explicit_settings_win(settings: dict[str, str], endpoint: str, region: str) -> None:
    config = Config(bucket="s3://pics", public_url="https://img.example.com", **settings)
    assert config.region == region
    assert config.endpoint_url == endpoint or not endpoint


def test_a_name_with_dots_never_stands_before_a_host_with_a_wildcard_certificate() -> None:
    config = Config(bucket="s3://pics.example.com", provider="spaces", region="fra1")
    assert config.base_url == "https://fra1.digitaloceanspaces.com/pics.example.com"


def test_filling_in_twice_changes_nothing() -> None:
    config = Config(provider="b2", region="us-west-004", bucket="s3://pics")
    again = Config(provider="b2", region=config.region, endpoint_url=config.endpoint_url, bucket="s3://pics")
    assert again == config
    assert config.problems() == []


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_an_example_of_a_region_is_accepted(provider: Provider) -> None:
    url = provider.endpoint_url(account=ACCOUNT, region=provider.example)
    assert bool(url) == bool(provider.endpoint)
    assert not url or providers.of_endpoint(url) is provider
    assert not url or provider.region_in(url) == provider.example


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
@given(region=st.text(max_size=20) | st.sampled_from(["evil.example", "a/b", "x@evil.example", "..", "eu-west-3"]))
def test_another_region_never_leads_to_another_service(provider: Provider, region: str) -> None:
    url = provider.endpoint_url(account=ACCOUNT, region=provider.example) or "https://s3.eu-west-1.amazonaws.com"
    moved = provider.moved(url, region)
    assert providers.of_endpoint(moved) is providers.of_endpoint(url)
    assert (
        moved == url
        or f".{region}." in moved
        or f"//{region}." in moved
        or f"oss-{region}." in moved
        or f"//{region}-s3." in moved
    )


@pytest.mark.parametrize("jurisdiction", ["eu", "us", "fedramp"])
def test_account_of_r2_may_name_a_jurisdiction(jurisdiction: str) -> None:
    config = Config(provider="r2", account=f"{ACCOUNT}.{jurisdiction}", bucket="s3://pics", public_url="https://i.test")
    assert config.endpoint_url == f"https://{ACCOUNT}.{jurisdiction}.r2.cloudflarestorage.com"
    assert (providers.of_endpoint(config.endpoint_url).name, config.region) == ("r2", "auto")


def test_endpoint_of_supabase_may_be_on_a_host_of_your_own() -> None:
    url = "https://db.example.com/storage/v1/s3"
    assert Config(bucket="s3://pics", endpoint_url=url, public_url="https://i.test").endpoint_url == url
    assert "has a path" in problems(endpoint_url="https://db.example.com/pics")


def test_an_unknown_endpoint_is_never_left() -> None:
    assert providers.of_endpoint(OWN).moved(OWN, "eu-west-3") == OWN
    assert providers.named("b2").moved(OWN, "eu-west-3") == OWN


def test_a_host_that_only_looks_like_a_services_is_another() -> None:
    for host in (
        "evil-r2.cloudflarestorage.com.example",
        "s3.us-west-004.backblazeb2.com.evil.example",
        "amazonaws.com.evil",
    ):
        assert providers.of_endpoint(f"https://{host}").name == ""


def test_the_page_has_a_section_of_every_provider() -> None:
    titles = [provider.title for provider in PROVIDERS]
    assert [
        title for title in re.findall(r"^## (.+)$", PAGE.read_text("utf-8"), re.MULTILINE) if title in titles
    ] == titles


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    page = PAGE.read_text("utf-8")
    generator = runpy.run_path(str(PAGE.with_name("generate_providers.py")))
    assert generator["page"](page) == page, "run: python docs/generate_providers.py"


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
def test_each_example_of_the_page_is_accepted(block: str) -> None:
    settings = tomllib.loads(block)
    assert Config(**{"bucket": "s3://my-images", **settings}).base_url
