import json

from tests.trimvae.cli.command_line import call


def test_an_evaluation_is_written_to_read_and_to_process(run):
    result = call("evaluate", "run", "--method", "FeatureAblation", "--interventions", "10")
    assert result.exit_code == 0, result.output
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert "agreement" in evaluation["metrics"]
    assert evaluation["settings"]["method"] == "FeatureAblation"
    assert evaluation["settings"]["intervention_examples"] == 10
    assert "| deletion_score |" in (run / "evaluation.md").read_text()
    assert "deletion_score" in result.output
