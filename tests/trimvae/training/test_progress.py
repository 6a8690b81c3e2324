import io
import types

import pytest
import rich

from tests.trimvae.training.cases import small_vae
from trimvae import fit
from trimvae.training import progress
from trimvae.training.progress import History, ProgressBar, ProgressLines, progress_of


def trained(table, **options):
    return fit(small_vae(), None, table, **{"max_epochs": 3, **options})


def test_without_a_terminal_there_are_plain_lines_on_standard_error(table, capfd, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)
    history = trained(table)
    found = capfd.readouterr()
    assert found.out == ""
    lines = found.err.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "epoch 1 of 3",
        "epoch 2 of 3",
        "epoch 3 of 3",
    ]
    for line, means in zip(lines, history, strict=True):
        assert f"reconstruction {means['reconstruction']:.4g}, kl {means['kl']:.4g}" in line
        assert line.isascii()


def test_lines_are_at_least_a_second_apart_and_the_last_epoch_has_one(table, capfd, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 3600.0)
    trained(table, max_epochs=5)
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[-1:]] == ["epoch 5 of 5"]
    assert len(lines) <= 2


@pytest.mark.parametrize("place", ["terminal", "jupyter"])
def test_a_terminal_and_a_notebook_have_a_bar(place, monkeypatch):
    assert isinstance(progress_of(History()), ProgressLines)
    there = {f"is_{name}": name == place for name in ("terminal", "jupyter")}
    monkeypatch.setattr(progress, "Console", lambda **_: types.SimpleNamespace(**there))
    assert isinstance(progress_of(History()), ProgressBar)


def test_the_bar_shows_every_term_on_standard_error_and_leaves_the_caller_s_console_alone(
    table, predictor, capsys, monkeypatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes anything for a terminal
    mine = io.StringIO()
    rich.reconfigure(file=mine)
    try:
        fit(small_vae(), predictor, table, max_epochs=1, batch_size=32)
        rich.get_console().print("still mine")
    finally:
        rich.reconfigure()
    found = capsys.readouterr()
    assert found.out == ""
    assert "Epoch" in found.err
    assert "prediction" in found.err
    assert "_step" not in found.err
    assert "still mine" in mine.getvalue()


def test_no_progress_says_nothing(table, capfd):
    trained(table, progress=False)
    assert capfd.readouterr() == ("", "")
