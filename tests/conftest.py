"""Fixtures for all tests that run the real program."""
import os
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import weir as weir_module  # noqa: E402


@pytest.fixture
def make_weir(request):
    """make_weir(config, start=True) -> Weir; ended and removed after the test, its log shown if the test failed."""
    made = []

    def make(config=None, start=True):
        instance = weir_module.Weir(tempfile.mkdtemp(prefix="weir-"), config)
        made.append(instance)
        return instance.start() if start else instance

    yield make
    failed = getattr(request.node, "failed", False)
    findings = [instance.sanitizer_findings() for instance in made]
    for instance in made:
        if failed and os.path.exists(instance.log_path):
            print(f"--- log of {instance.directory}\n{instance.log()[-8000:]}")
        weir_module.cleanup(instance)
    assert not any(findings), "\n".join(findings)


@pytest.fixture
def weir(make_weir):
    """The article's pipeline, running."""
    return make_weir()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call" and outcome.get_result().failed:
        item.failed = True
