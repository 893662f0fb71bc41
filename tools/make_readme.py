"Makes README.md, with its pictures in README_files/, from nbs/index.ipynb as nbdev prepares it for the site. Run it at the top level."
import re,shutil
from pathlib import Path

import nbformat,yaml
from nbconvert import MarkdownExporter
from nbdev.serve import proc_nbs
from traitlets.config import Config

def take_directives(cell):
    "Remove the leading `#|` lines of a code cell; return them as a dictionary."
    lines = cell.source.splitlines()
    n = next((i for i,o in enumerate(lines) if not o.startswith('#|')), len(lines))
    cell.source = '\n'.join(lines[n:])
    return yaml.safe_load('\n'.join(o[2:].removeprefix(' ') for o in lines[:n])) or {}

def read_works(path):
    "The works of a BibTeX file: a dictionary from key to fields."
    entries = re.findall(r'^@\w+\{(\w+),\n(.*?)^\}', path.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    return {key: dict(re.findall(r'^ *(\w+) = \{(.*)\},?$', fields, re.MULTILINE)) for key,fields in entries}

def cite(text, works):
    "Citations as a README can show them: `[@kingma2014, eq. 9]` becomes (Kingma & Welling 2014, eq. 9), with a link where there is one."
    def one(citation):
        key,rest = re.fullmatch(r'@(\w+)(.*)', citation.strip()).groups()
        names = [o.split(',')[0] for o in works[key]['author'].split(' and ')]
        name = ' & '.join(names) if len(names) < 3 else f'{names[0]} et al.'
        name = f"{name} {works[key]['year']}"
        return (f"[{name}]({works[key]['url']})" if 'url' in works[key] else name) + rest
    return re.sub(r'\[(@[^]]+)\]', lambda m: f"({'; '.join(map(one, m[1].split(';')))})", text)

def to_markdown(notebook):
    "The text of a processed notebook, and its pictures as a dictionary from file name to content."
    front = yaml.safe_load(notebook.cells.pop(0).source.strip().strip('-'))
    alt_texts = {}
    for i,cell in enumerate(notebook.cells):
        if cell.cell_type != 'code': continue
        directives = take_directives(cell)
        if directives.get('echo') is False: cell.metadata.tags = ['no-input']
        alt_texts[f'README_files/picture_{i}_0.png'] = directives.get('fig-alt', '')
    notebook.metadata.language_info = {'name': 'python'}
    config = Config(TagRemovePreprocessor={'enabled': True, 'remove_input_tags': {'no-input'}})
    resources = {'output_files_dir': 'README_files', 'unique_key': 'picture'}
    body,resources = MarkdownExporter(config=config).from_notebook_node(notebook, resources)
    for name,alt in alt_texts.items(): body = body.replace(f'![png]({name})', f'![{alt}]({name})')
    body = re.sub(r'\]\((\w+\.(?:ipynb|qmd)|images/)', r'](nbs/\1', body)  # a page of the site is a notebook of the repository,
    body = re.sub(r'\{fig-alt="[^"]*"\}', '', body)           # Quarto's, which a README would show
    pages = {o.stem.split('_', 1)[-1]: o for o in Path('nbs').glob('*.ipynb')}
    body = re.sub(r'\]\(/(\w+)\.html#\w+\)', lambda m: f']({pages[m[1]].as_posix()})', body)  # and so is the target of nbdev's links
    body = '\n'.join(o.rstrip() for o in body.splitlines())
    body = cite(body, read_works(Path('nbs/references.bib')))
    text = f'# {front["title"]}\n\n> {front["description"]}\n\n{body}\n'
    return re.sub(r'\n{3,}', '\n\n', text), resources['outputs']

if __name__ == '__main__': # nbdev starts processes, which import this file
    text,pictures = to_markdown(nbformat.read(proc_nbs(force=True)/'index.ipynb', as_version=4))
    shutil.rmtree('README_files', ignore_errors=True)
    for name,content in pictures.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)
    Path('README.md').write_text(text, encoding='utf-8')
