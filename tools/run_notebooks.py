"Runs notebooks from top to bottom and saves their outputs: python tools/run_notebooks.py nbs/03_training.ipynb ..."
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbdev.clean import nbdev_clean

def run(path):
    "Run a notebook in its folder and save it, without the widgets, which are nothing without a kernel, and without noise."
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells: # nbdev skips these, too
        if cell.cell_type == 'code' and '#| eval: false' in cell.source: cell.metadata.tags = ['skip-execution']
    NotebookClient(notebook, timeout=None, resources={'metadata': {'path': str(path.parent)}}).execute()
    notebook.metadata.pop('widgets', None)
    for cell in notebook.cells:
        if cell.cell_type == 'code': cell.outputs = [o for o in cell.outputs if 'application/vnd.jupyter.widget-view+json' not in o.get('data', {})]
    nbformat.write(notebook, path)
    nbdev_clean(str(path))

if __name__ == '__main__':
    for name in sys.argv[1:]: run(Path(name))
