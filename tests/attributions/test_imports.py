import subprocess
import sys

import attributions

HEAVY = (
    "scipy sklearn pandas torchvision lightning pytorch_lightning torchmetrics ptwt pywt trimvae"
)


def test_importing_attributions_loads_itself_and_nothing_that_captum_does_not():
    code = (
        "import sys, captum.attr; before = set(sys.modules); import attributions; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = set(done.stdout.split())
    assert "attributions" in new
    assert new.isdisjoint(HEAVY.split())
    assert {name for name in new if not name.startswith("_")} <= {"attributions", "secrets", "uuid"}


def test_every_name_at_the_door_is_there_and_has_not_the_name_of_its_module():
    assert attributions.__all__ == sorted(attributions.__all__)
    for name in attributions.__all__:
        thing = getattr(attributions, name)
        assert getattr(thing, "__doc__", "")
        module = getattr(thing, "__module__", None)
        assert module is None or module.rpartition(".")[2] != name
