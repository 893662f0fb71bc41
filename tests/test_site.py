"The check of the site's pages finds each defect of a page; what filters, styles and scripts do to a page; and its link to Colab."
import json,re,subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest,yaml
from pypandoc import get_pandoc_path

from check_site import problems

top = Path(__file__).parent.parent
lua_filter = top/'nbs'/'open_in_colab.lua'

def code(source, *outputs): return {'cell_type': 'code', 'source': source, 'outputs': list(outputs)}
def result(**data): return {'output_type': 'execute_result', 'data': {name.replace('_', '/'): o for name,o in data.items()}}
def documentation(text): return code('#| echo: false\nshow_doc(f)', result(text_markdown=[text]))

front = '---\ntitle: Data\noutput-file: data.html\n---\n'
good = ['# Data\n\nSee [the model](model.qmd#the-encoder), [below](#what-it-is), [itself](/data.html#what-it-is), [@kingma2014, eq. 9], [a cited work](https://example.org/paper).',
        '## What it is\n\n![A caption](images/two.png){fig-alt="Two digits"} and $q(z|x)$, `[a](b)`, at a@b.\n\n$$\\log p \\ge E[\\log w]$$',
        code('#| fig-alt: A digit\nshow(3)', result(image_png='iVBOR', text_plain='<Figure>')),
        code('print("short")', {'output_type': 'stream', 'name': 'stdout', 'text': 'short\n'}),
        documentation('### f\n\n```python\ndef f(\n    a:int\n)->int:\n```\n\n*What it does to [g](model.qmd).*')]

@pytest.fixture
def check(tmp_path):
    "The problems of a small site, whose first page holds the given cells, text or code."
    def check(*cells, readme_nb='made_by_a_tool', git_url='', css='main { margin: 0 }', bib='', pages=('data.ipynb', 'model.qmd')):
        cells = [{'cell_type': 'markdown', 'source': o} if isinstance(o, str) else o for o in (front, *cells)]
        (tmp_path/'data.ipynb').write_text(json.dumps({'cells': cells}))
        (tmp_path/'model.qmd').write_text('---\ntitle: Model\n---\n\n## The encoder\n')
        (tmp_path/'references.bib').write_text(
            '@article{kingma2014,\n  author = {Kingma, D. P. and Welling, M.},\n  title = {Bayes},\n  year = {2014},\n'
            '  url = {https://example.org/paper}\n}\n' + bib)
        (tmp_path/'styles.css').write_text(css)
        (tmp_path/'images').mkdir(exist_ok=True)
        (tmp_path/'images'/'two.png').write_bytes(b'')
        settings = ConfigParser(interpolation=None)
        settings['DEFAULT'] = {'readme_nb': readme_nb, 'git_url': git_url}
        return list(problems(tmp_path, {'website': {'sidebar': {'contents': list(pages)}}}, settings['DEFAULT']))
    return check

def test_a_good_site(check): assert check(*good) == []

@pytest.mark.parametrize('cell,said', [
    ('See [the losses](losses.ipynb).', 'links to losses.ipynb, which does not exist'),
    ('See [the decoder](model.qmd#the-decoder).', 'no such heading'),
    ('See [above](#nothing).', 'no such heading'),
    ('See [g](/data.html#g).', 'no such heading'),
    ('See [elsewhere](https://example.org).', 'links to another host: https://example.org'),
    ('<script src="https://example.org/a.js"></script>', 'from another host'),
    ('<link rel="preload" href="live/none.json">', 'needs live/none.json'),
    ('![A caption](images/two.png)', 'no alt text'),
    ('Here: <img src="images/two.png">', 'no alt text'),
    ('Here: ![](images/two.png)', 'no alt text'),
    ('As [@nobody2000] says.', 'nobody2000'),
    ('A [[`f`](/data.html#what-it-is)](model.qmd) of ours.', 'raw Markdown'),
    (r'$$\nosuchcommand{x}$$', 'nosuchcommand'),
    (code('show(3)', result(image_png='iVBOR')), 'picture without fig-alt'),
    (code('#| fig-alt: Left: the array\nshow(3)', result(image_png='iVBOR')), 'lines that stop Quarto, mapping values are not allowed'),
    (code('#| fig-alt: "A digit\nshow(3)', result(image_png='iVBOR')), 'lines that stop Quarto'),
    (code('#| slow\nf()'), 'lines that stop Quarto, expected NAME: VALUE, not slow'),
    (code('table', result(text_html='<table></table>')), 'text/html'),
    (code('print("long")', {'output_type': 'stream', 'name': 'stdout', 'text': 'x'*121}), 'a line of 121 characters'),
    (documentation('### f\n\n```python\ndef f(\n    a:[`g`](/data.html#g)\n)->int:\n```'), 'a signature shows raw Markdown')])
def test_a_defect_of_a_cell(check, cell, said):
    found = check(*good, cell)
    assert len(found) == 1 and found[0].startswith('data.ipynb: ') and said in found[0], found

@pytest.mark.parametrize('change,said', [
    ({'readme_nb': 'data'}, 'write README.md'),
    ({'readme_nb': 'data.ipynb'}, 'write README.md'),
    ({'bib': '@book{nobody2000,\n  title = {None},\n  year = {2000}\n}\n'}, 'has nobody2000, which no page cites'),
    ({'css': '@import url("https://example.org/a.css");'}, 'styles.css loads https://example.org/a.css'),
    ({'bib': '@book{kingma2014,\n  title = {Again},\n  year = {2015}\n}\n'}, 'two works named kingma2014'),
    ({'pages': ['data.ipynb']}, 'model.qmd is not in the sidebar'),
    ({'pages': ['data.ipynb', 'model.qmd', 'losses.ipynb']}, 'names losses.ipynb, which does not exist')])
def test_a_defect_of_the_site(check, change, said):
    found = check(*good, **change)
    assert len(found) == 1 and said in found[0], found

def test_links_to_the_source(check):
    source = 'The [source](https://example.org/us/blob/main/a.py#L1).'
    assert check(*good, source, git_url='https://example.org/us') == [] != check(*good, source)

@pytest.mark.parametrize('git_url,page,link', [
    ('https://github.com/us/vae', '03_training.ipynb', 'https://colab.research.google.com/github/us/vae/blob/main/nbs/03_training.ipynb'),
    ('https://github.com/us/vae', '404.qmd', None),
    ('https://example.org/us/vae', '03_training.ipynb', None),
    ('', '03_training.ipynb', None)])
def test_open_in_colab(tmp_path, git_url, page, link):
    "Quarto gives a filter the table `quarto`; here a filter around ours does."
    (tmp_path/'settings.ini').write_text(f'[DEFAULT]\nnbs_path = nbs\ngit_url = {git_url}\nbranch = main\n')
    around = tmp_path/'around.lua'
    around.write_text(f"quarto = {{project = {{directory = '{tmp_path/'_proc'}'}}, doc = {{input_file = '{tmp_path/'_proc'/page}'}}}}\n"
                      f"dofile('{lua_filter}')\n")
    (tmp_path/'_proc').mkdir()
    html = subprocess.run([get_pandoc_path(), '--to=html', '--wrap=none', f'--lua-filter={around}'], input='Text', text=True,
                          capture_output=True, check=True).stdout
    if link: assert f'href="{link}"' in html and '%pip install git+https://github.com/us/vae' in html and '<p>Text</p>' in html
    else: assert html == '<p>Text</p>\n'

taught = """class Model(nn.Module):
    "It draws."
    def encode(self, x):
        def inner(): return x
        return inner()

    async def decode(self, z): return z

@cached
def train(): return 1"""

@pytest.fixture
def anchored(tmp_path):
    "The parts of a page after the filter that puts anchors: Markdown is converted as the page `01_vae.ipynb` of a small project."
    def names(*found): return ', '.join(f"'vae.vae.{o}': ( 'vae.html#{o.lower()}',\n 'vae/vae.py')" for o in found)
    (tmp_path/'settings.ini').write_text('[DEFAULT]\nlib_path = vae\n')
    (tmp_path/'vae').mkdir()
    (tmp_path/'vae'/'_modidx.py').write_text(f"d = {{'syms': {{'vae.vae': {{{names('Model', 'Model.encode', 'Model.decode', 'train', 'check')}}}, "
                                             f"'vae.other': {{'vae.other.f': ('other.html#f', 'vae/other.py')}}}}}}")
    (tmp_path/'vae'/'vae.py').write_text(f'import torch\n\n# %% a cell\n{taught}\n\ndef check(): pass\n')
    def anchored(*blocks):
        text = '\n\n'.join(f'::: {{.cell}}\n~~~ {{.python .cell-code}}\n{o[5:]}\n~~~\n:::' if o.startswith('code ') else o for o in blocks)
        command = [get_pandoc_path(), '--to=html', '--wrap=none', f'--lua-filter={lua_filter.with_name("anchors.lua")}', '--metadata=input-file:01_vae.ipynb']
        html = subprocess.run(command, input=text, text=True, capture_output=True, check=True, cwd=tmp_path).stdout
        return re.findall(r'<span id="((?!cb)[^"]*)"></span>|<h2 id="(.*?)">|(data-code-summary="Source")|(<code)', html)
    def parts(*blocks): return [''.join(o) for o in anchored(*blocks)]
    return parts

code_begins = '<code'
all_taught = ['model', 'model.encode', 'model.decode', 'train']

def test_anchors_stand_before_the_definition(anchored):
    assert anchored('Text', f'code {taught}') == ['check', *all_taught, code_begins]

def test_an_example_of_the_same_name_is_not_the_definition(anchored):
    assert anchored('code class Model: pass', f'code {taught}') == ['check', code_begins, *all_taught, code_begins]

def test_an_anchor_is_put_once(anchored):
    front = '---\nskip_showdoc: true\n---'
    assert anchored(front, '## Model', f'code {taught}') == ['check', 'model', 'model.encode', 'model.decode', 'train', code_begins]
    assert anchored(front, f'code {taught}', f'code {taught}').count('train') == 1

def test_where_source_is_hidden_methods_lead_to_their_class(anchored):
    assert anchored('## Model', '## train', 'Text') == ['check', 'model', 'model.encode', 'model.decode', 'train']

def test_source_is_folded_below_its_signature(anchored):
    assert 'data-code-summary="Source"' in anchored('## Model', f'code {taught}')
    assert 'data-code-summary="Source"' not in anchored('## Model', 'code class Model: pass')

def test_a_signature_that_says_nothing_gives_way_to_the_source(anchored):
    told = "```python\ndef Model(\n    *args, **kwargs\n):\n```"
    assert anchored('## Model', told, f'code {taught}') == anchored('## Model', f'code {taught}')[:-2] + [code_begins]
    assert anchored('Text', told, f'code {taught}').count(code_begins) == 2

def test_formulas_hold_no_tex():
    command = [get_pandoc_path(), '--to=html', '--wrap=none', f'--lua-filter={lua_filter.with_name("formulas.lua")}']
    html = subprocess.run(command, input='$z_1$ and\n\n$$\\log p$$', text=True, capture_output=True, check=True).stdout
    text = re.sub('<.*?>', '', html).split()
    assert ''.join(text) == 'z1andlogp' and html.count('<math') == 2 and 'display="block"' in html

def test_the_first_tab_stop_skips_the_sidebar(browser):
    config = yaml.safe_load((top/'_quarto.yml').read_text())
    script = ''.join(o['text'] for o in config['format']['html']['include-after-body'])
    page = browser.new_page()
    page.set_content(f'<nav><a href="#">Data</a></nav><main id="quarto-document-content"><a href="#">In the text</a></main>{script}')
    def focused(key):
        page.keyboard.press(key)
        return page.evaluate('document.activeElement.textContent')
    assert focused('Tab') == 'Skip to the content'
    page.keyboard.press('Enter')
    assert focused('Tab') == 'In the text'
    page.close()

pages = sorted((top/'_docs').glob('*.html'))

@pytest.mark.skipif(not pages, reason='the site has not been rendered')
def test_no_rendered_page_scrolls_sideways_on_a_phone(browser):
    page = browser.new_page(viewport={'width': 390, 'height': 844})
    def width(path):
        page.goto(path.as_uri())
        return page.evaluate('document.documentElement.scrollWidth')
    assert {o.name: w for o in pages if (w := width(o)) > 390} == {}
    page.close()

@pytest.mark.parametrize('formula,expected', [
    (r'-\ln q(y|x)', r'-\text{ln}\,q(y|x)'), (r'\log\frac1K', r'\text{log}\,\frac1K'), (r'\log(x)', r'\text{log}(x)'),
    (r'\frac12\log 2\pi', r'\frac12\,\text{log}\,2\pi'), (r'p \ln p', r'p\,\text{ln}\,p'), (r'b\cdot\exp\big(s', r'b\cdot\text{exp}\big(s'),
    (r'\log_2 x', r'\text{log}_2\,x'), (r'\log^{2}_\sigma x', r'\text{log}^{2}_\sigma\,x'), (r'\left|\det\frac12\right|', r'\left|\text{det}\,\frac12\right|'),
    (r'1/\ln 2', r'1/\text{ln}\,2'), (r'(-\log p) - \log', r'(-\text{log}\,p) -\text{log}'), (r'\logits + \expo', r'\logits + \expo'),
    (r'(\mu, \operatorname{diag} s^2)', r'(\mu,\text{diag}\,s^2)')])
def test_operator_spaces(formula, expected):
    command = [get_pandoc_path(), '--to=latex', f"--lua-filter={lua_filter.with_name('operator_spaces.lua')}"]
    assert subprocess.run(command, input=f'${formula}$', text=True, capture_output=True, check=True).stdout == f'\\({expected}\\)\n'
