"The live elements of the tutorial, in a real browser: they say what PyTorch says, and fetch nothing before they are asked."
import json

import pytest,torch

from cvae_nbdev import CVAE,generate,infer,load_images,reconstruct,restyle
from in_browser import notebooks,serve_live_page
from strokes import pen_paths

pytestmark = pytest.mark.slow
page_of = '''<!doctype html><html lang="en"><head><meta charset="utf-8"><title>touch</title><link rel="icon" href="data:,"></head><body>
<cvae-touch view="{view}" models="{models}"><p>A live element.</p></cvae-touch><script type="module" src="live/touch.js"></script></body></html>'''

@pytest.fixture(scope='module')
def address():
    with serve_live_page() as o: yield o.rpartition('/')[0]

@pytest.fixture
def open_view(browser, address):
    context,complaints = browser.new_context(), []
    def open_view(view, models='live/post', html=None):
        page = context.new_page()
        page.requested = []
        page.on('request', lambda o: page.requested.append(o.url.removeprefix(address)))
        page.on('console', lambda o: complaints.append(o.text) if o.type == 'error' else None)
        page.on('pageerror', lambda o: complaints.append(str(o)))
        page.route('**/touch.html', lambda route: route.fulfill(body=html or page_of.format(view=view, models=models), content_type='text/html'))
        page.goto(f'{address}/touch.html')
        page.wait_for_selector('.pad canvas' if html is None else 'cvae-grid')
        return page
    yield open_view
    context.close()
    assert not complaints

def draw(page, image):
    "Draw on the pad with the mouse along the middle of the strokes of an image."
    box = page.locator('.pad canvas').bounding_box()
    place = lambda p: (box['x'] + p[0]*box['width']/28, box['y'] + p[1]*box['height']/28)
    for path in pen_paths(image/255):
        page.mouse.move(*place(path[0]))
        page.mouse.down()
        for p in path[1:]: page.mouse.move(*place(p))
        page.mouse.up()

def seen(page):
    "What the pad holds, as the model sees it."
    pixels = page.evaluate('''async () => {
        const m = await import('/live/explore.js'), {pad} = document.querySelector('cvae-touch');
        return Array.from(m.normalise(pad.ink(), [pad.height, pad.width], [28, 28]));
    }''')
    return torch.tensor(pixels).view(1, 28, 28)

@pytest.fixture(scope='module')
def digit(): return load_images('mnist', 'test').images[18] # a 3

@pytest.fixture(scope='module')
def post():
    "With the weights of half precision that the page has."
    model = CVAE.from_pretrained('post')
    return model.half().float().eval()

def test_nothing_is_fetched_before_something_is_drawn(open_view, digit):
    page = open_view('posterior')
    page.wait_for_timeout(300)
    assert not [o for o in page.requested if 'safetensors' in o or 'config.json' in o]
    draw(page, digit)
    page.wait_for_selector('.style')
    assert [o for o in page.requested if 'safetensors' in o] == ['/live/post/model.safetensors']

def test_posterior(open_view, digit, post):
    page = open_view('posterior')
    draw(page, digit)
    page.wait_for_selector('.style')
    found = infer(post, seen(page))
    assert page.get_by_text('The classifier reads a').inner_text() == f'The classifier reads a {found.labels.item()}.'
    shown = [o.split('±') for o in page.locator('.style tr td:last-child').all_inner_texts()]
    assert torch.allclose(torch.tensor([float(a) for a,b in shown]), found.z_mean[0], atol=0.06)
    assert torch.allclose(torch.tensor([float(b) for a,b in shown]), found.z_var[0].sqrt(), atol=0.06)
    shares = [float(o) for o in page.locator('.probabilities tr td:last-child').all_inner_texts()]
    assert torch.allclose(torch.tensor(shares), found.probs[0], atol=0.006)

def test_terms(open_view, digit, post):
    page = open_view('terms')
    draw(page, digit)
    text = page.locator('.terms').inner_text()
    x = seen(page)
    found = infer(post, x)
    error = ((x - reconstruct(post, x)).square().sum()/(2*0.5**2)).item()
    kl = (-0.5*(1 + found.z_var.log() - found.z_mean.square() - found.z_var).sum()).item()
    assert f'pixels {error:.1f} nats' in text and f'(the KL) {kl:.1f} nats' in text and 'constant 177.0' in text

def test_digits_of_both_models(open_view, digit):
    page = open_view('digits', 'live/best live/post')
    draw(page, digit)
    page.wait_for_selector('.digits')
    assert page.locator('.digits canvas').count() == 20
    model,x = CVAE.from_pretrained('post').half().float(), seen(page)
    drawn = page.evaluate('''() => [...document.querySelector('cvae-touch').shadowRoot.querySelectorAll('.digits canvas')].slice(10).map(
        o => Array.from(o.getContext('2d').getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0))''')
    assert (torch.tensor(drawn)/255 - restyle(model, x)[0].flatten(1)).abs().max() < 2/255

def test_the_digit_is_kept_from_page_to_page(open_view, digit):
    page = open_view('posterior')
    draw(page, digit)
    page.wait_for_selector('.style')
    other = open_view('digits')
    other.wait_for_selector('.digits')
    assert torch.allclose(seen(other), seen(page), atol=0.02)
    other.get_by_role('button', name='Clear').click()
    other.get_by_text('Draw a digit on the black square.').wait_for()

def test_a_missing_model_is_a_sentence(browser, address):
    page = browser.new_page()
    page.route('**/touch.html', lambda route: route.fulfill(body=page_of.format(view='terms', models='live/none'), content_type='text/html'))
    page.goto(f'{address}/touch.html')
    page.wait_for_selector('.pad canvas')
    box = page.locator('.pad canvas').bounding_box()
    page.mouse.click(box['x'] + 50, box['y'] + 50)
    page.get_by_role('alert').wait_for()
    assert 'cannot be shown' in page.get_by_role('alert').inner_text()
    page.close()

grid = notebooks/'live'/'grid'

@pytest.mark.skipif(not grid.exists(), reason='tools/make_grid.py has not been run')
def test_grid(open_view):
    html = page_of.replace('<cvae-touch view="{view}" models="{models}">', '<cvae-grid folder="live/grid">').replace('cvae-touch', 'cvae-grid')
    page = open_view(None, html=html)
    page.wait_for_selector('.figures')
    content = json.loads((grid/'grid.json').read_text())
    assert f'{100*content["models"]["0.5-10"]["judged_right"]:.1f} %' in page.locator('.figures').inner_text()
    assert [o for o in page.requested if 'safetensors' in o] == ['/live/grid/0.5-10.safetensors.gz']
    page.get_by_role('slider', name='weight of the digit').fill('0')
    page.wait_for_function('() => document.querySelector("cvae-grid").wanted.endsWith("-0")')
    page.get_by_text(f'{100*content["models"]["0.5-0"]["judged_right"]:.1f} %').wait_for()
