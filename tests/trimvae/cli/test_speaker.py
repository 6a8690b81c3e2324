import json

from trimvae.cli.speaker import Speaker


def test_a_person_reads_every_line_and_no_markup_is_obeyed(capsys, tmp_path):
    speaker = Speaker(as_json=False)
    speaker.say("[bold]a name[/]")
    speaker.table("title", ["figure", "value"], {"agreement": [0.98765]})
    speaker.warnings(["[red]look[/]"])
    speaker.end(tmp_path / "run", "read it", {"metrics": {}})
    said = capsys.readouterr().out
    assert "[bold]a name[/]" in said
    assert "0.9877" in said
    assert "warning: [red]look[/]" in said
    assert "Next: read it" in said.replace("\n", " ")


def test_a_machine_reads_one_json_object_and_nothing_else(capsys, tmp_path):
    speaker = Speaker(as_json=True)
    speaker.say("line")
    speaker.table("title", ["figure", "value"], {"agreement": [0.5]})
    speaker.warnings(["look"])
    speaker.end(tmp_path, "read it", {"metrics": {"agreement": 0.5}})
    said = capsys.readouterr().out
    assert json.loads(said) == {"folder": str(tmp_path), "metrics": {"agreement": 0.5}}
