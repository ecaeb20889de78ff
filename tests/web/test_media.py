"""`image_path` leads to the files of the media folder and nowhere else."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from web.media import NoSuchImageError, read_media

MOST = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A media folder with two images, beside it a secret."""
    folder = tmp_path / "media"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"image")
    (folder / "sub" / "deep" / "b é.jpg").write_bytes(b"deep image")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def test_a_file_is_read_at_any_depth(folder: Path) -> None:
    assert read_media(str(folder), "a.jpg", MOST) == b"image"
    assert read_media(str(folder), "sub/deep/b é.jpg", MOST) == b"deep image"


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert read_media(str(tmp_path / "link"), "a.jpg", MOST) == b"image"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/",
        "../secret",
        "sub/../../secret",
        "sub/../a.jpg",
        "./a.jpg",
        "sub//deep/b é.jpg",
        "a.jpg/",
        "a.jpg/.",
        "/etc/passwd",
        "//etc/passwd",
        "{outside}/secret",
        "a.jpg\0",
        "\0",
        "a.jpg\0/../../secret",
        "..\\secret",
        "%2e%2e/secret",
        "~/secret",
        "file:///etc/passwd",
        "sub",
        "nothing.jpg",
        "sub/nothing/a.jpg",
        "a" * 300,
        "a/" * 5000 + "a",
        "\ud800",
        "/proc/self/environ",
        "/dev/stdin",
    ],
)
def test_a_path_that_is_not_plain_or_not_there_names_nothing(path: str, folder: Path) -> None:
    with pytest.raises(NoSuchImageError):
        read_media(str(folder), path.format(outside=folder.parent), MOST)


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "a.jpg", "link", "nowhere"])
def test_no_link_is_followed_to_a_file(target: str, folder: Path) -> None:
    (folder / "link").symlink_to(target)
    with pytest.raises(NoSuchImageError):
        read_media(str(folder), "link", MOST)


@pytest.mark.parametrize("target", ["..", "/", "sub"])
def test_no_link_is_followed_to_a_folder(target: str, folder: Path) -> None:
    (folder / "link").symlink_to(target)
    for path in ("link/secret", "link/etc/passwd", "link/deep/b é.jpg"):
        with pytest.raises(NoSuchImageError):
            read_media(str(folder), path, MOST)


def test_what_is_no_plain_file_holds_nobody_up(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    for path in ("fifo", "socket"):
        with pytest.raises(NoSuchImageError):
            read_media(str(folder), path, MOST)
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_read(folder: Path) -> None:
    try:
        os.mknod(folder / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container makes no devices")
    with pytest.raises(NoSuchImageError):
        read_media(str(folder), "zero", MOST)


def test_a_file_over_the_limit_is_not_read(folder: Path) -> None:
    (folder / "large").write_bytes(bytes(MOST + 1))
    (folder / "whole").write_bytes(bytes(MOST))
    assert len(read_media(str(folder), "whole", MOST)) == MOST
    with pytest.raises(NoSuchImageError):
        read_media(str(folder), "large", MOST)


def test_where_no_folder_is_set_or_it_is_gone_nothing_is_read(tmp_path: Path) -> None:
    for folder in ("", str(tmp_path / "gone")):
        with pytest.raises(NoSuchImageError):
            read_media(folder, "a.jpg", MOST)


def test_who_swaps_a_folder_for_a_link_meanwhile_leads_nobody_out(folder: Path) -> None:
    inside, outside = folder / "swap", folder.parent / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"secret")
    inside.mkdir()
    (inside / "a.jpg").write_bytes(b"image")
    (folder / "link").symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            inside.rename(folder / "kept")
            (folder / "link").rename(inside)
            inside.rename(folder / "link")
            (folder / "kept").rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = []
    for _ in range(3000):
        with contextlib.suppress(NoSuchImageError):
            read.append(read_media(str(folder), "swap/a.jpg", MOST))
    stop.set()
    swapper.join()
    assert set(read) == {b"image"}


def test_no_descriptor_is_left_open(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a.jpg", "sub/deep/b é.jpg", "sub", "nothing", "sub/nothing/x", "a.jpg/x"):
        with contextlib.suppress(NoSuchImageError):
            read_media(str(folder), path, MOST)
    assert len(os.listdir("/proc/self/fd")) == before
