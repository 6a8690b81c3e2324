"""Run the notebooks from top to bottom, and keep what they show.

    python -m examples.notebooks

Needs nbclient and ipykernel, which `pip install 'trimvae[notebooks]'` brings. With
`TRIMVAE_QUICK=1` nothing is kept.
"""

from pathlib import Path

from examples.quick import QUICK

FOLDER = Path(__file__).parent


def main() -> None:
    import nbformat
    from nbclient import NotebookClient

    for path in sorted(FOLDER.glob("*.ipynb")):
        print(path.name, flush=True)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # when it ran, and on whose machine
            if cell.cell_type == "code":
                cell.outputs = [kept for kept in cell.outputs if kept.get("name") != "stderr"]
        if not QUICK:
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
