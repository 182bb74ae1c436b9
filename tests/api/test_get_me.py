"""GET /users/me, and the authentication that all operations share."""

from __future__ import annotations

import jwt
import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.settings import SIGNING_KEY

ME = "/api/v1/users/me"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_response_is_the_profile_of_the_caller(alice: Client, bob: Client) -> None:
    assert "alice@example.com" == alice.get(ME).json()["email"]
    assert "bob@example.com" == bob.get(ME).json()["email"]


def test_a_bearer_token_works_like_the_cookie(alice: Client, anonymous: Client) -> None:
    response = anonymous.get(ME, headers=bearer(alice.cookies["orderly_access"]))

    assert "alice@example.com" == response.json()["email"]


def test_an_anonymous_request_is_401(anonymous: Client) -> None:
    response = anonymous.get(ME)

    assert_problem(response, 401, "unauthenticated")
    assert 'Bearer realm="orderly"' == response.headers["www-authenticate"]


FORGERIES: dict[str, tuple[dict[str, object], dict[str, object], str, str]] = {
    # Changes to the claims and to the JOSE header, the key and the algorithm.
    "expired": ({"exp": 1}, {}, SIGNING_KEY, "HS256"),
    "unsigned": ({}, {"alg": "none"}, "", "none"),
    "another algorithm": ({}, {"alg": "HS512"}, SIGNING_KEY, "HS512"),
    "another audience": ({"aud": "another-service"}, {}, SIGNING_KEY, "HS256"),
    "another issuer": ({"iss": "another-service"}, {}, SIGNING_KEY, "HS256"),
    "another key": ({}, {}, "another signing key of enough bytes!", "HS256"),
    "an unknown key": ({}, {"kid": "unknown"}, SIGNING_KEY, "HS256"),
    "a key ID that is a path": ({}, {"kid": "../../signing-key"}, SIGNING_KEY, "HS256"),
    "no key ID": ({}, {"kid": None}, SIGNING_KEY, "HS256"),
    "a key of its own": ({}, {"jwk": {"kty": "oct", "k": "AAAA"}}, "A" * 32, "HS256"),
    "another type": ({}, {"typ": "JWT"}, SIGNING_KEY, "HS256"),
    "a critical header parameter": ({}, {"crit": ["exp"], "exp": 1}, SIGNING_KEY, "HS256"),
    "not yet valid": ({"nbf": 2**33}, {}, SIGNING_KEY, "HS256"),
    "issued in the future": ({"iat": 2**33}, {}, SIGNING_KEY, "HS256"),
    **{
        f"without {claim}": ({claim: None}, {}, SIGNING_KEY, "HS256")
        for claim in ("aud", "exp", "iat", "iss", "jti", "role", "sid", "sub")
    },
}


def forge(token: str, name: str) -> str:
    changed_claims, changed_header, key, algorithm = FORGERIES[name]
    claims = jwt.decode(token, options={"verify_signature": False}) | changed_claims
    headers = jwt.get_unverified_header(token) | changed_header
    return jwt.encode(
        {claim: value for claim, value in claims.items() if value is not None},
        key,
        algorithm=algorithm,
        headers={name: value for name, value in headers.items() if value is not None},
    )


@pytest.mark.filterwarnings("ignore:The HMAC key is")
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_or_expired_token_is_401(alice: Client, anonymous: Client, name: str) -> None:
    response = anonymous.get(ME, headers=bearer(forge(alice.cookies["orderly_access"], name)))

    assert_problem(response, 401, "invalid_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


def test_a_forgery_without_any_change_is_accepted(
    alice: Client, anonymous: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORGERIES, "unchanged", ({}, {}, SIGNING_KEY, "HS256"))

    response = anonymous.get(
        ME, headers=bearer(forge(alice.cookies["orderly_access"], "unchanged"))
    )

    assert 200 == response.status_code


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_one_changed_character_is_401(
    alice: Client, anonymous: Client, part: int
) -> None:
    parts = alice.cookies["orderly_access"].split(".")
    middle = len(parts[part]) // 2
    changed = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + changed + parts[part][middle + 1 :]

    assert_problem(anonymous.get(ME, headers=bearer(".".join(parts))), 401, "invalid_token")


def test_a_refresh_token_is_not_accepted_as_an_access_token(
    alice: Client, anonymous: Client
) -> None:
    response = anonymous.get(ME, headers=bearer(alice.cookies["orderly_refresh"]))

    assert_problem(response, 401, "invalid_token")


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "bearer x y z", "\u00e9"])
def test_an_invalid_authorization_header_is_401(anonymous: Client, header: str) -> None:
    response = anonymous.get(ME, headers={"Authorization": header.encode("latin-1")})

    assert 401 == response.status_code


def test_the_authorization_header_takes_precedence_over_the_cookie(alice: Client) -> None:
    assert_problem(alice.get(ME, headers=bearer("nonsense")), 401, "invalid_token")


@pytest.mark.parametrize(
    "cookie", ["orderly_access", "a b=c; =; ;;", "orderly_access=%00", "\u00ff=1"]
)
def test_malformed_cookies_are_401(anonymous: Client, cookie: str) -> None:
    assert 401 == anonymous.get(ME, headers={"Cookie": cookie.encode("latin-1")}).status_code
