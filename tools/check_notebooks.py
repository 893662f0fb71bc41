"""Checks how the notebooks are written, and that modules import one another only as CONTRIBUTING.md draws it.

Prints a line for each problem; with --table what each page holds, in Markdown; with --numbers the numbers in its prose that
no cell of the page computes, shows or holds: each is a fact with a source, or a claim without its cell. Run it at the top
level.
"""
import ast,json,re,sys
from pathlib import Path
from statistics import median,quantiles

package = 'cvae_nbdev'
longest_line,longest_tutorial_line,long_cell,cells_to_example = 100, 86, 40, 12 # a page shows 86 characters uncut
tutorial = 'core', 'data', 'losses', 'model', 'training' # of the modules: what these import, and nothing else, is taught
nameless = {'__getitem__', '__repr__', '__enter__', '__exit__', 'forward', '_repr_markdown_'} # called without their names
is_example = re.compile(r'\b(assert|expect_fail|test_\w+)\b').search

class Cell:
    "A cell, and what matters of it here."
    def __init__(self, number, cell):
        self.number,self.kind,self.source = number, cell['cell_type'], ''.join(cell['source'])
        self.lines = self.source.splitlines()
        self.code = [o for o in self.lines if o.strip() and not o.startswith('#|')]
        self.exported = self.kind == 'code' and bool(re.search(r'^#\|\s*exports?\s*$', self.source, re.M))
        outputs = [o for output in cell.get('outputs', []) for o in output.get('data', {})]
        self.outputs = json.dumps(cell.get('outputs', [])) if self.kind == 'code' else ''
        self.pictures = sum(o.startswith('image/') for o in outputs) + \
            (len(re.findall(r'!\[.*?\]\(|<img ', self.source)) if self.kind == 'markdown' else 0)
        self.tree = ast.parse('\n'.join(self.code)) if self.exported else ast.Module([], [])

    @property
    def defines(self): # exported, and not imports alone
        return self.exported and any(not isinstance(o, (ast.Import, ast.ImportFrom)) for o in self.tree.body)

    @property
    def public(self):
        kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
        return [o.name for o in self.tree.body if isinstance(o, kinds) and (o.name[0] != '_' or o.name[-2:] == '__')]

    def mentions(self, name): return bool(re.search(rf'\b{name}\b', self.source))

    def shows(self, names):
        return bool(is_example(self.source)) and (bool(names & nameless) or any(map(self.mentions, names)))

class Page:
    "A notebook."
    def __init__(self, path):
        self.path = path
        self.cells = [Cell(i, o) for i,o in enumerate(json.loads(path.read_text(encoding='utf-8'))['cells'], 1)]
        self.code = [o for o in self.cells if o.kind == 'code']
        self.exported = [o for o in self.cells if o.defines]

    def without_example(self):
        "Pairs of a cell and a public definition of which no asserted example follows soon: of itself, or of what uses it beside it."
        for i,cell in enumerate(self.code):
            following = self.code[i + 1:i + 1 + cells_to_example]
            beside = [*self.code[max(i - cells_to_example, 0):i + 1], *following]
            for name in cell.public:
                users = (user for o in beside if o.mentions(name) for user in (o.public if o.exported else re.findall(r'^def (\w+)', o.source, re.M)))
                names = {name, *users}
                if not any(o.shows(names) for o in following): yield cell, name

    def problems(self):
        for cell in self.cells:
            where = f'{self.path}: cell {cell.number}'
            if cell.kind != 'code': continue
            longest = longest_tutorial_line if self.path.stem[:2] < '10' else longest_line
            for line in cell.lines:
                if len(line) > longest and not line.startswith('#|') and '#| hide' not in cell.lines:
                    yield f'{where} has a line of {len(line)} characters, expected at most {longest}'
        for cell,name in self.without_example():
            yield f'{self.path}: cell {cell.number} defines {name}, which the next {cells_to_example} cells do not check'

    def row(self):
        sizes,code = [len(o.code) for o in self.exported], [len(o.code) for o in self.code if o.code]
        first = next((o.number for o in self.cells if o.pictures), '')
        words = sum(len(prose(o).split()) for o in self.cells if o.kind == 'markdown')
        ninth = round(quantiles(code, n=10)[-1]) if len(code) > 1 else ''
        you = sum(len(re.findall(r'\byou\b', prose(o), re.I)) for o in self.cells if o.kind == 'markdown')
        return [self.path.stem, sum(len(o.lines) for o in self.cells), len(self.cells), words, you,
                sum(o.pictures for o in self.cells), len(code), len(sizes), len(list(self.without_example())),
                sum(o > long_cell for o in sizes), f'{median(code):g}' if code else '', ninth,
                f'{median(sizes):g}' if sizes else '', max(sizes, default=''), first]

    def loose_numbers(self):
        "Pairs of a cell and a number in its prose that stands in no code and no output of the page."
        text = ' '.join(o.source.replace('_', '') + ' ' + o.outputs for o in self.code)
        for cell in self.cells:
            if cell.kind != 'markdown': continue
            for number in re.findall(r'(?<![\w.])\d[\d,]*\.?\d*(?![\w-])', prose(cell)):
                plain = number.replace(',', '').rstrip('.')
                year = re.fullmatch(r'(19|20)\d\d', plain)
                if len(plain) > 1 and not year and not supported(plain, text): yield cell, number

def prose(cell):
    "The text of a cell without code, formulas, and the addresses of links."
    text = re.sub(r'```.*?```|\$\$.*?\$\$|\$[^$\n]*\$|`[^`]*`|<[^>]*>|\[@[^\]]*\]', ' ', cell.source, flags=re.S)
    return re.sub(r'\]\([^)]*\)', ']', text)

def supported(number, text):
    "Does a text hold a number, as it is, as a share of one, or with more digits that round to it?"
    digits = len(number.partition('.')[2])
    for found in set(re.findall(r'\d[\d,]*\.?\d*(?:e[+-]?\d+)?', text)):
        value = float(found.replace(',', '').rstrip('.') or 0)
        if any(f'{o:.{digits}f}' == number for o in (value, 100*value)): return True
    return False

columns = ['page', 'lines', 'cells', 'words', 'you', 'pictures', 'code cells', 'exported cells', 'public definitions without example',
           f'exported cells over {long_cell} lines', 'lines of a code cell, median', '90th percentile',
           'lines of an exported cell, median', 'largest', 'first picture in cell']

def table(pages):
    "What each page holds, in Markdown, with the whole in the last row."
    rows = [o.row() for o in pages]
    sizes,code = ([len(cell.code) for o in pages for cell in getattr(o, kind) if cell.code] for kind in ('exported', 'code'))
    sums = [sum(row[i] for row in rows) for i in range(1, 10)]
    rows.append(['all', *sums, f'{median(code):g}', round(quantiles(code, n=10)[-1]), f'{median(sizes):g}', max(sizes), ''])
    lines = [columns, ['---', *['---:']*(len(columns) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(map(str, o)) + ' |' for o in lines)

def imports_of(path):
    "The modules of the package that a module imports."
    found = set()
    for o in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(o, ast.Import): names = [name.name for name in o.names]
        elif isinstance(o, ast.ImportFrom):
            base = '.'.join(filter(None, [package if o.level else '', o.module]))
            names = [f'{base}.{name.name}' if base == package else base for name in o.names]
        else: continue
        found |= {name.split('.')[1] for name in names if name.startswith(f'{package}.')}
    return found & {o.stem for o in Path(package).glob('*.py') if o.stem[0] != '_'}

def drawn_imports():
    "The imports that CONTRIBUTING.md draws: a list of modules and what each of them imports, in their order."
    text = Path('CONTRIBUTING.md').read_text(encoding='utf-8')
    drawing = re.search(r'^```imports\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    if not drawing: return None
    lines = [o.partition(':') for o in drawing[1].splitlines() if o.strip()]
    return [(name.strip(), set(re.findall(r'\w+', imported))) for name,_,imported in lines]

def import_problems():
    drawn = drawn_imports()
    if drawn is None:
        yield 'CONTRIBUTING.md has no block that begins with ```imports'
        return
    modules = {o.stem: imports_of(o) for o in Path(package).glob('*.py') if not o.stem.startswith('_')}
    for name in tutorial[1:]:
        if engine := modules.get(name, set()) - set(tutorial): yield f'{name} is taught, and imports {", ".join(sorted(engine))}'
    above = set()
    for name,imported in drawn:
        if name not in modules: yield f'CONTRIBUTING.md draws {name}, which does not exist'
        elif imported != modules[name]:
            yield (f'{name} imports {", ".join(sorted(modules[name])) or "nothing"}; '
                   f'CONTRIBUTING.md draws {", ".join(sorted(imported)) or "nothing"}')
        if not imported <= above:
            yield f'CONTRIBUTING.md draws {name} above what it imports: {", ".join(sorted(imported - above))}'
        above.add(name)
    for name in sorted(modules.keys() - above): yield f'CONTRIBUTING.md does not draw {name}'

if __name__ == '__main__':
    pages = [Page(o) for o in sorted(Path('nbs').glob('*.ipynb'))]
    if '--table' in sys.argv[1:]: print(table(pages))
    elif '--numbers' in sys.argv[1:]:
        for page in pages:
            for cell,number in page.loose_numbers(): print(f'{page.path}: cell {cell.number}: {number}')
    else:
        found = [*(problem for o in pages for problem in o.problems()), *import_problems()]
        print(*found, sep='\n', end='\n' if found else '')
        sys.exit(bool(found))
