from tests.trimvae.cli.command_line import call


def test_a_report_needs_the_run_alone_and_takes_the_evaluation_along(run, folder):
    result = call("report", "run", "--title", "Of <b>my</b> model", "--shown", "4")
    assert result.exit_code == 0, result.output
    page = (run / "report.html").read_text("utf-8")
    assert "Of &lt;b&gt;my&lt;/b&gt; model" in page
    assert page.count('class="card" data-example') == 4
    assert "blü" in page
    assert "flip at 1" not in page
    assert call("evaluate", "run", "--interventions", "10").exit_code == 0
    assert call("report", "run", "--out", "elsewhere/page.html").exit_code == 0
    assert "flip at 1" in (folder / "elsewhere" / "page.html").read_text("utf-8")
