"""Which passwords are too easy to guess, and the CPU time that a rating takes."""

from __future__ import annotations

import random
import time

import pytest

from services.password_strength import is_easily_guessed

OWN_WORDS = ["ada.lovelace@example.com", "ada.lovelace", "example.com", "Ada Lovelace", "Ada"]
MAX_CPU_SECONDS = 0.05

# The characters that zxcvbn reads as letters in several ways.
LEET = "4@8({[<3691!|70$5+%2"


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@$$w0rd123",
        "p4$$w0rd!1",
        "qwertyuiop",
        "!@#$%^&*()",
        "1234567890",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "2001-12-31",
        "adalovelace",
        "Ada.Lovelace@example.com",
    ],
)
def test_a_common_or_personal_password_is_easily_guessed(password: str) -> None:
    assert is_easily_guessed(password, OWN_WORDS)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "this is the story of my life",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa correct horse battery staple",
        "correct horse battery staple aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "четыре случайных слова подряд",
        "正しい馬の電池ホッチキス",
        "τέσσερις τυχαίες λέξεις",
        "أربع كلمات عشوائية",
        "चार यादृच्छिक शब्द",
        "🐎🔋📎✅🐎🔋📎✅🎷🦑",
        "t7$Kq|1z!9{W",
        LEET,
    ],
)
def test_a_passphrase_of_any_script_is_accepted(password: str) -> None:
    assert not is_easily_guessed(password, OWN_WORDS)


def hostile_passwords() -> list[str]:
    """Return passwords that are slow to rate: many readings, repetitions and overlapping words."""
    generator = random.Random(1)
    passwords = [(LEET * 7)[:128], ("p4$$w0rd|1!7(+%263" * 8)[:128], ("4@" * 64), "1|7" * 42]
    for _ in range(60):
        characters = generator.sample(LEET, generator.randint(2, len(LEET)))
        characters += generator.choice([[], list("aA"), list("Passwordlove")])
        text = "".join(generator.choices(characters, k=128))
        passwords.append(generator.choice([text, (text[: generator.randint(2, 12)] * 64)[:128]]))
    return passwords


def test_rating_takes_little_cpu_even_for_hostile_passwords() -> None:
    is_easily_guessed("import zxcvbn first", OWN_WORDS)

    def cpu_seconds(password: str) -> float:
        began = time.thread_time()
        is_easily_guessed(password, OWN_WORDS)
        return time.thread_time() - began

    # The minimum of three: the CPU's caches and clock rate vary.
    worst = max(min(cpu_seconds(one) for _ in range(3)) for one in hostile_passwords())
    assert worst < MAX_CPU_SECONDS
