import json
import shutil

import pytest

from tests.trimvae.cli.command_line import call


def test_a_report_needs_the_run_alone_and_takes_the_evaluation_along(run, folder):
    result = call("report", "run", "--trust", "--title", "Of <b>my</b> model", "--shown", "4")
    assert result.exit_code == 0, result.output
    page = (run / "report.html").read_text("utf-8")
    assert "Of &lt;b&gt;my&lt;/b&gt; model" in page
    assert page.count('class="card" data-example') == 4
    assert "blü" in page
    assert "flip at 1" not in page
    assert call("evaluate", "run", "--trust", "--interventions", "10").exit_code == 0
    assert call("report", "run", "--trust", "--out", "elsewhere/page.html").exit_code == 0
    assert "flip at 1" in (folder / "elsewhere" / "page.html").read_text("utf-8")


def test_a_judge_is_asked_about_moved_inputs(run, folder):
    said = ("--judge", "my_model.py:load", "--judge", "my_model.py:load")
    assert call("report", "run", "--trust", "--shown", "4", *said).exit_code == 0
    page = (run / "report.html").read_text("utf-8")
    found = page.count("The smallest move to another answer:")
    assert found + page.count("No move of up to three latents") == 4
    assert page.count("judge 2 says") == found


def test_another_run_and_another_classifier_stand_beside_the_run_s_own(run, folder):
    shutil.copytree(run, folder / "another")
    assert call("report", "run", "--trust", "--against", "another").exit_code == 0
    page = (run / "report.html").read_text("utf-8")
    assert "Side by side: run and another" in page
    assert "One classifier and one code, explained twice." in page
    other = folder / "other_model.py"
    text = (folder / "my_model.py").read_text("utf-8")
    other.write_text(text.replace("manual_seed(1)", "manual_seed(5)"), "utf-8")
    said = ("--against-classifier", "other_model.py:load")
    with pytest.warns(UserWarning, match="weights"):
        result = call("report", "run", "--trust", *said)
    assert result.exit_code == 0, result.output
    page = (run / "report.html").read_text("utf-8")
    assert "Side by side: the classifier and other_model.py:load" in page
    assert "Two classifiers, seen through the same code." in page


@pytest.mark.parametrize("command", ["explain", "evaluate", "report"])
def test_every_command_takes_odd_names(run, command):
    path = run / "configuration.json"
    names = ["$\\frac{ half\ud800", "\x1b[2Jcat\u202egnp | dog", "y" * 10_000]
    configuration = {**json.loads(path.read_text("utf-8")), "class_names": names}
    path.write_text(json.dumps(configuration), "utf-8")
    result = call(command, "run", "--trust")
    assert result.exit_code == 0, result.output
    assert "\x1b[2J" not in result.output
    written = [path for path in run.rglob("*") if path.suffix in (".md", ".html", ".csv")]
    assert written
    for path in written:
        path.read_text("utf-8")
