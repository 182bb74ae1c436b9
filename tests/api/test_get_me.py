"""GET /users/me, and with it who may ask at all."""

from __future__ import annotations

import jwt
import pytest

from tests.api.conftest import SIGNING_KEY, Client
from tests.api.problems import problem

ME = "/api/v1/users/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_it_answers_the_one_who_asks(alice: Client, bob: Client) -> None:
    assert "alice@example.com" == alice.get(ME).json()["email"]
    assert "bob@example.com" == bob.get(ME).json()["email"]


def test_a_bearer_token_does_as_well_as_the_cookie(alice: Client, anyone: Client) -> None:
    answer = anyone.get(ME, headers=bearer(alice.cookies["orderly_access"]))

    assert "alice@example.com" == answer.json()["email"]


def test_nobody_in_particular_is_401(anyone: Client) -> None:
    answer = anyone.get(ME)

    problem(answer, 401, "unauthenticated")
    assert 'Bearer realm="orderly"' == answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "change", ["expired", "unsigned", "audience", "issuer", "key", "bits", "kind"]
)
def test_a_token_that_is_not_ours_is_401(alice: Client, anyone: Client, change: str) -> None:
    token = alice.cookies["orderly_access"]
    claims = jwt.decode(token, options={"verify_signature": False})
    key, algorithm = SIGNING_KEY, "HS256"
    if change == "expired":
        claims["exp"] = claims["iat"] - 1
    elif change == "unsigned":
        key, algorithm = "", "none"
    elif change == "audience":
        claims["aud"] = "somebody-else"
    elif change == "issuer":
        claims["iss"] = "somebody-else"
    elif change == "key":
        key = "another signing key of enough bytes!"
    elif change == "kind":
        del claims["sid"]
    forged = jwt.encode(claims, key, algorithm=algorithm)
    if change == "bits":
        forged = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")

    answer = anyone.get(ME, headers=bearer(forged))

    problem(answer, 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "bearer x y z", "\u00e9"])
def test_any_other_authorization_header_is_401(anyone: Client, header: str) -> None:
    answer = anyone.get(ME, headers={"Authorization": header.encode("latin-1")})

    assert 401 == answer.status_code


def test_a_header_speaks_louder_than_a_cookie(alice: Client) -> None:
    problem(alice.get(ME, headers=bearer("nonsense")), 401, "invalid_token")


@pytest.mark.parametrize(
    "cookie", ["orderly_access", "a b=c; =; ;;", "orderly_access=%00", "\u00ff=1"]
)
def test_odd_cookies_are_401_at_worst(anyone: Client, cookie: str) -> None:
    assert 401 == anyone.get(ME, headers={"Cookie": cookie.encode("latin-1")}).status_code
