"""The file of API keys: what it may say, and what becomes of a change."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ROOT
from web.api_keys import SCOPES, ApiKeys, KeysFileError, new_key, read_keys


def make(path: Path, *scopes: str, name: str = "shop", more: str = "") -> str:
    """Add a key to the file at `path` and return it."""
    secret, table = new_key(name, list(scopes) or ["predict"])
    with path.open("a") as file:
        file.write(table + more + "\n")
    return secret


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def test_a_key_is_found_by_itself_and_by_nothing_else(path: Path) -> None:
    shop, phone = make(path), make(path, "admin", name="phone")
    keys = ApiKeys(path)
    found = [keys.find(secret) for secret in (shop, phone)]
    assert [key and key.name for key in found] == ["shop", "phone"]
    digest = hashlib.sha256(shop.encode()).hexdigest()
    for wrong in ("", shop[:-1], shop + "x", shop.lower(), digest, "é", "\ud800", "x" * 8000):
        assert keys.find(wrong) is None


def test_the_file_does_not_tell_the_key(path: Path) -> None:
    secret = make(path)
    assert secret not in path.read_text()
    assert secret.removeprefix("bp_") not in path.read_text()
    assert len(secret) > 43  # 32 random bytes


def test_all_keys_are_compared_whichever_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [make(path, name=f"k{number}") for number in range(5)]
    keys, compared = ApiKeys(path), []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    for secret in (secrets[0], secrets[4], "wrong"):
        compared.clear()
        keys.find(secret)
        assert len(compared) == 5


def test_scopes_and_a_rate_are_read(path: Path) -> None:
    secret = make(path, "predict", "feedback", more="rate_per_s = 2.5\nrate_burst = 7\n")
    key = ApiKeys(path).find(secret)
    assert key
    assert key.scopes == {"predict", "feedback"}
    assert (key.rate_per_s, key.rate_burst) == (2.5, 7)


def test_a_key_is_changed_without_a_restart(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = make(path)
    keys = ApiKeys(path)
    new = make(path)  # of the same name: both hold for a while
    assert keys.find(old)
    assert keys.find(new)
    path.unlink()
    new = make(path)
    assert keys.find(new)
    assert keys.find(old) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


@pytest.mark.parametrize("broken", ["", "key = ", '[[key]]\nname = "a"\n', None])
def test_a_broken_file_leaves_the_keys_as_they_were_and_is_logged_once(
    broken: str | None, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = make(path)
    keys = ApiKeys(path)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    assert all(keys.find(secret) for _ in range(3))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    path.write_text("")
    later = make(path)
    assert keys.find(later)
    assert keys.find(secret) is None


def test_a_change_of_the_same_length_in_the_same_moment_is_seen(path: Path) -> None:
    old = make(path)
    keys, before = ApiKeys(path), path.stat()
    other = path.with_name("other.toml")
    new = make(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_size == before.st_size
    assert keys.find(new)
    assert keys.find(old) is None


GOOD = {"name": '"a"', "sha256": f'"{"0" * 64}"', "scopes": '["predict"]'}


def table(**fields: str) -> str:
    return "[[key]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[key]]",
        "key = 5",
        "key = [1]",
        "[key]",
        "[[key]",
        "\xff",
        table(**GOOD) + table(**GOOD),
        "other = 1\n" + table(**GOOD),
        table(**GOOD, scope='["admin"]'),
        *(
            table(**{**GOOD, name: value})
            for name, value in (
                ("name", '""'),
                ("name", '"a b"'),
                ("name", '"a\\n"'),
                ("name", "5"),
                ("name", f'"{"a" * 65}"'),
                ("sha256", '"00"'),
                ("sha256", f'"{"A" * 64}"'),
                ("scopes", "[]"),
                ("scopes", '"predict"'),
                ("scopes", '["everything"]'),
                ("scopes", "[5]"),
                ("rate_per_s", "0"),
                ("rate_per_s", "nan"),
                ("rate_per_s", "inf"),
                ("rate_per_s", "true"),
                ("rate_burst", "0"),
                ("rate_burst", "1.5"),
            )
        ),
    ],
)
def test_a_file_that_cannot_be_meant_is_an_error_that_names_it(text: str, path: Path) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(KeysFileError, match=r"keys\.toml"):
        read_keys(path)


def test_a_good_table_is_no_error(path: Path) -> None:
    path.write_text(table(**GOOD))
    assert read_keys(path)[0].name == "a"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "web.api_keys", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_makes_a_key_whose_table_can_be_appended(path: Path) -> None:
    for name in ("one", "two"):
        made = run(name, "--scopes", ",".join(SCOPES))
        assert made.returncode == 0
        with path.open("a") as file:
            file.write(made.stdout)
    key = ApiKeys(path).find(made.stderr.split()[-1])
    assert key
    assert key.name == "two"
    assert key.scopes == set(SCOPES)


@pytest.mark.parametrize("wrong", [["a b"], ["shop", "--scopes", "all"], ["shop", "--scopes", ""]])
def test_the_command_refuses_what_the_file_would_not_take(wrong: list[str]) -> None:
    refused = run(*wrong)
    assert refused.returncode == 2
    assert refused.stdout == ""


@pytest.mark.parametrize("content", [None, "[[key]]"])
def test_the_web_tier_does_not_start_without_its_keys(content: str | None, path: Path) -> None:
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [sys.executable, "run_web.py"],
        cwd=ROOT,
        env={**os.environ, "API_KEYS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "keys.toml" in done.stderr
