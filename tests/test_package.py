"The names that users call come from the package itself, and are loaded when they are first used; so do the commands."
import re,subprocess,sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import cvae_nbdev
from cvae_nbdev.__main__ import commands

def test_every_name_is_there():
    for name in cvae_nbdev.__all__:
        found = getattr(cvae_nbdev, name)
        assert (name == 'presets' or found.__name__ == name) and name in dir(cvae_nbdev)
    with pytest.raises(AttributeError, match="no attribute 'genrate'"): cvae_nbdev.genrate
    with pytest.raises(ImportError, match='genrate'): from cvae_nbdev import genrate

def python(*words): return subprocess.run([sys.executable, *words], capture_output=True, text=True)

@pytest.mark.parametrize('statement,unused', [
    ('import cvae_nbdev', ['torch', 'numpy']),
    ('import cvae_nbdev.__main__', ['torch', 'numpy', 'fastcore']),
    ('from cvae_nbdev import CVAE, fit, generate', ['torchvision', 'matplotlib', 'PIL', 'safetensors', 'ipywidgets']),
    ('import cvae_nbdev.cli', ['torchvision', 'matplotlib', 'PIL', 'safetensors', 'ipywidgets']),
])
def test_nothing_heavy_is_imported_before_its_time(statement, unused):
    assert python('-W', 'error', '-c', f'import sys; {statement}; print([o for o in {unused} if o in sys.modules])').stdout == '[]\n'

def test_every_command_has_its_script():
    settings = ConfigParser()
    settings.read(Path(__file__).parent.parent/'settings.ini')
    scripts = dict(o.split('=') for o in settings['DEFAULT']['console_scripts'].split())
    assert scripts == {o: f'cvae_nbdev.__main__:{o}' for o in commands}

@pytest.mark.parametrize('name', commands)
@pytest.mark.parametrize('module', ['cvae_nbdev', 'cvae_nbdev.cli'])
def test_commands_without_scripts(module, name):
    said = python('-m', module, name, '--version')
    assert (said.returncode, said.stdout, said.stderr) == (0, f'cvae_nbdev {cvae_nbdev.__version__}\n', '')

@pytest.mark.parametrize('words', [[], ['cvae_draw'], ['--help']])
def test_no_command(words):
    said = python('-m', 'cvae_nbdev', *words)
    assert said.returncode == 2 and re.fullmatch(r'usage: .*; COMMAND is one of cvae_train, .*\n', said.stderr)
