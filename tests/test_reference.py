"The page of all names shows signatures as one would type them, and nothing that changes from run to run."
import json,subprocess
from dataclasses import dataclass,field
from pathlib import Path
from typing import NamedTuple,Union

import pytest
from pypandoc import get_pandoc_path
from torch import Tensor,nn

from make_reference import entry,methods,reference,sentence,signature

@dataclass(frozen=True)
class Settings:
    rate: float = 0.1

@dataclass
class Record:
    losses: list[float] = field(default_factory=list)
    settings: Settings = Settings()

class Pair(NamedTuple):
    "Two [B] images, `x_y`."
    a: Tensor
    b: 'Tensor | None' = None

class Model(nn.Module):
    @classmethod
    def load(cls, path: Path): pass
    @staticmethod
    def make(n): pass
    @property
    def size(self): pass
    def draw(self, x: 'nn.Module'): pass
    def _helper(self): pass

Images = Union[Tensor, list, None]

def plain(a, *rest, b=1, **more): pass
def typed(a: Tensor, *, b: 'int | None' = None, c: str = 'x'*50, d: float = 0.5) -> 'list[nn.Module]': pass
def aliased(images: Images, more: 'Images' = None, each: 'list[Pair]' = ()) -> Images | int: pass
def odd(a=object(), b=Settings(), c=Settings(0.2), d=len, e=Settings): pass

@pytest.mark.parametrize('thing,expected', [
    (plain, '(a, *rest, b=1, **more)'), (typed, '(a: Tensor, *, b: int | None = None, c: str = ..., d: float = 0.5) -> list[Module]'),
    (aliased, '(images: Images, more: Images = None, each: list[Pair] = ()) -> Images | int'),
    (odd, '(a=..., b=Settings(), c=Settings(rate=0.2), d=len, e=Settings)'), (Record, '(losses: list[float] = [], settings: Settings = Settings())'),
    (Pair, '(a: Tensor, b: Tensor | None = None)')])
def test_signature(thing, expected): assert signature(thing) == expected

def test_methods():
    assert [name for name,_,_ in methods(Model)] == ['load', 'make', 'size', 'draw']
    assert [signature(o, skip) for _,o,skip in methods(Model) if skip is not None] == ['(path: Path)', '(n)', '(x: Module)']

def test_sentence():
    assert sentence(Pair, 'Pair') == r'Two \[B\] images, `x_y`.' and sentence(Settings, 'Settings') == ''
    html = subprocess.run([get_pandoc_path(), '--to=html', '--wrap=none'], input=entry('a.ipynb#pair', 'Pair', '(a)', sentence(Pair, 'Pair')),
                          text=True, capture_output=True, check=True).stdout
    assert html == '<p><a href="a.ipynb#pair"><code>Pair</code></a><code>(a)</code>: Two [B] images, <code>x_y</code>.</p>\n'

def test_reference(tmp_path, monkeypatch):
    "A package of one module, whose page comes after one without a module."
    package = tmp_path/'small_package'
    package.mkdir()
    (package/'__init__.py').touch()
    (package/'_modidx.py').write_text("d = {'syms': {'small_package.a': {'small_package.a.f': ('a.html#f', 'a.py')}}}")
    (package/'a.py').write_text('__all__ = ["half", "f"]\nhalf = 0.5\ndef f(x):\n    "Twice."\n')
    for name,cells in (('00_text', ['# Text']), ('01_a', ['# The letter\n\n> a', '#| default_exp a'])):
        (tmp_path/f'{name}.ipynb').write_text(json.dumps({'cells': [{'source': [o]} for o in cells]}))
    monkeypatch.syspath_prepend(tmp_path)
    text = reference(tmp_path, 'small_package')
    assert text.endswith('## The letter\n\n`small_package.a`, [explained here](01_a.ipynb).\n\n'
                         '- [`half`](01_a.ipynb)` = 0.5`\n- [`f`](01_a.ipynb#f)`(x)`: Twice.\n')
