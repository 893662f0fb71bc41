"The names that users call come from the package itself, and are loaded when they are first used."
import subprocess,sys

import pytest

import cvae_nbdev

def test_every_name_is_there():
    for name in cvae_nbdev.__all__:
        assert getattr(cvae_nbdev, name).__name__ == name and name in dir(cvae_nbdev)
    with pytest.raises(AttributeError, match="no attribute 'genrate'"): cvae_nbdev.genrate
    with pytest.raises(ImportError, match='genrate'): from cvae_nbdev import genrate

@pytest.mark.parametrize('statement,unused', [
    ('import cvae_nbdev', ['torch', 'numpy']),
    ('from cvae_nbdev import CVAE, fit, generate', ['torchvision', 'matplotlib', 'PIL', 'safetensors', 'ipywidgets']),
    ('import cvae_nbdev.cli', ['torchvision', 'matplotlib', 'PIL', 'safetensors', 'ipywidgets']),
])
def test_nothing_heavy_is_imported_before_its_time(statement, unused):
    code = f'import sys; {statement}; print([o for o in {unused} if o in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout == '[]\n'
