"What a type checker says of calls to the package, right ones and wrong ones."
import re,subprocess,sys
from pathlib import Path

import pytest

pytest.importorskip('mypy')
typed = Path(__file__).parent/'typed'

def errors_in(name):
    "Numbers of the lines of which mypy complains."
    found = subprocess.run([sys.executable, '-m', 'mypy', str(typed/name)], capture_output=True, text=True, cwd=typed.parent.parent).stdout
    return {int(o) for o in re.findall(rf'{name}:(\d+): error', found)}, found

@pytest.mark.slow
def test_correct_calls():
    numbers,found = errors_in('calls.py')
    assert not numbers, found

@pytest.mark.slow
def test_wrong_calls():
    wrong = [i for i,line in enumerate((typed/'wrong_calls.py').read_text().splitlines(), 1) if re.match(r'\w+\.?\w*\(', line)]
    numbers,found = errors_in('wrong_calls.py')
    assert wrong and numbers == set(wrong), found
