"""Settings from environment variables: defaults, validation, secrets and signing keys."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.mail import ORDER_KINDS
from orderly import signing_keys
from orderly.secret_files import MAX_BYTES
from orderly.settings import ADMIN_PASSWORD_VARIABLE, SECRETS, Settings, SettingsError

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
KEY = "a signing key for tests, 32 bytes long"
OPTIONAL = {
    "ORDERLY_LOG_FILE",
    "ORDERLY_METRICS_DIR",
    "ORDERLY_METRICS_PORT",
    "ORDERLY_POSTGRESQL_LOG_PLANS_MS",
    "ORDERLY_POSTGRESQL_LOG_STATEMENTS_MS",
    "ORDERLY_DATABASE_SYSTEM_USER",
    "ORDERLY_DATABASE_URL",
    "ORDERLY_OTHER_SIGNING_KEYS",
    "ORDERLY_SANDBOX_SECRET",
    "ORDERLY_SIGNING_KEY",
}
URL = "postgresql://shop:hunter2@db.example.com/shop"


def errors_of(**variables: str) -> dict[str, str]:
    """Return the error of each invalid variable, by name."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({f"ORDERLY_{name}": value for name, value in variables.items()})
    return dict(caught.value.errors)


def test_without_settings_the_shop_runs_on_one_machine() -> None:
    settings = Settings.from_environment({})

    assert settings.database_url is None
    assert ("127.0.0.1", 8000, 1) == (settings.host, settings.port, settings.workers)
    assert "EUR" == settings.currency
    assert settings.data_dir.is_absolute()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_environment({}) == Settings.from_environment(
        {"ORDERLY_PORT": "", "ORDERLY_DATABASE_URL": "", "ORDERLY_SIGNING_KEY": "  "}
    )


def test_cookies_are_secure_by_default_if_a_database_url_is_set() -> None:
    def secure(**variables: str) -> bool:
        return Settings.from_environment(variables).cookie_secure

    assert not secure()
    assert secure(ORDERLY_DATABASE_URL=URL)
    assert not secure(ORDERLY_DATABASE_URL=URL, ORDERLY_COOKIE_SECURE="false")
    assert secure(ORDERLY_COOKIE_SECURE="true")


@pytest.mark.parametrize(
    ("variables", "is_enabled"),
    [
        ({}, True),
        ({"HOST": "localhost"}, True),
        ({"HOST": "::1"}, True),
        ({"HOST": "0.0.0.0"}, False),
        ({"HOST": "shop.example.com"}, False),
        ({"DATABASE_URL": URL}, False),
        ({"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": "whsec_1"}, False),
        ({"SANDBOX_PAYMENTS": "false"}, False),
        ({"SANDBOX_PAYMENTS": "true", "DATABASE_URL": URL, "HOST": "0.0.0.0"}, True),
    ],
)
def test_the_sandbox_is_by_default_only_on_ones_own_machine(
    variables: dict[str, str], is_enabled: bool
) -> None:
    settings = Settings.from_environment(
        {f"ORDERLY_{name}": value for name, value in variables.items()}
    )

    assert is_enabled is settings.sandbox_payments


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
@pytest.mark.parametrize("name", ["SANDBOX_PAYMENTS", "TEST_SYSTEM"])
def test_sandbox_and_tests_are_refused_where_real_money_is_taken(name: str, key: str) -> None:
    keys = {"STRIPE_SECRET_KEY": key, "STRIPE_WEBHOOK_SECRET": "whsec_1"}

    assert {f"ORDERLY_{name}"} == errors_of(**{name: "true"}, **keys).keys()


def test_a_test_system_has_higher_limits_unless_they_are_set() -> None:
    usual = Settings.from_environment({})
    tested = Settings.from_environment(
        {"ORDERLY_TEST_SYSTEM": "true", "ORDERLY_PAYMENT_LIMIT": "7"}
    )

    assert usual.registration_limit < tested.registration_limit
    assert (0, 10080) == (usual.manual_payment_expiry_minutes, tested.manual_payment_expiry_minutes)
    assert 7 == tested.payment_limit


MAIL = {
    "SMTP_HOST": "mail.example.com",
    "MAIL_FROM": "The Shop <shop@example.com>",
    "SHOP_URL": "https://shop.example.com/",
}


@pytest.mark.parametrize(
    ("variables", "is_enabled"),
    [
        ({}, True),
        ({"HOST": "0.0.0.0"}, False),
        ({"DATABASE_URL": URL}, False),
        (MAIL, False),
        ({"SANDBOX_MAIL": "false"}, False),
    ],
)
def test_mails_are_by_default_kept_only_on_ones_own_machine(
    variables: dict[str, str], is_enabled: bool
) -> None:
    settings = Settings.from_environment(
        {f"ORDERLY_{name}": value for name, value in variables.items()}
    )

    assert is_enabled is settings.sandbox_mail


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("none", 25)])
def test_the_port_of_the_mail_server_follows_from_its_security(security: str, port: int) -> None:
    settings = Settings.from_environment({"ORDERLY_SMTP_SECURITY": security})

    assert port == settings.smtp_port


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"SMTP_HOST": "mail.example.com"}, {"MAIL_FROM", "SHOP_URL"}),
        (
            {"VERIFIED_EMAIL_REQUIRED": "true", "SANDBOX_MAIL": "false"},
            {"VERIFIED_EMAIL_REQUIRED"},
        ),
        ({**MAIL, "SANDBOX_MAIL": "true"}, {"SANDBOX_MAIL"}),
        ({**MAIL, "SMTP_USERNAME": "shop", "SMTP_SECURITY": "none"}, {"SMTP_SECURITY"}),
        ({**MAIL, "MAIL_FROM": "The Shop"}, {"MAIL_FROM"}),
        ({**MAIL, "MAIL_FROM": "a@example.com\nBcc: b@example.com"}, {"MAIL_FROM"}),
        ({**MAIL, "SHOP_URL": "shop.example.com"}, {"SHOP_URL"}),
        ({**MAIL, "SHOP_URL": "https://shop.example.com/>"}, {"SHOP_URL"}),
        ({**MAIL, "ORDER_MAILS": "placed,sold"}, {"ORDER_MAILS"}),
    ],
)
def test_mail_settings_that_cannot_work_are_refused(
    variables: dict[str, str], names: set[str]
) -> None:
    assert {f"ORDERLY_{name}" for name in names} == errors_of(**variables).keys()


@pytest.mark.parametrize(
    ("order_mails", "kinds"),
    [
        ("none", set()),
        ("placed, shipped", {"ORDER_PLACED", "ORDER_SHIPPED"}),
        ("", set(ORDER_KINDS)),
    ],
)
def test_the_mails_about_orders_can_be_chosen(order_mails: str, kinds: set[str]) -> None:
    settings = Settings.from_environment(
        {"ORDERLY_ORDER_MAILS": order_mails, "ORDERLY_SIGNING_KEY": KEY}
    )

    assert kinds == settings.configuration().mail_kinds & set(ORDER_KINDS)


def test_all_invalid_values_are_reported_together() -> None:
    errors = errors_of(
        ACCESS_TOKEN_MINUTES="0",
        ADMIN_PAGE="perhaps",
        ALLOWED_HOSTS="shop.example.com:443",
        BACKUPS_KEPT="0",
        CATALOGUE_CACHE_SECONDS="-1",
        COOKIE_SECURE="perhaps",
        CORS_ORIGINS="https://shop.example.com/",
        CURRENCY="eur",
        DATABASE_URL="mysql://db/shop",
        DEMO="perhaps",
        DATABASE_WAIT_SECONDS="-1",
        DATABASE_KEEPALIVE_SECONDS="5",
        DRAIN_SECONDS="3601",
        IDLE_IN_TRANSACTION_TIMEOUT_MS="-1",
        LOCK_TIMEOUT_MS="-1",
        STATEMENT_TIMEOUT_MS="-1",
        HANDLERS="processes",
        LOG_FORMAT="xml",
        LOG_LEVEL="loud",
        LOG_SAMPLE_RATE="1.1",
        MANUAL_PAYMENT_EXPIRY_MINUTES="-1",
        MAX_CONNECTIONS="0",
        REQUEST_LIMIT="-1",
        ORDER_EXPIRY_MINUTES="-1",
        ORDER_MAILS="sold",
        OTHER_SIGNING_KEYS="short",
        ACCOUNT_MAIL_LIMIT="0",
        PASSWORD_CHANGE_LIMIT="0",
        PAYMENT_LIMIT="0",
        PASSWORD_HASH="md5",
        PORT="65536",
        POSTGRESQL_LOG_PLANS_MS="-1",
        POSTGRESQL_LOG_STATEMENTS_MS="-1",
        QUEUE_TARGET_MS="5",
        REFRESH_LIMIT="0",
        REFRESH_TOKEN_DAYS="-1",
        REGISTRATION_LIMIT="0",
        REQUEST_HEAD_SECONDS="0",
        SANDBOX_MAIL="perhaps",
        SANDBOX_PAYMENTS="perhaps",
        SANDBOX_SECRET="short",
        SMTP_PORT="0",
        SMTP_SECURITY="ssl",
        SESSION_DAYS="0",
        SIGNING_KEY="short",
        SIGN_IN_LIMIT="0",
        SLOW_REQUEST_MS="-1",
        SLOW_STATEMENT_MS="3600001",
        STOREFRONT="perhaps",
        TEST_SYSTEM="perhaps",
        THREADS="many",
        METRICS_PORT="65536",
        TRACES="perhaps",
        TRANSFER_SECONDS="3601",
        TRUSTED_PROXIES="10.0.0.0/8,proxy",
        VALIDATE_RESPONSES="2",
        VERIFIED_EMAIL_REQUIRED="perhaps",
        WORKER="maybe",
        WORKER_SILENCE_SECONDS="9",
        WORKERS="0",
    )

    every_name = Settings.from_environment({}).as_environment().keys()
    accept_any_text = {
        "ORDERLY_DATABASE_SYSTEM_USER",
        "ORDERLY_DATA_DIR",
        "ORDERLY_HOST",
        "ORDERLY_LOG_FILE",
        "ORDERLY_METRICS_DIR",
        "ORDERLY_METRICS_HOST",
    }
    assert every_name | OPTIONAL == (errors.keys() | accept_any_text)
    assert "Must be one of: debug, info, warning, error." == errors["ORDERLY_LOG_LEVEL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://shop:hunter2@db/shop"),
        ("DATABASE_URL", "postgresql://shop:hunter2@[db/shop"),
        ("DATABASE_URL", "hunter2"),
        ("SIGNING_KEY", "hunter2"),
        ("PORT", "hunter2"),
        ("CURRENCY", "hunter2"),
        ("COOKIE_SECURE", "hunter2"),
        ("UNKNOWN", "hunter2"),
    ],
)
def test_an_error_does_not_repeat_the_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({f"ORDERLY_{name}": value})

    assert "hunter2" not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


def test_the_repr_of_settings_has_no_secrets() -> None:
    settings = Settings.from_environment({"ORDERLY_DATABASE_URL": URL, "ORDERLY_SIGNING_KEY": KEY})

    assert "hunter2" not in repr(settings)
    assert KEY not in repr(settings) + repr(settings.configuration())


def test_an_unknown_setting_is_an_error_that_suggests_the_closest_name() -> None:
    errors = errors_of(PROT="8080", QQQQ="1")

    assert "There is no such setting; did you mean ORDERLY_PORT?" == errors["ORDERLY_PROT"]
    assert "There is no such setting." == errors["ORDERLY_QQQQ"]


def test_variables_of_other_programs_are_ignored() -> None:
    Settings.from_environment(
        {
            "PATH": "/bin",
            "ORDERLYNESS": "yes",
            "ORDERLY_ADMIN_PASSWORD": "for create-admin",
            "ORDERLY_SERVICE_HOST": "10.0.0.1",
            "ORDERLY_SERVICE_PORT_HTTP": "80",
            "ORDERLY_PORT_80_TCP_ADDR": "10.0.0.1",
        }
    )


def test_settings_survive_the_round_trip_through_environment_variables() -> None:
    settings = Settings.from_environment(
        {"ORDERLY_DATABASE_URL": URL, "ORDERLY_SIGNING_KEY": KEY, "ORDERLY_COOKIE_SECURE": "0"}
    )

    assert settings == Settings.from_environment(settings.as_environment())


def test_the_configuration_of_the_services_comes_from_the_settings() -> None:
    configuration = Settings.from_environment(
        {
            "ORDERLY_SIGNING_KEY": KEY,
            "ORDERLY_CURRENCY": "JPY",
            "ORDERLY_ACCESS_TOKEN_MINUTES": "5",
            "ORDERLY_REFRESH_TOKEN_DAYS": "2",
            "ORDERLY_PASSWORD_HASH": "cheapest",
        }
    ).configuration()

    assert KEY.encode() == configuration.signing_key
    assert "JPY" == configuration.currency
    assert (300, 172_800) == (
        configuration.access_token_seconds,
        configuration.refresh_token_seconds,
    )
    assert 8 == configuration.argon2_memory_kib
    assert configuration.password_hashes_at_once >= 1


def test_the_signing_key_is_created_once_in_a_file_that_only_its_owner_can_read(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "new" / "data"
    settings = Settings.from_environment({"ORDERLY_DATA_DIR": str(directory)})

    key = settings.configuration().signing_key

    assert len(key) >= 32
    assert key == settings.configuration().signing_key
    assert [signing_keys.FILE_NAME] == [path.name for path in directory.iterdir()]
    assert 0o600 == stat.S_IMODE((directory / signing_keys.FILE_NAME).stat().st_mode)
    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)


def test_concurrent_starts_create_one_signing_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        rings = set(threads.map(lambda _: signing_keys.load_or_create(tmp_path), range(64)))

    assert 1 == len(rings)
    assert 1 == len(list(tmp_path.iterdir()))


def test_a_signing_key_that_cannot_be_stored_is_an_error_of_the_data_directory_setting(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings.from_environment({"ORDERLY_DATA_DIR": str(tmp_path / "file")})

    with pytest.raises(SettingsError, match=r"ORDERLY_DATA_DIR: .*/file: File exists"):
        settings.configuration()


def test_a_data_directory_that_every_user_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    settings = Settings.from_environment({"ORDERLY_DATA_DIR": str(tmp_path)})

    with pytest.raises(SettingsError, match=r"ORDERLY_DATA_DIR: .*\(mode 0777\).*chmod o-w"):
        settings.configuration()

    assert [] == list(tmp_path.iterdir())


def test_a_signing_key_that_every_user_can_write_to_is_refused(tmp_path: Path) -> None:
    signing_keys.load_or_create(tmp_path)
    (tmp_path / signing_keys.FILE_NAME).chmod(0o666)

    with pytest.raises(signing_keys.SigningKeyError, match=r"\(mode 0666\)\. Delete the file"):
        signing_keys.load_or_create(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a file")
@pytest.mark.parametrize("name", ["", signing_keys.FILE_NAME])
def test_a_data_directory_or_signing_key_of_another_user_is_refused(
    tmp_path: Path, name: str
) -> None:
    signing_keys.load_or_create(tmp_path)
    os.chown(tmp_path / name, 12345, -1)

    with pytest.raises(signing_keys.SigningKeyError, match=r"belongs to another user \(id 12345\)"):
        signing_keys.load_or_create(tmp_path)


def test_the_group_may_have_access_to_the_data_directory(tmp_path: Path) -> None:
    ring = signing_keys.load_or_create(tmp_path)
    tmp_path.chmod(0o2770)
    (tmp_path / signing_keys.FILE_NAME).chmod(0o660)

    assert ring == signing_keys.load_or_create(tmp_path)


def test_a_damaged_signing_key_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / signing_keys.FILE_NAME).write_text("")

    with pytest.raises(signing_keys.SigningKeyError, match="Delete the file"):
        signing_keys.load_or_create(tmp_path)


def test_other_signing_keys_are_accepted() -> None:
    configuration = Settings.from_environment(
        {"ORDERLY_SIGNING_KEY": KEY, "ORDERLY_OTHER_SIGNING_KEYS": f" {'n' * 32}\n{'o' * 32} "}
    ).configuration()

    assert (b"n" * 32, b"o" * 32) == configuration.other_signing_keys


@pytest.mark.parametrize(
    "origins",
    ["*", "null", "shop.example.com", "https://shop.example.com/", "https://a b", "https://A.b"],
)
def test_an_allowed_origin_must_be_spelled_as_browsers_send_it(origins: str) -> None:
    assert {"ORDERLY_CORS_ORIGINS"} == errors_of(CORS_ORIGINS=origins).keys()


def test_after_a_rotation_both_keys_are_accepted_and_the_new_key_signs_later(
    tmp_path: Path,
) -> None:
    first = signing_keys.load_or_create(tmp_path).keys[0].key

    signing_keys.rotate(tmp_path)

    ring = signing_keys.load_or_create(tmp_path)
    second = ring.keys[0].key
    now = datetime.now(UTC)
    assert (first, (second,)) == (ring.signing(now), ring.others(now))
    later = now + signing_keys.ACTIVATION_DELAY
    assert (second, (first,)) == (ring.signing(later), ring.others(later))


def test_a_retired_key_is_deleted_when_all_its_tokens_have_expired(tmp_path: Path) -> None:
    ring = signing_keys.load_or_create(tmp_path)
    now = datetime.now(UTC)

    for hours in (0, 20, 50, 51):
        ring = ring.rotated(now + timedelta(hours=hours), at_once=False)

    assert 3 == len(ring.keys)


def test_an_immediate_rotation_deletes_the_old_key(tmp_path: Path) -> None:
    (stolen,) = signing_keys.load_or_create(tmp_path).keys

    signing_keys.rotate(tmp_path, at_once=True)

    ring = signing_keys.load_or_create(tmp_path)
    assert 1 == len(ring.keys)
    assert stolen.key != ring.signing(datetime.now(UTC))
    assert 0o600 == stat.S_IMODE((tmp_path / signing_keys.FILE_NAME).stat().st_mode)


def test_the_keys_of_a_directory_without_keys_are_not_rotated(tmp_path: Path) -> None:
    with pytest.raises(signing_keys.SigningKeyError, match=r"has no signing key yet.*--data-dir"):
        signing_keys.rotate(tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_a_key_file_from_before_key_rings_is_still_accepted(tmp_path: Path) -> None:
    (tmp_path / signing_keys.FILE_NAME).write_text(KEY.replace(" ", "-") + "\n")

    ring = signing_keys.load_or_create(tmp_path)

    assert KEY.replace(" ", "-").encode() == ring.signing(datetime.now(UTC))


def test_the_document_describes_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(ORDERLY_\w+)` \| (.*?) \|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: default.strip("`") for name, default in rows}

    described_in_words = {
        "ORDERLY_ALLOWED_HOSTS",
        "ORDERLY_BACKUP_DIR",
        "ORDERLY_SANDBOX_PAYMENTS",
        "ORDERLY_MAIL_FROM",
        "ORDERLY_MAIL_TEMPLATES",
        "ORDERLY_SANDBOX_MAIL",
        "ORDERLY_SANDBOX_SECRET",
        "ORDERLY_SHOP_URL",
        "ORDERLY_SMTP_CA_FILE",
        "ORDERLY_SMTP_HOST",
        "ORDERLY_SMTP_PASSWORD",
        "ORDERLY_SMTP_PORT",
        "ORDERLY_SMTP_USERNAME",
        "ORDERLY_STRIPE_SECRET_KEY",
        "ORDERLY_STRIPE_URL",
        "ORDERLY_STRIPE_WEBHOOK_SECRET",
        "ORDERLY_DATABASE_OWNER_URL",
        "ORDERLY_DATABASE_SYSTEM_USER",
        "ORDERLY_DATABASE_URL",
        "ORDERLY_DATA_DIR",
        "ORDERLY_COOKIE_SECURE",
        "ORDERLY_SIGNING_KEY",
        "ORDERLY_OTHER_SIGNING_KEYS",
        "ORDERLY_CORS_ORIGINS",
        "ORDERLY_LOG_FILE",
        "ORDERLY_METRICS_DIR",
        "ORDERLY_METRICS_PORT",
        "ORDERLY_POSTGRESQL_LOG_PLANS_MS",
        "ORDERLY_POSTGRESQL_LOG_STATEMENTS_MS",
        "ORDERLY_TRUSTED_PROXIES",
        ADMIN_PASSWORD_VARIABLE,
    }
    defaults = Settings.from_environment({}).as_environment()
    assert defaults.keys() | described_in_words == documented.keys()
    assert len(rows) == len(documented)
    assert {name: value.lower() for name, value in defaults.items()} == {
        **{name: documented[name].lower() for name in defaults},
        **{name: defaults[name].lower() for name in described_in_words & defaults.keys()},
    }


def test_the_secrets_of_stripe_are_set_together() -> None:
    for name, other in (
        ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
        ("STRIPE_WEBHOOK_SECRET", "STRIPE_SECRET_KEY"),
    ):
        errors = errors_of(**{name: "a secret"})

        assert {f"ORDERLY_{other}": f"Must be set together with ORDERLY_{name}."} == errors


SECRET_VALUES = {
    "ORDERLY_DATABASE_URL": URL,
    "ORDERLY_DATABASE_OWNER_URL": URL,
    "ORDERLY_SIGNING_KEY": KEY,
    "ORDERLY_OTHER_SIGNING_KEYS": f"{'n' * 32} {'o' * 32}",
    "ORDERLY_STRIPE_SECRET_KEY": "sk_test_1",
    "ORDERLY_STRIPE_WEBHOOK_SECRET": "whsec_1",
    "ORDERLY_SMTP_PASSWORD": "a mail password",
    "ORDERLY_SANDBOX_SECRET": KEY,
}


def test_every_secret_can_come_from_a_file(tmp_path: Path) -> None:
    files = {}
    for name, value in SECRET_VALUES.items():
        (tmp_path / name).write_text(f"{value}\n")
        files[f"{name}_FILE"] = str(tmp_path / name)

    assert set(SECRETS) == SECRET_VALUES.keys()
    assert Settings.from_environment(SECRET_VALUES) == Settings.from_environment(files)


def test_a_secret_cannot_come_from_a_variable_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)

    errors = errors_of(SIGNING_KEY=KEY, SIGNING_KEY_FILE=str(tmp_path / "key"))

    assert {
        "ORDERLY_SIGNING_KEY_FILE": "Cannot be set together with ORDERLY_SIGNING_KEY."
    } == errors


def test_a_file_without_a_secret_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    contents = {"empty": b" \n", "binary": b"\xff\xfe", "large": b"x" * (MAX_BYTES + 1)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    def error(path: Path) -> str:
        # Only one of Stripe's settings: the error of its file is the only one.
        (item,) = errors_of(STRIPE_SECRET_KEY_FILE=str(path), STRIPE_WEBHOOK_SECRET="w").items()
        assert "ORDERLY_STRIPE_SECRET_KEY_FILE" == item[0]
        return item[1]

    assert "The file is empty." == error(tmp_path / "empty")
    assert "The file is not UTF-8 text." == error(tmp_path / "binary")
    assert f"The file is larger than {MAX_BYTES} bytes." == error(tmp_path / "large")
    assert "The file cannot be read: No such file or directory." == error(tmp_path / "missing")
    assert "The file cannot be read: Is a directory." == error(tmp_path)


def test_an_invalid_secret_in_a_file_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")

    errors = errors_of(SIGNING_KEY_FILE=str(tmp_path / "key"))

    assert {"ORDERLY_SIGNING_KEY": "Shorter than 32 bytes."} == errors


def test_only_secrets_can_come_from_files() -> None:
    assert {"ORDERLY_PORT_FILE"} == errors_of(PORT_FILE="/run/secrets/port").keys()


def test_a_child_process_gets_the_secrets_and_no_other_variables_of_orderly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("ORDERLY_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("ORDERLY_DATABASE_OWNER_URL", URL)
    monkeypatch.setenv("ANOTHER", "1")
    settings = replace(Settings.from_environment(), database_owner_url=None)

    environment = settings.environment_of_child()

    assert settings == Settings.from_environment(environment)
    assert "1" == environment["ANOTHER"]
    assert "ORDERLY_DATABASE_OWNER_URL" not in environment


def test_the_document_lists_the_secrets_that_can_come_from_files() -> None:
    (section,) = re.findall(
        r"^## Secrets from files$(.*?)^## ", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )

    assert {*SECRETS, ADMIN_PASSWORD_VARIABLE} == set(
        re.findall(r"^- `(\w+)`", section, re.MULTILINE)
    )
