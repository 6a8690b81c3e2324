import json
import re

import pytest

from tests.trimvae.cli.command_line import call
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


def test_no_name_moves_the_cursor_or_stops_the_printing(capsys):
    speaker = Speaker(as_json=False)
    speaker.say("first\nhalf\ud800 \x1b[2Jcleared cat\u202egnp")
    speaker.warnings(["\x1b]0;title\x07 of a\ndog"])
    said = capsys.readouterr().out
    said.encode("utf-8")
    assert (
        said
        == "first\nhalf\ufffd \ufffd[2Jcleared catgnp\nwarning: \ufffd]0;title\ufffd of a\ndog\n"
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_what_takes_a_while_is_said_on_standard_error_in_plain_lines(capsys, as_json):
    with Speaker(as_json).working("explaining [2] examples"):
        pass
    found = capsys.readouterr()
    assert found.out == ""
    first, last = found.err.splitlines()
    assert first == "explaining [2] examples ..."
    assert re.fullmatch(r"explaining \[2\] examples: \d+\.\d s", last)


@pytest.mark.parametrize("command", ["explain", "evaluate", "report"])
def test_every_long_command_says_what_it_does_while_it_works(run, command):
    few = ["--interventions", "4"] if command == "evaluate" else ["--examples", "2"]
    result = call(command, "run", "--trust", *few, "--json")
    json.loads(result.stdout)
    verb = "evaluating" if command == "evaluate" else "explaining"
    assert re.search(rf"^{verb} \d+ examples \.\.\.$", result.stderr, re.MULTILINE)
    assert re.search(rf"^{verb} \d+ examples: \d+\.\d s$", result.stderr, re.MULTILINE)
    assert "\x1b" not in result.stderr
    assert "\r" not in result.stderr
