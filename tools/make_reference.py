"Makes nbs/reference.qmd: the signatures of all public names, module by module. Run it at the top level."
import ast,inspect,json,re,textwrap
from dataclasses import MISSING,fields,is_dataclass
from importlib import import_module
from pathlib import Path

head = '''---
title: All names
description: What each module offers, with signatures. A name leads to its definition.
---

<!-- Made by tools/make_reference.py. -->

`Images` are an `ImageSet`, a tensor or an array `[N, H, W]`, one image, or a list of images or of Pillow pictures. `Labels` are
whole numbers or names of classes, one or more. A `Style` is `z_dim` numbers, or rows of them.
'''
longest_default = 40 # in characters

def notebooks(folder):
    "The notebooks that make a module, in their order: path, title, name of the module."
    for path in sorted(folder.glob('*.ipynb')):
        cells = [''.join(o['source']) for o in json.loads(path.read_text(encoding='utf-8'))['cells']]
        found = re.search(r'^#\| *default_exp (\S+)', '\n'.join(cells), re.MULTILINE)
        if found: yield path, re.match(r'# (.*)', cells[0])[1], found[1]

def written_annotations(thing):
    "The annotations of a function's parameters and of what it returns (`return`) as its source has them: an alias by its name."
    try: found = ast.parse(textwrap.dedent(inspect.getsource(thing.__init__ if inspect.isclass(thing) else thing))).body[0]
    except (OSError, TypeError, SyntaxError): return {}
    if not isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)): return {}
    every = [*found.args.posonlyargs, *found.args.args, *found.args.kwonlyargs, found.args.vararg, found.args.kwarg]
    given = {o.arg: o.annotation for o in every if o} | {'return': found.returns}
    return {name: re.sub(r'''(["'])([\w.|\[\], ]+)\1''', r'\2', ast.unparse(o)) for name,o in given.items() if o}

def short_annotation(annotation):
    annotation = getattr(annotation, '__forward_arg__', annotation)
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r'\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])', '', text) # modules

def short_default(value):
    "A value as somebody would type it, or an ellipsis."
    if inspect.isclass(value) or inspect.isroutine(value): return value.__name__
    if is_dataclass(value):
        try: default = type(value)()
        except Exception: default = None
        if default == value: return f'{type(value).__name__}()'
    text = repr(value)
    return '...' if len(text) > longest_default or ' at 0x' in text or text.startswith('<') else text

def signature(thing, skip_first=False):
    "The signature of a class or function, or an empty string if Python knows none."
    try: found = inspect.signature(thing)
    except (TypeError, ValueError): return ''
    written = written_annotations(thing)
    made = {o.name: o.default_factory for o in fields(thing) if o.default_factory is not MISSING} if is_dataclass(thing) else {}
    def one(o):
        name = {o.VAR_POSITIONAL: '*', o.VAR_KEYWORD: '**'}.get(o.kind, '') + o.name
        if o.annotation is not o.empty: name += f': {short_annotation(written.get(o.name, o.annotation))}'
        if o.default is o.empty: return name
        default = short_default(made[o.name]() if o.name in made else o.default)
        return f'{name} = {default}' if ':' in name else f'{name}={default}'
    parts,shown = list(found.parameters.values())[skip_first:], []
    for i,o in enumerate(parts):
        star = any(p.kind == p.VAR_POSITIONAL for p in parts[:i]) or '*' in shown
        if o.kind == o.KEYWORD_ONLY and not star: shown.append('*')
        shown.append(one(o))
    gives = found.return_annotation
    shown_gives = '' if gives is found.empty or inspect.isclass(thing) else f' -> {short_annotation(written.get("return", gives))}'
    return f'({", ".join(shown)}){shown_gives}'

def sentence(thing, name):
    "The first line of a docstring, in Markdown; not that of a class for which Python has made one."
    doc = getattr(thing, '__doc__', None) or ''
    if doc.startswith(f'{name}('): return ''
    parts = re.split(r'(`[^`]*`)', doc.strip().split('\n')[0])
    return ''.join(o if o.startswith('`') else re.sub(r'([\\\[\]*_$<>@^~|#])', r'\\\1', o) for o in parts)

def methods(cls):
    "The public methods and properties that a class defines itself: name, function, whether its first argument is given."
    for name,o in vars(cls).items():
        if name.startswith('_'): continue
        if isinstance(o, property): yield name, o, None
        elif isinstance(o, classmethod): yield name, o.__func__, True
        elif isinstance(o, staticmethod): yield name, o.__func__, False
        elif inspect.isfunction(o): yield name, o, True

def entry(link, name, code, text): return f'[`{name}`]({link})' + (f'`{code}`' if code else '') + (f': {text}' if text else '')

def section(path, title, module, symbols):
    "A module's heading and list; `symbols` are the names for which the pages have anchors."
    found = import_module(module)
    def link(name): return f'{path.name}#{name.lower()}' if f'{module}.{name}' in symbols else path.name
    lines = [f'## {title}', '', f'`{module}`, [explained here]({path.name}).', '']
    for name in found.__all__:
        thing = getattr(found, name)
        if name.startswith('_'): continue
        if not callable(thing): # a constant
            value = short_default(thing)
            lines.append('- ' + entry(link(name), name, '' if value == '...' else f' = {value}', ''))
            continue
        lines.append('- ' + entry(link(name), name, signature(thing), sentence(thing, name)))
        for method,o,skip in methods(thing) if inspect.isclass(thing) else ():
            code = '' if skip is None else signature(o, skip)
            lines.append('    - ' + entry(link(f'{name}.{method}'), f'.{method}', code, sentence(o, method)))
    return '\n'.join(lines)

def reference(folder, package):
    "The page."
    index = import_module(f'{package}._modidx').d['syms']
    sections = [section(path, title, f'{package}.{module}', index.get(f'{package}.{module}', {})) for path,title,module in notebooks(folder)]
    return '\n\n'.join([head.rstrip(), *sections]) + '\n'

if __name__ == '__main__': Path('nbs/reference.qmd').write_text(reference(Path('nbs'), 'cvae_nbdev'), encoding='utf-8')
