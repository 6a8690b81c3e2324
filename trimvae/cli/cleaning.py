"""What a run has written into its folder, and how it is deleted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimvae.cli.runs import (
    CHECKPOINT,
    CODE,
    CONSENSUS,
    HISTORY,
    TRAVERSED,
    along_axes_of,
    code_of,
    configuration_of,
    configured_codes,
    folder_of,
)

# All that the commands write into a run's folder beside its configuration.
WRITTEN = (
    CODE,
    CHECKPOINT,
    f"{along_axes_of()}/{CHECKPOINT}",
    "metrics.json",
    HISTORY,
    "examples.safetensors",
    "evaluation.json",
    "evaluation.md",
    "report.html",
    "explanation/explanation.safetensors",
    "explanation/heatmap.png",
    "explanation/attributions.csv",
    *(f"explanation/traversals_{example}.png" for example in range(TRAVERSED)),
)

# What a demo writes besides, and what Python keeps of its classifier.py. In another run's folder
# files of these names are the user's own.
WRITTEN_BY_DEMO = (
    "comparison.png",
    "classifier.py",
    "classifier.safetensors",
    "__pycache__/classifier.cpython-*.pyc",
)

# How `trimvae.storage.replacing` ends the name of a file that is not whole yet.
UNFINISHED = "[0-9a-f]" * 8


def written(folder: Path) -> list[Path]:
    """Files that the run in a folder has written, but for its configuration."""
    return [file for pattern in patterns_of(folder) for file in files_of(folder, pattern)]


def delete_written(folder: Path) -> None:
    """Delete what a run has written but its configuration, and subfolders that are empty then.

    Files of the user's own stay, and so does what symbolic links point to.
    """
    for file in written(folder):
        file.unlink()
    within = {path for pattern in patterns_of(folder) for path in _places_of(folder, pattern)}
    for subfolder in sorted(within - {folder}, reverse=True):  # the innermost first
        if not any(subfolder.iterdir()):
            subfolder.rmdir()


def patterns_of(folder: Path) -> tuple[str, ...]:
    """Names of all that the run in a folder may have written but its configuration."""
    configuration = configuration_of(folder) or {}
    demo = configuration.get("command") == "demo"
    return (*WRITTEN, *_written_by_others(configuration), *(WRITTEN_BY_DEMO if demo else ()))


def _written_by_others(configuration: Mapping[str, Any]) -> list[str]:
    """What a run of several codes writes besides, for every code but the first."""
    count = configured_codes(configuration)
    found = [CONSENSUS] if count > 1 else []
    for place in range(1, count):
        within = folder_of(configuration["seed"] + place)
        found += [code_of(place), f"{within}/{along_axes_of()}/{CHECKPOINT}"]
        found += [f"{within}/{CHECKPOINT}", f"{within}/{HISTORY}"]
    return found


def files_of(folder: Path, pattern: str) -> list[Path]:
    """Files of a run by their name in `WRITTEN`, and what a crash has left of unfinished ones."""
    name = Path(pattern).name
    found = [
        file
        for place in _places_of(folder, pattern)
        for file in (*place.glob(name), *place.glob(f".{name}.{UNFINISHED}"))
    ]
    return [file for file in found if file.is_symlink() or file.is_file()]


def _places_of(folder: Path, pattern: str) -> list[Path]:
    """Folders within a run's in which files of this name are, symbolic links apart."""
    places = [folder]
    for part in Path(pattern).parts[:-1]:
        places = [within for place in places for within in place.glob(part)]
        places = [place for place in places if place.is_dir() and not place.is_symlink()]
    return places
