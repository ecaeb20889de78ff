"""Settings and where they come from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from shared.settings import SettingError, Settings


def test_the_defaults_stand_where_the_environment_is_silent() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"PORT": ""}).port == 8000


def test_a_setting_is_read_by_its_name_in_capitals() -> None:
    settings = Settings.from_environment({"PORT": "9000", "MODELS_FOLDER": "/srv/models"})
    assert settings.port == 9000
    assert settings.models_folder == Path("/srv/models")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "65536"),
        ("LOG_LEVEL", "loud"),
        ("ENGINE", "steam"),
        ("REDIS_URL", "localhost:6379"),
    ],
)
def test_a_setting_out_of_range_is_named_in_the_error(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({name: text})


@pytest.mark.parametrize("text", ["many", "-1", "0", "1.5"])
def test_a_wrong_setting_is_named_in_the_error(text: str) -> None:
    with pytest.raises(SettingError, match="LEASE_MS"):
        Settings.from_environment({"LEASE_MS": text})


def test_the_default_deadline_is_not_over_the_longest() -> None:
    with pytest.raises(SettingError, match="MAX_DEADLINE_MS"):
        Settings.from_environment({"MAX_DEADLINE_MS": "100"})


def test_process_counts_suit_the_machine_unless_given() -> None:
    web, workers = Settings().process_counts()
    assert web >= 1
    assert workers >= 1
    assert Settings(web_processes=3, workers=5).process_counts() == (3, 5)


def test_each_gpu_that_is_named_has_a_worker() -> None:
    assert Settings(cuda_visible_devices="3,GPU-5").gpus() == ["3", "GPU-5"]
    assert Settings(cuda_visible_devices="3,1,2").process_counts()[1] == 3
    assert Settings(cuda_visible_devices="-1").gpus() == []
    assert Settings().gpus() == []


def test_the_readme_lists_every_setting_with_its_default() -> None:
    readme = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
    for setting in fields(Settings):
        assert f"| `{setting.name.upper()}` | `{setting.default}` |" in readme


@pytest.mark.parametrize(
    ("host", "keys", "is_open"),
    [
        ("127.0.0.1", "", False),
        ("127.8.8.8", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("192.0.2.1", "", True),
        ("batchpoint.example", "", True),
        ("0.0.0.0", "keys.toml", False),
    ],
)
def test_it_is_open_to_all_where_others_reach_it_and_no_keys_are_asked_for(
    host: str, keys: str, is_open: bool
) -> None:
    assert Settings(host=host, api_keys_file=keys).is_open_to_all() is is_open
