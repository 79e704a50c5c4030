"""Write the generated table of ``providers.md`` from the code: ``python docs/generate_providers.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from s3img.config.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.config.providers import Provider

PAGE = Path(__file__).with_name("providers.md")
CONDITIONAL = {"yes": "honoured", "no": "no", "ignored": "ignored", "unknown": "not known"}
STYLE = {"auto": "before the host", "virtual": "before the host", "path": "in the path"}


def table() -> Iterator[str]:
    """Yield one row for each service."""
    yield (
        "| `provider` | service | needs | default region | bucket's name | usual `public_url` "
        "| `If-None-Match` | deletes lists |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for provider in PROVIDERS:
        usual = (
            f"`{provider.public_url.replace('{endpoint}', 'ENDPOINT')}`" if provider.public_url else "none: write it"
        )
        cells = (
            f"`{provider.name}`",
            provider.title,
            needs(provider),
            f"`{provider.region}`" if provider.region else "",
            STYLE[provider.addressing_style],
            usual.replace("{bucket}", "NAME").replace("{region}", "REGION").replace("{account}", "ACCOUNT"),
            CONDITIONAL[provider.conditional_writes],
            "yes" if provider.deletes_many else "one by one",
        )
        yield f"| {' | '.join(cells)} |"


def needs(provider: Provider) -> str:
    """Name the settings without which there is no address."""
    names = ["endpoint_url"] if provider.is_self_hosted else sorted(provider.needs)
    return ", ".join(f"`{name}`" for name in names if not (name == "region" and provider.region))


def page(text: str) -> str:
    """Return the page with its table as the code has it."""
    begin, end = "<!-- providers: generated -->\n", "<!-- /providers -->"
    head, _, rest = text.partition(begin)
    return "".join([head, begin, *(f"{row}\n" for row in table()), end, rest.partition(end)[2]])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
