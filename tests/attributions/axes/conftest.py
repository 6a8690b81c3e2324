import pytest

from tests.attributions.axes.made import KINDS, layers


@pytest.fixture(params=KINDS)
def axes(request):
    return layers()[request.param]
