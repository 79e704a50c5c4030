from __future__ import annotations

import base64
import hmac

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from s3img.errors import ConfigError, SignatureError, SignatureExpired
from s3img.signing import Signer, canonical

SIGNER = Signer.of("k1:first-secret k2:second-secret")
TARGET = "/tr:w-300,h-300/img/cat%20%C3%A9.jpg?v=3"
NOW = 1_700_000_000

addresses = st.text(st.sampled_from("ab/:,.%2CF&=?+é ~tr"), max_size=30).map(lambda text: "/" + text.replace("#", ""))


def test_signed_address_holds() -> None:
    verified = SIGNER.verify(SIGNER.sign(TARGET, expires=NOW + 60), now=NOW)
    assert (verified.target, verified.key_id, verified.expires) == (TARGET, "k1", NOW + 60)


def test_signature_is_that_of_the_documented_message() -> None:
    message = b"s3img\n1\nshop\nk1\n1700000300\n/tr:w-3,h-2/a%2520b.jpg?v=2"
    mac = base64.urlsafe_b64encode(hmac.digest(b"first-secret", message, "sha256")).decode().rstrip("=")
    signed = Signer.of("k1:first-secret", audience="shop").sign("/tr:w-3%2Ch-2/a%2520b.jpg?v=2", expires=1_700_000_300)
    assert signed == f"/tr:w-3%2Ch-2/a%2520b.jpg?v=2&sig=1.k1.1700000300.{mac}"


def test_address_without_expiry_holds_for_ever() -> None:
    assert SIGNER.verify(SIGNER.sign(TARGET), now=9e11).expires == 0


@given(addresses)
def test_any_address_can_be_signed(address: str) -> None:
    assume(not any(item.partition("=")[0] == "sig" for item in address.partition("?")[2].split("&")))
    SIGNER.verify(SIGNER.sign(address), now=NOW)


@given(st.integers(0, len(SIGNER.sign(TARGET, expires=NOW)) - 1), st.characters(min_codepoint=33, max_codepoint=126))
@example(len(SIGNER.sign(TARGET, expires=NOW)) - 1, "A")
def test_change_of_one_byte_is_refused(index: int, character: str) -> None:
    signed = SIGNER.sign(TARGET, expires=NOW)
    changed = signed[:index] + character + signed[index + 1 :]
    assume(canonical(changed) != canonical(signed))
    with pytest.raises(SignatureError, match="sign"):
        SIGNER.verify(changed, now=0)


@given(st.integers(0, len(SIGNER.sign(TARGET)) - 1))
def test_lost_byte_is_refused(index: int) -> None:
    signed = SIGNER.sign(TARGET)
    with pytest.raises(SignatureError):
        SIGNER.verify(signed[:index] + signed[index + 1 :], now=0)


def test_every_other_last_character_is_refused() -> None:
    signed = SIGNER.sign(TARGET)  # its spare bits would let four spellings through
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for character in set(alphabet) - {signed[-1]}:
        with pytest.raises(SignatureError):
            SIGNER.verify(signed[:-1] + character, now=0)


@pytest.mark.parametrize("tail", ["=", "%3D", "&", "&v=4", "#x", " ", "\n", "&sig=1.k1.0." + "A" * 43])
def test_anything_after_the_signature_is_refused(tail: str) -> None:
    with pytest.raises(SignatureError):
        SIGNER.verify(SIGNER.sign(TARGET) + tail, now=0)


def test_parameter_that_somebody_added_is_named_as_the_reason() -> None:
    with pytest.raises(SignatureError, match="follows the signature"):
        SIGNER.verify(SIGNER.sign(TARGET) + "&fbclid=1", now=0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/tr:w-300,h-300/cat.jpg", "/tr:w-300%2Ch-300/cat.jpg"),
        ("/tr:w-300,h-300/cat.jpg", "/tr%3aw-300%2ch-300/cat.jpg"),
        ("/tr:w-300:rt-90/cat.jpg", "/tr:w-300%3Art-90/cat.jpg"),
        ("/cat.jpg?tr=w-300,h-300", "/cat.jpg?tr=w-300%2Ch-300"),
        ("/a,b.jpg", "/a%2Cb.jpg"),
        ("/%7Ecat.jpg", "/~cat.jpg"),
        ("/%63at.jpg", "/cat.jpg"),
        ("/caf%c3%a9.jpg", "/café.jpg"),
        ("/a+b.jpg", "/a%2Bb.jpg"),
    ],
)
def test_two_spellings_of_one_meaning_sign_the_same(one: str, other: str) -> None:
    assert SIGNER.sign(one).rpartition("sig=")[2] == SIGNER.sign(other).rpartition("sig=")[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a%2Fb.jpg", "/a/b.jpg"),
        ("/a%252Cb.jpg", "/a,b.jpg"),
        ("/tr:di-a%2Cb.png,w-3/cat.jpg", "/tr:di-a,b.png,w-3/cat.jpg"),
        ("/tr:di-a%2Fb.png,w-3/cat.jpg", "/tr:di-a/b.png,w-3/cat.jpg"),
        ("/cat.jpg?v=a%26tr=w-3", "/cat.jpg?v=a&tr=w-3"),
        ("/cat.jpg?v=a+b", "/cat.jpg?v=a%2Bb"),
        ("/cat%3Ftr=w-3", "/cat?tr=w-3"),
        ("/e%CC%81.jpg", "/%C3%A9.jpg"),
        ("/a//b.jpg", "/a/b.jpg"),
        ("/a/../b.jpg", "/b.jpg"),
        ("/cat.jpg?a=1&b=2", "/cat.jpg?b=2&a=1"),
    ],
)
def test_two_meanings_sign_differently(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(addresses)
def test_canonical_form_is_its_own(address: str) -> None:
    assert canonical(canonical(address)) == canonical(address)


def test_expired_address_is_gone() -> None:
    signed = SIGNER.sign(TARGET, expires=NOW)
    SIGNER.verify(signed, now=NOW - 0.001)
    with pytest.raises(SignatureExpired) as caught:
        SIGNER.verify(signed, now=NOW)
    assert caught.value.status == 410


def test_expiry_of_a_forged_address_is_not_told() -> None:
    with pytest.raises(SignatureError) as caught:
        SIGNER.verify(f"/cat.jpg?sig=1.k1.1.{'A' * 43}", now=NOW)
    assert caught.value.status == 403


def test_older_key_still_verifies() -> None:
    older = Signer.of("k2:second-secret")
    assert SIGNER.verify(older.sign(TARGET), now=NOW).key_id == "k2"


def test_removed_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        Signer.of("k3:third-secret").verify(SIGNER.sign(TARGET), now=NOW)


def test_id_of_another_key_is_refused() -> None:
    with pytest.raises(SignatureError):
        SIGNER.verify(SIGNER.sign(TARGET).replace("1.k1.", "1.k2."), now=NOW)


def test_address_of_another_audience_is_refused() -> None:
    keys = {"k1": "first-secret"}
    with pytest.raises(SignatureError):
        Signer.of(keys, audience="shop").verify(Signer.of(keys, audience="blog").sign(TARGET), now=NOW)


def test_unsigned_address_is_refused() -> None:
    with pytest.raises(SignatureError, match="not signed"):
        SIGNER.verify(TARGET, now=NOW)


@pytest.mark.parametrize("address", ["cat.jpg", "", "/cat.jpg?sig=1", "/cat.jpg?a&s%69g=", "/\ud800"])
def test_what_cannot_be_signed_is_refused(address: str) -> None:
    with pytest.raises(SignatureError):
        SIGNER.sign(address)


@pytest.mark.parametrize("expires", [0, -1, 10**12])
def test_expiry_that_is_no_time_is_refused(expires: int) -> None:
    with pytest.raises(SignatureError, match="expiry"):
        SIGNER.sign(TARGET, expires=expires)


@pytest.mark.parametrize("keys", ["", "hunter2", "k1:", ":hunter2", "k 1:hunter2", "k.1:hunter2", {}, {"": "hunter2"}])
def test_keys_that_are_none_are_explained_without_their_secret(keys: str | dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="id") as caught:
        Signer.of(keys)
    assert "hunter2" not in str(caught.value)


def test_two_keys_of_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="one id"):
        Signer.of("k1:a k1:b")


def test_secret_may_hold_a_colon() -> None:
    assert Signer.of("k1:a:b").sign("/x") == Signer.of({"k1": "a:b"}).sign("/x")


def test_secrets_are_not_shown() -> None:
    assert "first-secret" not in repr(SIGNER)
    assert "first-secret" not in repr(SIGNER.verify(SIGNER.sign(TARGET), now=NOW))
