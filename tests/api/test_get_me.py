"""GET /users/me, and with it who may ask at all."""

from __future__ import annotations

import jwt
import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.settings import SIGNING_KEY

ME = "/api/v1/users/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_it_answers_the_one_who_asks(alice: Client, bob: Client) -> None:
    assert "alice@example.com" == alice.get(ME).json()["email"]
    assert "bob@example.com" == bob.get(ME).json()["email"]


def test_a_bearer_token_does_as_well_as_the_cookie(alice: Client, anonymous: Client) -> None:
    answer = anonymous.get(ME, headers=bearer(alice.cookies["orderly_access"]))

    assert "alice@example.com" == answer.json()["email"]


def test_nobody_in_particular_is_401(anonymous: Client) -> None:
    answer = anonymous.get(ME)

    assert_problem(answer, 401, "unauthenticated")
    assert 'Bearer realm="orderly"' == answer.headers["www-authenticate"]


FORGERIES: dict[str, tuple[dict[str, object], dict[str, object], str, str]] = {
    # What is other in the claims and in the header; the key and the algorithm.
    "expired": ({"exp": 1}, {}, SIGNING_KEY, "HS256"),
    "unsigned": ({}, {"alg": "none"}, "", "none"),
    "another algorithm": ({}, {"alg": "HS512"}, SIGNING_KEY, "HS512"),
    "another audience": ({"aud": "somebody-else"}, {}, SIGNING_KEY, "HS256"),
    "another issuer": ({"iss": "somebody-else"}, {}, SIGNING_KEY, "HS256"),
    "another key": ({}, {}, "another signing key of enough bytes!", "HS256"),
    "an unknown key": ({}, {"kid": "unknown"}, SIGNING_KEY, "HS256"),
    "a key that is no name": ({}, {"kid": "../../signing-key"}, SIGNING_KEY, "HS256"),
    "no key named": ({}, {"kid": None}, SIGNING_KEY, "HS256"),
    "a key of its own": ({}, {"jwk": {"kty": "oct", "k": "AAAA"}}, "A" * 32, "HS256"),
    "another type": ({}, {"typ": "JWT"}, SIGNING_KEY, "HS256"),
    "a header that is critical": ({}, {"crit": ["exp"], "exp": 1}, SIGNING_KEY, "HS256"),
    "not yet valid": ({"nbf": 2**33}, {}, SIGNING_KEY, "HS256"),
    "issued in the future": ({"iat": 2**33}, {}, SIGNING_KEY, "HS256"),
    **{
        f"without {claim}": ({claim: None}, {}, SIGNING_KEY, "HS256")
        for claim in ("aud", "exp", "iat", "iss", "jti", "role", "sid", "sub")
    },
}


def forged(token: str, name: str) -> str:
    changed, header, key, algorithm = FORGERIES[name]
    claims = jwt.decode(token, options={"verify_signature": False}) | changed
    headers = jwt.get_unverified_header(token) | header
    return jwt.encode(
        {claim: value for claim, value in claims.items() if value is not None},
        key,
        algorithm=algorithm,
        headers={one: value for one, value in headers.items() if value is not None},
    )


@pytest.mark.filterwarnings("ignore:The HMAC key is")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_token_that_is_not_ours_is_401(alice: Client, anonymous: Client, name: str) -> None:
    answer = anonymous.get(ME, headers=bearer(forged(alice.cookies["orderly_access"], name)))

    assert_problem(answer, 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_the_forgeries_fail_for_what_is_changed_in_them_alone(
    alice: Client, anonymous: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORGERIES, "nothing", ({}, {}, SIGNING_KEY, "HS256"))

    answer = anonymous.get(ME, headers=bearer(forged(alice.cookies["orderly_access"], "nothing")))

    assert 200 == answer.status_code


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_token_that_was_tampered_with_is_401(
    alice: Client, anonymous: Client, place: int
) -> None:
    parts = alice.cookies["orderly_access"].split(".")
    middle = len(parts[place]) // 2
    changed = "A" if parts[place][middle] != "A" else "B"
    parts[place] = parts[place][:middle] + changed + parts[place][middle + 1 :]

    assert_problem(anonymous.get(ME, headers=bearer(".".join(parts))), 401, "invalid_token")


def test_a_refresh_token_is_no_access_token(alice: Client, anonymous: Client) -> None:
    answer = anonymous.get(ME, headers=bearer(alice.cookies["orderly_refresh"]))

    assert_problem(answer, 401, "invalid_token")


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "bearer x y z", "\u00e9"])
def test_any_other_authorization_header_is_401(anonymous: Client, header: str) -> None:
    answer = anonymous.get(ME, headers={"Authorization": header.encode("latin-1")})

    assert 401 == answer.status_code


def test_a_header_speaks_louder_than_a_cookie(alice: Client) -> None:
    assert_problem(alice.get(ME, headers=bearer("nonsense")), 401, "invalid_token")


@pytest.mark.parametrize(
    "cookie", ["orderly_access", "a b=c; =; ;;", "orderly_access=%00", "\u00ff=1"]
)
def test_odd_cookies_are_401_at_worst(anonymous: Client, cookie: str) -> None:
    assert 401 == anonymous.get(ME, headers={"Cookie": cookie.encode("latin-1")}).status_code
