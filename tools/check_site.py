"Checks that nbdev can prepare every notebook for the site, and that the site's pages, files and links lead somewhere. Run it at the top level."
import json,re,sys
from pathlib import Path

import yaml
from nbdev.serve import proc_nbs

def hrefs(node):
    "All page names below the `contents` of a sidebar."
    if isinstance(node, str): return [node]
    if isinstance(node, list): return [o for child in node for o in hrefs(child)]
    return hrefs(node['contents']) if 'contents' in node else [node['href']]

def problems():
    site = yaml.safe_load(Path('_quarto.yml').read_text())
    pages = hrefs(site['website']['sidebar']['contents'])
    notebooks = {o.name for o in Path('nbs').glob('*.ipynb')}
    processed = proc_nbs(force=True)
    for name in sorted(notebooks):
        if not (processed/name).exists(): yield f'{name} was not processed'
        if name not in pages: yield f'{name} is not in the sidebar'
        for cell in json.loads(Path('nbs', name).read_text())['cells']:
            source = ''.join(cell['source'])
            for link in re.findall(r'\]\(([\w/]+\.\w+)', source) + re.findall(r'(?:src|href|examples)="([\w/]+\.\w+)"', source):
                if not (processed/link).exists(): yield f'{name} links to {link}, which does not exist'
            if any('application/vnd.jupyter.widget-view+json' in o.get('data', {}) for o in cell.get('outputs', [])):
                yield f'{name} holds a widget, for which the page would load libraries from elsewhere'
    for page in pages:
        if page not in notebooks: yield f'_quarto.yml names {page}, which does not exist'

if __name__ == '__main__': # nbdev starts processes, which import this file
    found = list(problems())
    print(*found, sep='\n')
    sys.exit(bool(found))
