import json

import pytest

from tests.trimvae.cli.command_line import call


def test_an_evaluation_is_written_to_read_and_to_process(run):
    result = call(
        "evaluate", "run", "--trust", "--method", "FeatureAblation", "--interventions", "10"
    )
    assert result.exit_code == 0, result.output
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert "agreement" in evaluation["metrics"]
    assert evaluation["settings"]["method"] == "FeatureAblation"
    assert evaluation["settings"]["intervention_examples"] == 10
    assert "| deletion_score |" in (run / "evaluation.md").read_text()
    assert "deletion_score" in result.output
    assert "evaluating 20 examples ..." in result.stderr
    assert "evaluating 20 examples: " in result.stderr


def test_judges_are_named_and_their_gap_is_shown_with_its_meaning(run, folder):
    with (folder / "my_model.py").open("a") as file:
        file.write("\ndef other():\n    torch.manual_seed(2)\n    return torch.nn.Linear(6, 3)\n")
        file.write("\ndef wide():\n    return torch.nn.Linear(6, 5)\n")
    options = ("--trust", "--method", "FeatureAblation", "--interventions", "10")
    judged = ("--judge", "my_model.py:other", "--judge", "my_model.py:load")
    result = call("evaluate", "run", *options, *judged)
    assert result.exit_code == 0, result.output
    found = json.loads((run / "evaluation.json").read_text())
    assert {"agreement_of_judge_1", "agreement_of_judge_2"} < set(found["metrics"])
    low, high = found["intervals"]["judges_gap"]
    assert low <= found["metrics"]["judges_gap"] <= high
    assert "judges_gap" in result.output
    cells = " ".join(result.output.replace("│", " ").split())
    assert "agreement less that of other classifiers" in cells
    assert "95 % interval" in result.output
    with pytest.raises(ValueError, match="`judges` must tell the predictor's 3 classes"):
        call("evaluate", "run", *options, "--judge", "my_model.py:wide")
    with pytest.raises(AttributeError, match="`judge` must name a function of my_model.py"):
        call("evaluate", "run", *options, "--judge", "my_model.py:missing")


def test_what_is_doubtful_is_said(run):
    result = call("evaluate", "run", "--trust", "--method", "FeatureAblation")
    found = json.loads((run / "evaluation.json").read_text())
    assert found["warnings"]
    assert f"warning: {found['warnings'][0][:20]}" in " ".join(result.output.split())
