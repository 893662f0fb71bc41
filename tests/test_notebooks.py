"The cells of the notebooks are tests; each notebook runs in a process of its own."
import os,subprocess
from pathlib import Path

import pytest

notebooks = sorted((Path(__file__).parent.parent/'nbs').glob('*.ipynb'))

@pytest.mark.parametrize('path', notebooks, ids=lambda o: o.stem)
def test_cells(path):
    run = subprocess.run(['nbdev_test', '--path', str(path), '--n_workers', '0'], capture_output=True, text=True, cwd=path.parent.parent,
                         env=os.environ | {'OMP_NUM_THREADS': '1'})
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
