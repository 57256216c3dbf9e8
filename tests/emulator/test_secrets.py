"""What is shown of a function's environment, and what is masked."""

from __future__ import annotations

import pytest

from emulator.server.secrets import masked


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("STAGE", "dev", "dev"),
        ("MONKEYS", "12", "12"),
        ("HOME_URL", "https://school.example:443/a?b=c", "https://school.example:443/a?b=c"),
        ("DB_PASSWORD", "s3cret", "****"),
        ("API_KEY", "s3cret", "****"),
        ("stripeSecret", "s3cret", "****"),
        ("GITHUB_TOKEN", "", ""),
        ("DATABASE_URL", "postgresql://ms:s3cret@host/db", "postgresql://ms:****@host/db"),
        ("DATABASE_URL", "postgresql://ms:s3@cr/et@host/db", "postgresql://ms:****@host/db"),
        ("DATABASE_URL", "redis://:s3cret@host", "redis://:****@host"),
        ("DATABASE_URL", "postgresql://host/db?password=s3cret&a=b", "postgresql://host/db?password=****&a=b"),
        ("DATABASE", "host=h password=s3cret dbname=d", "host=h password=**** dbname=d"),
        ("ERRORS", "https://s3cret@errors.example/1", "https://****@errors.example/1"),
        ("SIGNER", "-----BEGIN RSA PRIVATE KEY-----\nMIIE", "****"),
    ],
)
def test_what_looks_like_a_secret_is_masked(name: str, value: str, shown: str) -> None:
    assert masked(name, value) == shown
