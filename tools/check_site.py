"""Checks the pages of the site as nbdev prepares them, before Quarto lays them out. Run it at the top level.

Each page is converted by pandoc, as Quarto does, so that headings get the names that links lead to, formulas become MathML,
and citations find their works. Prints a line for each problem.
"""
import json,re,subprocess,sys
from configparser import ConfigParser
from html.parser import HTMLParser
from pathlib import Path

import yaml
from nbdev.serve import proc_nbs
from pypandoc import get_pandoc_path

longest_line = 120 # of what a cell prints, in characters
bibliography = 'references.bib'
anchors = Path(__file__).parent.parent/'nbs'/'anchors.lua' # puts names beside definitions, for links to them

def hrefs(node):
    "All page names below the `contents` of a sidebar."
    if isinstance(node, str): return [node]
    if isinstance(node, list): return [o for child in node for o in hrefs(child)]
    return hrefs(node['contents']) if 'contents' in node else [node['href']]

def yaml_lines(cell):
    "The `#|` lines at the top of a code cell as Quarto reads them: YAML."
    lines = re.match(r'(?:#\|.*\n?)*', ''.join(cell['source']))[0].splitlines()
    return '\n'.join(o[2:].removeprefix(' ') for o in lines)

def directives(cell):
    "The `#|` lines of a code cell as a dictionary; empty if they are no YAML."
    try: found = yaml.safe_load(yaml_lines(cell))
    except yaml.YAMLError: return {}
    return found if isinstance(found, dict) else {}

def shown(cell):
    "What a cell brings into its page: Markdown."
    source = ''.join(cell['source'])
    if cell['cell_type'] != 'code': return source
    data = [o.get('data', {}) for o in cell.get('outputs', [])]
    code = re.sub(r'(#\|.*\n?)*', '', source, count=1)
    code = '' if 'echo' in directives(cell) else f'~~~~~~{{.python .cell-code}}\n{code}\n~~~~~~'
    return '\n\n'.join([code, *(''.join(o['text/markdown']) for o in data if 'text/markdown' in o)])

class Reader(HTMLParser):
    "What matters here of a page in HTML: its names, links, files and pictures, and text where Markdown was left over."
    def __init__(self, html):
        super().__init__()
        self.names,self.links,self.files,self.without_alt,self.leftover = [], [], [], [], []
        self.open,self.cited = [], None # the open elements; the depth at which the list of cited works begins
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get('id') == 'refs': self.cited = len(self.open)
        if 'id' in attrs: self.names.append(attrs['id'])
        if self.cited is None:
            if 'href' in attrs: (self.files if tag == 'link' else self.links).append(attrs['href'])
            self.files += [o for key in ('src', 'examples') if (o := attrs.get(key))]
            self.files += attrs.get('models', '').split()
        if tag == 'img':
            caption = 'figure' in self.open # repeats the text below the picture, so it does not describe it
            described = attrs.get('data-fig-alt') or attrs.get('fig-alt') or (None if caption else attrs.get('alt'))
            if not described: self.without_alt.append(attrs.get('src'))
        if tag not in ('img', 'link', 'br', 'hr', 'meta', 'input', 'col', 'source', 'wbr'): self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag: self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag: pass
        if self.cited is not None and len(self.open) <= self.cited: self.cited = None

    def handle_data(self, text):
        if {'script', 'style', 'code', 'annotation'} & set(self.open): return
        self.leftover += re.findall(r'\]\([^)\s]+\)|\[-?@[\w:]+[^]]*\]', text)

class Page:
    "A page as nbdev leaves it: a notebook with outputs, or a file of Markdown."
    def __init__(self, path):
        self.path = path
        if path.suffix == '.ipynb': self.cells = json.loads(path.read_text(encoding='utf-8'))['cells']
        else: self.cells = [{'cell_type': 'markdown', 'source': path.read_text(encoding='utf-8')}]
        front = re.match(r'---\n(.*?)\n---', ''.join(self.cells[0]['source']), re.DOTALL) if self.cells else None
        self.front = yaml.safe_load(front[1]) if front else {}
        self.address = self.front.get('output-file', f'{path.stem}.html')
        command = [get_pandoc_path(), '--from=markdown', '--to=html', '--mathml', '--citeproc', '--wrap=none',
                   f'--bibliography={path.parent/bibliography}', f'--lua-filter={anchors}', f'--metadata=input-file:{path}']
        text = '\n\n'.join(map(shown, self.cells))
        done = subprocess.run(command, input=text, capture_output=True, text=True, encoding='utf-8')
        self.complaints = [' '.join(o.split()) for o in re.split(r'^\[WARNING\] ', done.stderr, flags=re.MULTILINE) if o.strip()]
        self.html = Reader(done.stdout)

    def signatures(self):
        "The text of the documentation of each definition: its signature, and its table of parameters."
        for cell in self.cells:
            if cell['cell_type'] == 'code' and re.search(r'^show_doc\(', ''.join(cell['source']), re.MULTILINE):
                yield from (''.join(o['data']['text/markdown']) for o in cell['outputs'] if 'text/markdown' in o.get('data', {}))

    def problems(self, pages, allowed):
        "`pages` are those of the site by their addresses; links that begin with one of the `allowed` addresses may leave it."
        for o in self.complaints: yield o
        for o in self.html.without_alt: yield f'the picture {o} has no alt text'
        for o in self.html.leftover: yield f'shows raw Markdown: {o} (nbdev makes a link of a name in backticks, within another link too)'
        for text in self.signatures():
            code = re.search(r'```python\n(.*?)```', text, re.DOTALL)
            for o in re.findall(r'\[`.*?\]\(.*?\)', code[1] if code else ''): yield f'a signature shows raw Markdown: {o}'
        for o in self.html.links: yield from self.broken(o, pages, allowed)
        for o in self.html.files:
            if re.match(r'(\w+:)?//', o): yield f'loads {o} from another host'
            elif not o.startswith('data:') and not (self.path.parent/o).exists(): yield f'needs {o}, which does not exist'
        for i,cell in enumerate(self.cells, 1): yield from (f'cell {i} {o}' for o in self.of_cell(cell))

    def broken(self, link, pages, allowed):
        if link.startswith(allowed): return
        if re.match(r'\w+:|//', link): yield f'links to another host: {link}'
        elif '/blob/' not in link: # to the source, which has no address yet, so the page does not show the link
            path,_,name = link.removeprefix('/').partition('#')
            target = self if not path else pages.get(path)
            if target: yield from [] if not name or name in target.html.names else [f'links to {link}, but there is no such heading']
            elif not (self.path.parent/path).exists(): yield f'links to {path}, which does not exist'

    def of_cell(self, cell):
        if cell['cell_type'] != 'code': return
        try: found = yaml.safe_load(yaml_lines(cell)) or {}
        except yaml.YAMLError as e:
            yield f"has '#|' lines that stop Quarto, {' '.join(str(e).split())} (quote a value that holds a colon)"
            return
        if not isinstance(found, dict): yield f"has '#|' lines that stop Quarto, expected NAME: VALUE, not {found}"
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            if any(o.startswith('image/') for o in data) and not directives(cell).get('fig-alt'): yield 'shows a picture without fig-alt'
            for o in ('application/vnd.jupyter.widget-view+json', 'application/javascript', 'text/html'):
                if o in data: yield f'has an output of type {o}, for which Quarto would load libraries from other hosts'
            for line in ''.join(output.get('text', '')).splitlines(): # a value, unlike what is printed, is wrapped
                if len(line) > longest_line: yield f'prints a line of {len(line)} characters, expected at most {longest_line}'

def problems(folder, site, settings):
    "What is wrong with the pages in a folder, given the configuration of the site and the settings of nbdev."
    every = [Page(o) for o in sorted([*folder.glob('*.ipynb'), *folder.glob('*.qmd')])]
    pages = {o.address: o for o in every} | {o.path.name: o for o in every}
    listed = hrefs(site['website']['sidebar']['contents'])
    works = (folder/bibliography).read_text(encoding='utf-8')
    allowed = *re.findall(r'^ *url = \{(.*)\}', works, re.MULTILINE), *filter(None, [settings['git_url']])
    for page in every:
        if page.path.name not in [*listed, '404.qmd']: yield f'{page.path.name} is not in the sidebar'
        yield from (f'{page.path.name}: {o}' for o in page.problems(pages, allowed))
    for o in listed:
        if o not in pages: yield f'_quarto.yml names {o}, which does not exist'
    for style in [*folder.glob('*.css'), *folder.glob('*.scss')]:
        for o in re.findall(r'(?:@import|url\()\s*["\']?((?:\w+:)?//[^"\')\s]+)', style.read_text(encoding='utf-8')):
            yield f'{style.name} loads {o} from another host'
    keys = re.findall(r'^@\w+\{([^,\s]+)', works, re.MULTILINE)
    for o in {o for o in keys if keys.count(o) > 1}: yield f'{bibliography} has two works named {o}'
    cited = {o for page in every for cell in page.cells for o in re.findall(r'@([\w:]+)', ''.join(cell['source']))}
    for o in dict.fromkeys(keys):
        if o not in cited: yield f'{bibliography} has {o}, which no page cites'
    if (folder/settings['readme_nb']).exists() or (folder/f"{settings['readme_nb']}.ipynb").exists():
        yield f"settings.ini makes nbdev_docs write README.md from {settings['readme_nb']}; tools/make_readme.py does that"

def read_settings(path):
    parser = ConfigParser(interpolation=None)
    parser.read(path, encoding='utf-8')
    return parser['DEFAULT']

if __name__ == '__main__': # nbdev starts processes, which import this file
    processed = proc_nbs(force=True)
    missing = [f'{o.name} was not processed' for o in Path('nbs').glob('*.ipynb') if not (processed/o.name).exists()]
    found = missing + list(problems(processed, yaml.safe_load(Path('_quarto.yml').read_text()), read_settings('settings.ini')))
    print(*found, sep='\n', end='\n' if found else '')
    sys.exit(bool(found))
